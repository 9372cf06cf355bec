/* json_scan: exactly RFC 8259, with every node and every offset right. */
#include "oom.h"
#include "scanned.h"

static enum error_code code_of(const char *text, size_t len)
{
    struct scanned s;
    scan(&s, text, len);
    done(&s);
    return s.code;
}

/* The offset that the message ends with, or -1. */
static long offset_of(const struct error *err)
{
    const char *at = strstr(err->message, "at byte ");
    return at ? strtol(at + 8, NULL, 10) : -1;
}

struct sample {
    const char *text;
    size_t len;
    long at; /* of a rejected one: the offset that the message must give */
};

static const struct sample accepted[] = {
    {TEXT("{}"), 0},
    {TEXT("[]"), 0},
    {TEXT(" \t\r\n[ \t\r\n] \t\r\n"), 0},
    {TEXT("0"), 0},
    {TEXT("-0"), 0},
    {TEXT("-1"), 0},
    {TEXT("10"), 0},
    {TEXT("0.0"), 0},
    {TEXT("-0.10"), 0},
    {TEXT("1e5"), 0},
    {TEXT("1E5"), 0},
    {TEXT("1e+5"), 0},
    {TEXT("1e-5"), 0},
    {TEXT("0e0"), 0},
    {TEXT("1e007"), 0},
    {TEXT("1.5E+300"), 0},
    {TEXT("1e999999"), 0},
    {TEXT("123456789012345678901234567890"), 0},
    {TEXT("true"), 0},
    {TEXT("false"), 0},
    {TEXT("null"), 0},
    {TEXT("\"\""), 0},
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), 0},
    {TEXT("\"\\u0000\\uFFFF\\uabcd\\uAbCd\""), 0},
    {TEXT("\"\\ud83d\\ude00\""), 0},
    {TEXT("\"\\ud83d\""), 0},
    {TEXT("\"\\ude00\\ud83d\""), 0},
    {TEXT("\"\x7f\""), 0},
    {TEXT("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""), 0},
    {TEXT("\"\xed\x9f\xbf\xee\x80\x80\""), 0},
    {TEXT("\"\xef\xbb\xbf\""), 0},
    {TEXT("\"eight bytes and more of plain text\""), 0},
    {TEXT("[1,[2,[3,[]]],{\"a\":{}}]"), 0},
    {TEXT("{\"a\":1,\"b\":{\"a\":2},\"c\":[{\"a\":3},{\"a\":4}]}"), 0},
    {TEXT("{\"\":1}"), 0},
    {TEXT("{\"a\":1,\"A\":2,\"a \":3,\"a\\u0000\":4}"), 0},
    {TEXT("{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }"), 0},
    {TEXT("{\"\\ud800\":1,\"\\ud801\":2}"), 0},
};

static const struct sample rejected[] = {
    {TEXT(""), 0},
    {TEXT("   "), 3},
    {TEXT("\0"), 0},
    {TEXT("{}\0"), 2},
    {TEXT("{"), 1},
    {TEXT("["), 1},
    {TEXT("}"), 0},
    {TEXT("]"), 0},
    {TEXT(","), 0},
    {TEXT(":"), 0},
    {TEXT("[}"), 1},
    {TEXT("{]"), 1},
    {TEXT("[1}"), 2},
    {TEXT("{\"a\":1]"), 6},
    /* commas */
    {TEXT("[1,]"), 3},
    {TEXT("[,1]"), 1},
    {TEXT("[1,,2]"), 3},
    {TEXT("[1 2]"), 3},
    {TEXT("[\"a\":1]"), 4},
    {TEXT("{\"a\":1,}"), 7},
    {TEXT("{,\"a\":1}"), 1},
    {TEXT("{\"a\":1,,\"b\":2}"), 7},
    {TEXT("{\"a\":1 \"b\":2}"), 7},
    {TEXT("{\"a\"}"), 4},
    {TEXT("{\"a\":}"), 5},
    {TEXT("{\"a\" 1}"), 5},
    {TEXT("{\"a\",1}"), 4},
    {TEXT("{\"a\"::1}"), 5},
    {TEXT("{:1}"), 1},
    {TEXT("{a:1}"), 1},
    {TEXT("{'a':1}"), 1},
    {TEXT("{1:1}"), 1},
    {TEXT("{null:1}"), 1},
    {TEXT("{[]:1}"), 1},
    /* numbers */
    {TEXT("01"), 1},
    {TEXT("-01"), 2},
    {TEXT("00"), 1},
    {TEXT("+1"), 0},
    {TEXT(".5"), 0},
    {TEXT("-.5"), 1},
    {TEXT("1."), 2},
    {TEXT("[1.]"), 3},
    {TEXT("1.e5"), 2},
    {TEXT("-"), 1},
    {TEXT("[-]"), 2},
    {TEXT("--1"), 1},
    {TEXT("1e"), 2},
    {TEXT("1e+"), 3},
    {TEXT("[1e+]"), 4},
    {TEXT("1e5.5"), 3},
    {TEXT("1.5.5"), 3},
    {TEXT("0x10"), 1},
    {TEXT("1_000"), 1},
    {TEXT("1a"), 1},
    {TEXT("NaN"), 0},
    {TEXT("nan"), 1},
    {TEXT("Infinity"), 0},
    {TEXT("-Infinity"), 1},
    {TEXT("inf"), 0},
    /* words */
    {TEXT("tru"), 3},
    {TEXT("True"), 0},
    {TEXT("TRUE"), 0},
    {TEXT("truex"), 4},
    {TEXT("[nul]"), 4},
    {TEXT("fals\0"), 4},
    {TEXT("undefined"), 0},
    {TEXT("'a'"), 0},
    /* strings */
    {TEXT("\""), 1},
    {TEXT("\"abc"), 4},
    {TEXT("\"abc\\\""), 6},
    {TEXT("\"\\"), 2},
    {TEXT("\"a\nb\""), 2},
    {TEXT("\"a\tb\""), 2},
    {TEXT("\"a\0b\""), 2},
    {TEXT("\"\x1f\""), 1},
    {TEXT("\"\\x41\""), 1},
    {TEXT("\"\\a\""), 1},
    {TEXT("\"\\'\""), 1},
    {TEXT("\"\\0\""), 1},
    {TEXT("\"\\\0\""), 1},
    {TEXT("\"\\U0041\""), 1},
    {TEXT("\"\\u\""), 1},
    {TEXT("\"\\u12\""), 1},
    {TEXT("\"\\u123\""), 1},
    {TEXT("\"\\u123g\""), 1},
    {TEXT("\"\\u 123\""), 1},
    {TEXT("\"\\u+123\""), 1},
    {TEXT("\"\\u12\0004\""), 1},
    {TEXT("\"\\u12"), 5},
    /* UTF-8: stray, cut, overlong, surrogates, beyond Unicode */
    {TEXT("\"\x80\""), 1},
    {TEXT("\"\xbf\""), 1},
    {TEXT("\"a\xff\""), 2},
    {TEXT("\"a\xfe\""), 2},
    {TEXT("\"\xc3\""), 1},
    {TEXT("\"\xe2\x82\""), 1},
    {TEXT("\"\xf0\x9f\x98\""), 1},
    {TEXT("\"\xc3"), 1},
    {TEXT("\"\xf0\x9f\x98"), 1},
    {TEXT("\"\xc0\x80\""), 1},
    {TEXT("\"\xc1\xbf\""), 1},
    {TEXT("\"\xe0\x9f\xbf\""), 1},
    {TEXT("\"\xf0\x8f\xbf\xbf\""), 1},
    {TEXT("\"\xed\xa0\x80\""), 1},
    {TEXT("\"\xed\xbf\xbf\""), 1},
    {TEXT("\"\xed\xa0\xbd\xed\xb8\x80\""), 1},
    {TEXT("\"\xf4\x90\x80\x80\""), 1},
    {TEXT("\"\xf5\x80\x80\x80\""), 1},
    {TEXT("\"\xf8\x88\x80\x80\x80\""), 1},
    {TEXT("\"\xe9t\xe9\""), 1},
    {TEXT("\"12345678\x80\""), 9},
    {TEXT("\"123456789\x80\""), 10},
    /* what may not stand around a value */
    {TEXT("\xef\xbb\xbf{}"), 0},
    {TEXT("\xfe\xff"), 0},
    {TEXT("{} {}"), 3},
    {TEXT("1 2"), 2},
    {TEXT("[] x"), 3},
    {TEXT("{}\xef\xbb\xbf"), 2},
    {TEXT("\"\"\"\""), 2},
    {TEXT("\xc2\xa0[]"), 0},
    {TEXT("\f[]"), 0},
    {TEXT("\v[]"), 0},
    {TEXT("[1] // end"), 4},
    {TEXT("/* a */ 1"), 0},
    {TEXT("[1]\x1e"), 3},
    /* names given twice */
    {TEXT("{\"a\":1,\"a\":2}"), 7},
    {TEXT("{\"key\":1,\"k\\u0065y\":2}"), 9},
    {TEXT("{\"k\\u0065y\":1,\"key\":2}"), 14},
    {TEXT("{\"\\u006b\\u0065y\":1,\"ke\\u0079\":2}"), 19},
    {TEXT("{\"\\/\":1,\"/\":2}"), 8},
    {TEXT("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), 18},
    {TEXT("{\"\\ud800\":1,\"\\uD800\":2}"), 12},
    {TEXT("{\"\":1,\"\":2}"), 6},
    {TEXT("{\"a\\u0000b\":1,\"a\\u0000b\":2}"), 14},
    {TEXT("{\"x\":[{\"a\":1,\"b\":2,\"a\":3}]}"), 19},
    {TEXT("{\"value\":1,\"value\":2}"), 11},
    {TEXT("{\"value\":{},\"v\\u0061lue\":{}}"), 12},
    {TEXT("{\"a\":{\"x\":1},\"b\":2,\"a\":{}}"), 19},
    {TEXT("{\"value\":{\"a\":1,\"a\":2},\"b\":{\"a\":1,\"a\":2}}"), 34},
};

static void test_tables(void)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct scanned s;
        scan(&s, accepted[i].text, accepted[i].len);
        if (!ok(s.code == ERR_OK && s.doc.count > 0 && s.doc.nodes[0].next == s.doc.count, "accepted %zu", i))
            tap_dump(s.err.message, accepted[i].text, accepted[i].len);
        done(&s);
    }
    for (size_t i = 0; i < sizeof(rejected) / sizeof(rejected[0]); i++) {
        struct scanned s;
        scan(&s, rejected[i].text, rejected[i].len);
        if (!ok(s.code == ERR_BAD_JSON && s.err.code == ERR_BAD_JSON && offset_of(&s.err) == rejected[i].at &&
                    s.doc.count == 0,
                "rejected %zu", i))
            tap_dump(s.err.message, rejected[i].text, rejected[i].len);
        done(&s);
    }
}

/* Each byte at each place of a string, as those are looked at eight at a time. */
static void test_every_byte(void)
{
    bool good = true;
    for (int c = 0; c < 0x100; c++) {
        for (size_t at = 1; at < 26; at++) {
            char text[27];
            memset(text, 'x', sizeof(text));
            text[0] = text[26] = '"';
            text[at] = (char)c;
            enum error_code want = c < 0x20 || c >= 0x80 || c == '"' || c == '\\' ? ERR_BAD_JSON : ERR_OK;
            if (code_of(text, sizeof(text)) != want) {
                good = false;
                printf("# byte %#x at %zu\n", (unsigned)c, at);
            }
        }
    }
    ok(good, "every byte at every place of a string");
}

/* What is rejected as a body is rejected in a value as well, but for names given twice, and accepted the same. */
static void test_opaque_strictness(void)
{
    for (int pass = 0; pass < 2; pass++) {
        const struct sample *table = pass ? rejected : accepted;
        size_t n = pass ? sizeof(rejected) / sizeof(rejected[0]) : sizeof(accepted) / sizeof(accepted[0]);
        for (size_t i = 0; i < n; i++) {
            char text[256];
            size_t len = 0;
            memcpy(text, "{\"value\":", 9);
            memcpy(text + 9, table[i].text, table[i].len);
            len = 9 + table[i].len;
            text[len++] = '}';
            struct scanned plain, wrapped;
            scan(&plain, table[i].text, table[i].len);
            scan(&wrapped, text, len);
            bool twice = strstr(plain.err.message, "already has") != NULL;
            enum error_code want = twice ? ERR_OK : plain.code;
            if (!ok(wrapped.code == want, "%s %zu as a value", pass ? "rejected" : "accepted", i))
                tap_dump(wrapped.err.message, text, len);
            done(&plain);
            done(&wrapped);
        }
    }
}

/* The table as text: type letter, start-end, >next, #count, then e for escaped and o for opaque. */
static void dump(const struct json_doc *d, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < d->count && len < size; i++) {
        const struct json_node *n = &d->nodes[i];
        len += (size_t)snprintf(out + len, size - len, "%s%c%u-%u>%u#%u%s%s", i > 0 ? " " : "", "zftnsao"[n->type],
                                (unsigned)n -> start, (unsigned)n -> end, (unsigned)n -> next, (unsigned)n -> count,
                                n -> escaped ? "e" : "", n->opaque ? "o" : "");
    }
}

