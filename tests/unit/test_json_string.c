/* json_scan: strings decoded, compared and left as they are but for the space around them. */
#include "scanned.h"

static void test_strings(void)
{
    static const struct {
        const char *json;
        size_t json_len;
        const char *want;
        size_t want_len;
    } cases[] = {
        {TEXT("\"\""), TEXT("")},
        {TEXT("\"plain \xc3\xa9\""), TEXT("plain \xc3\xa9")},
        {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TEXT("\"\\/\b\f\n\r\t")},
        {TEXT("\"a\\u0000b\""), TEXT("a\0b")},
        {TEXT("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""), TEXT("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {TEXT("\"\\u20AC\\u20ac\""), TEXT("\xe2\x82\xac\xe2\x82\xac")},
        {TEXT("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), TEXT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
        {TEXT("\"x\\ud83d\\ude00y\""), TEXT("x\xf0\x9f\x98\x80y")},
        {TEXT("\"\\\\u0041\""), TEXT("\\u0041")},
        {TEXT("\"longer than eight bytes\\nand again longer\""), TEXT("longer than eight bytes\nand again longer")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scanned s;
        const char *str = NULL;
        size_t len = 0;
        scan(&s, cases[i].json, cases[i].json_len);
        is_int(json_string(&s.doc, 0, &s.arena, &str, &len), ERR_OK, "string %zu decodes", i);
        is_mem(str, len, cases[i].want, cases[i].want_len, "to what it means");
        if (!memchr(cases[i].json, '\\', cases[i].json_len))
            ok(str == s.text + 1, "in place");
        done(&s);
    }
    static const char *const lone[] = {"\"\\ud800\"",        "\"\\udc00\"",        "\"\\udfff x\"",
                                       "\"\\ude00\\ud83d\"", "\"\\ud83d\\n\"",     "\"\\ud83dude00\"",
                                       "\"\\ud83d\\u0041\"", "\"\\ud83d\\ud83d\"", "\"x\\ud83d\\ude00\\ud83d\""};
    for (size_t i = 0; i < sizeof(lone) / sizeof(lone[0]); i++) {
        struct scanned s;
        const char *str;
        size_t len;
        scan(&s, lone[i], strlen(lone[i]));
        is_int(json_string(&s.doc, 0, &s.arena, &str, &len), ERR_BAD_REQUEST, "no Unicode string: %s", lone[i]);
        done(&s);
    }
}

static void test_is(void)
{
    static const struct {
        const char *json, *name;
        bool want;
    } cases[] = {
        {"\"key\"", "key", true},
        {"\"k\\u0065y\"", "key", true},
        {"\"\\u006b\\u0065\\u0079\"", "key", true},
        {"\"\"", "", true},
        {"\"\"", "key", false},
        {"\"key\"", "", false},
        {"\"ke\"", "key", false},
        {"\"keys\"", "key", false},
        {"\"Key\"", "key", false},
        {"\"k\\u0065\"", "key", false},
        {"\"k\\u0065ys\"", "key", false},
        {"\"k\\u0045y\"", "key", false},
        {"\"key\\u0000\"", "key", false},
        {"\"\\u0000\"", "", false},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", true},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x81", false},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f", false},
        {"\"\\/\\n\"", "/\n", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scanned s;
        scan(&s, cases[i].json, strlen(cases[i].json));
        is_int(json_is(&s.doc, 0, cases[i].name), cases[i].want, "whether %s is %s", cases[i].json, cases[i].name);
        done(&s);
    }
}

static void test_compact(void)
{
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"1", "1"},
        {" \n\r\t1 ", "1"},
        {"{}", "{}"},
        {" { } ", "{}"},
        {"[ 1 , 2.0 , \" a  b \" , { \"x y\" : [ ] } ]", "[1,2.0,\" a  b \",{\"x y\":[]}]"},
        {"\" \\\" \\\\\" ", "\" \\\" \\\\\""},
        {"[ \"\\\\\" , \" \" ]", "[\"\\\\\",\" \"]"},
        {"{ \"a\" : 1 , \"a\" : 1.0 }", "{\"a\":1,\"a\":1.0}"},
        {"[1,2]", "[1,2]"},
        {"\"\\ud800 \\u0000 more than eight \\\" bytes\"\n", "\"\\ud800 \\u0000 more than eight \\\" bytes\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].from), want = strlen(cases[i].to);
        char *src = malloc(len), *dst = malloc(len);
        if (!src || !dst)
            abort();
        memcpy(src, cases[i].from, len);
        size_t n = json_compact(dst, src, len);
        is_mem(dst, n, cases[i].to, want, "compact %s", cases[i].from);
        n = json_compact(src, src, len);
        is_mem(src, n, cases[i].to, want, "and in place");
        free(src);
        free(dst);
    }
    char same[8];
    is_int(json_compact(same, "", 0), 0, "compact nothing");
}

int main(void)
{
    test_strings();
    test_is();
    test_compact();
    return done_testing();
}