static void test_nodes(void)
{
    static const struct {
        const char *text, *nodes;
    } cases[] = {
        {"1", "n0-1>1#0"},
        {" true ", "t1-5>1#0"},
        {"[]", "a0-2>1#0"},
        {"[null,false,-1.5e3,\"x\"]", "a0-23>5#4 z1-5>2#0 f6-11>3#0 n12-18>4#0 s19-22>5#0"},
        {"[[1],[2,3]]", "a0-11>6#2 a1-4>3#1 n2-3>3#0 a5-10>6#2 n6-7>5#0 n8-9>6#0"},
        {"{\"a\":1,\"\\n\":[2]}", "o0-16>6#2 s1-4>2#0 n5-6>3#0 s7-11>4#0e a12-15>6#1 n13-14>6#0"},
        {"{ \"key\" : [ ] , \"value\" : 7 }", "o0-29>5#2 s2-7>2#0 a10-13>3#0 s16-23>4#0 n26-27>5#0o"},
        {"{\"value\":{\"a\":[1,{}],\"a\":2},\"ttl\":3}", "o0-36>5#2 s1-8>2#0 o9-27>3#0o s28-33>4#0 n34-35>5#0"},
        {"{\"v\\u0061lue\":[[]],\"key\":[]}", "o0-28>5#2 s1-13>2#0e a14-18>3#0o s19-24>4#0 a25-27>5#0"},
        {"[{\"payload\":[1,2]},{\"payload\":\"\\t\"},3]",
         "a0-38>8#3 o1-18>4#1 s2-11>3#0 a12-17>4#0o o19-35>7#1 s20-29>6#0 s30-34>7#0eo n36-37>8#0"},
        {"{\"value\":{\"value\":{\"value\":[]}},\"b\":[0]}",
         "o0-40>6#2 s1-8>2#0 o9-31>3#0o s32-35>4#0 a36-39>6#1 n37-38>6#0"},
        /* only a member's value is opaque, not a string of the same text elsewhere */
        {"[\"value\",{\"x\":\"value\"},[1]]",
         "a0-27>7#3 s1-8>2#0 o9-22>5#1 s10-13>4#0 s14-21>5#0 a23-26>7#1 n24-25>7#0"},
        {"{\"values\":[1],\"Value\":[2]}", "o0-26>7#2 s1-9>2#0 a10-13>4#1 n11-12>4#0 s14-21>5#0 a22-25>7#1 n23-24>7#0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scanned s;
        char got[1024];
        scan(&s, cases[i].text, strlen(cases[i].text));
        dump(&s.doc, got, sizeof(got));
        is_str(got, cases[i].nodes, "nodes of %s", cases[i].text);
        done(&s);
    }
    struct arena arena = ARENA_INIT;
    struct json_doc doc;
    is_int(json_scan(&doc, "{\"value\":[1]}", 13, NULL, &arena, NULL), ERR_OK, "without opaque names or error");
    is_int(doc.count, 4, "everything is in the table");
    size_t len;
    const char *text = json_text(&doc, 2, &len);
    is_mem(text, len, "[1]", 3, "the text of a node");
    is_int(json_scan(&doc, "[", 1, NULL, &arena, NULL), ERR_BAD_JSON, "an error that nobody wants to see");
    arena_free(&arena);
}

static void test_cut_at_every_byte(void)
{
    size_t len = sizeof(everything) - 1;
    is_int(code_of(everything, len), ERR_OK, "the whole body");
    bool code = true, place = true;
    for (size_t cut = 0; cut < len; cut++) {
        struct scanned s;
        scan(&s, everything, cut);
        code = code && s.code == ERR_BAD_JSON;
        /* Where a character is cut, its start is what is wrong; else it is the end. */
        size_t want = cut;
        if (((unsigned char)everything[cut] & 0xc0) == 0x80)
            while (((unsigned char)everything[want] & 0xc0) == 0x80)
                want--;
        place = place && offset_of(&s.err) == (long)want;
        if (offset_of(&s.err) != (long)want)
            printf("# cut at %zu: %s\n", cut, s.err.message);
        done(&s);
    }
    ok(code, "no start of it is accepted");
    ok(place, "the offset is where it is cut");
}

/* n containers around nothing, each an array or an object by the bits of kinds. */
static char *nested(size_t n, unsigned kinds, size_t *len)
{
    char *text = malloc(n * 16 + 1);
    if (!text)
        abort();
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        bool object = kinds >> (i % 8) & 1;
        bool last = i + 1 == n;
        k += (size_t)sprintf(text + k, "%s", object ? last ? "{" : "{\"a\":" : "[");
    }
    for (size_t i = n; i-- > 0;)
        text[k++] = kinds >> (i % 8) & 1 ? '}' : ']';
    *len = k;
    return text;
}

static void test_depth(void)
{
    static const unsigned kinds[] = {0, 0xff, 0x55, 0x0f};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len;
        char *text = nested(JSON_MAX_DEPTH, kinds[i], &len);
        is_int(code_of(text, len), ERR_OK, "128 levels (kinds %#x)", kinds[i]);
        free(text);
        text = nested(JSON_MAX_DEPTH + 1, kinds[i], &len);
        is_int(code_of(text, len), ERR_BAD_JSON, "129 levels (kinds %#x)", kinds[i]);
        free(text);
    }
    for (size_t n = JSON_MAX_DEPTH - 1; n <= JSON_MAX_DEPTH; n++) {
        size_t len;
        char *text = nested(n, 0, &len), *body = malloc(len + 16);
        if (!body)
            abort();
        size_t k = (size_t)sprintf(body, "{\"value\":%.*s}", (int)len, text);
        is_int(code_of(body, k), n < JSON_MAX_DEPTH ? ERR_OK : ERR_BAD_JSON, "%zu levels in a value", n);
        free(body);
        free(text);
    }
    char *deep = malloc(1000000);
    if (!deep)
        abort();
    memset(deep, '[', 1000000);
    struct scanned s;
    scan(&s, deep, 1000000);
    is_int(s.code, ERR_BAD_JSON, "a million levels");
    is_int(offset_of(&s.err), JSON_MAX_DEPTH, "are noticed at the 129th");
    done(&s);
    free(deep);
}

/* An object of n names n0, n1, …; with twice, the last one is again that of member `twice`, written with an escape. */
static char *wide(size_t n, long twice, size_t *len)
{
    char *text = malloc(n * 24 + 64);
    if (!text)
        abort();
    size_t k = 0;
    text[k++] = '{';
    for (size_t i = 0; i < n; i++)
        k += (size_t)sprintf(text + k, "%s\"n%zu\":%zu", i > 0 ? "," : "", i * 7919 % n, i);
    if (twice >= 0)
        k += (size_t)sprintf(text + k, ",\"\\u006e%zu\":0", (size_t)twice * 7919 % n);
    text[k++] = '}';
    text[k] = '\0';
    *len = k;
    return text;
}

static void test_names(void)
{
    static const size_t sizes[] = {2, 15, 16, 17, 18, 31, 33, 100, 1000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = sizes[i], len, step = n > 100 ? 37 : 1;
        char *text = wide(n, -1, &len);
        is_int(code_of(text, len), ERR_OK, "%zu different names", n);
        free(text);
        bool found = true;
        for (size_t twice = 0; twice < n; twice += step) {
            text = wide(n, (long)twice, &len);
            struct scanned s;
            scan(&s, text, len);
            long last = strrchr(text, '\\') - text - 1;
            found = found && s.code == ERR_BAD_JSON && offset_of(&s.err) == last;
            done(&s);
            free(text);
        }
        ok(found, "one of %zu names given again is found", n);
    }
    size_t len;
    char *text = wide(99999, -1, &len);
    is_int(code_of(text, len), ERR_OK, "99999 different names");
    free(text);
}

static void test_node_limit(void)
{
    for (int extra = 0; extra < 2; extra++) {
        for (int hidden = 0; hidden < 2; hidden++) {
            /* The array is a node too; in a value all but three are not counted. */
            size_t items = JSON_MAX_NODES - 1 + (size_t)extra;
            char *text = malloc(items * 2 + 32);
            if (!text)
                abort();
            size_t k = (size_t)sprintf(text, hidden ? "{\"value\":[" : "[");
            for (size_t i = 0; i < items; i++)
                k += (size_t)sprintf(text + k, i > 0 ? ",1" : "1");
            k += (size_t)sprintf(text + k, hidden ? "]}" : "]");
            is_int(code_of(text, k), extra && !hidden ? ERR_TOO_LARGE : ERR_OK, "%zu items%s", items,
                   hidden ? " in a value" : "");
            free(text);
        }
    }
}

static enum error_code scan_and_decode(void *context)
{
    const char *text = context;
    struct arena arena = ARENA_INIT;
    struct json_doc doc;
    struct error err = ERROR_INIT;
    enum error_code code = json_scan(&doc, text, strlen(text), opaque, &arena, &err);
    if (code != err.code || (code != ERR_OK && doc.count != 0))
        code = ERR_INTERNAL;
    for (size_t i = 0; code == ERR_OK && i < doc.count; i++) {
        const char *str;
        size_t len;
        if (doc.nodes[i].type == JSON_STRING)
            code = json_string(&doc, i, &arena, &str, &len);
    }
    arena_free(&arena);
    return code;
}

static void test_out_of_memory(void)
{
    long failures, more;
    is_int(oom_each(scan_and_decode, (void *)(size_t)everything, &failures), ERR_OK, "each allocation failing in turn");
    size_t len;
    char *text = wide(3000, -1, &len);
    text[len - 1] = '\0'; /* a mere start: fails after all allocations for nodes */
    is_int(oom_each(scan_and_decode, text, &more), ERR_BAD_JSON, "the same for a body that is wrong at its end");
    text[len - 1] = '}';
    text[len] = '\0';
    is_int(oom_each(scan_and_decode, text, &more), ERR_OK, "and for one of many names");
    ok(failures > 0 && more > 2, "there were some (%ld, %ld)", failures, more);
    free(text);
}

int main(void)
{
    test_tables();
    test_every_byte();
    test_opaque_strictness();
    test_nodes();
    test_cut_at_every_byte();
    test_depth();
    test_names();
    test_node_limit();
    test_out_of_memory();
    return done_testing();
}
