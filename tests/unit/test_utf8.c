/* utf8: exactly what RFC 3629 allows. */
#include "utf8.h"

#include "tap.h"

/* Every code point is one character of the right length, as itself and with more behind it, and none when it is cut. */
static void test_code_points(void)
{
    uint32_t bad = 0xffffffff;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char s[8];
        size_t len = utf8_put(s, code);
        memcpy(s + len, "\x80\x80", 2);
        size_t want = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        bool valid = code < 0xd800 || code > 0xdfff;
        bool good = len == want && utf8_char(s, len) == (valid ? len : 0) && utf8_char(s, len + 2) == (valid ? len : 0);
        for (size_t n = 0; n < len; n++)
            good = good && utf8_char(s, n) == 0;
        if (!good && bad == 0xffffffff)
            bad = code;
    }
    is_int(bad, 0xffffffff, "every code point but surrogates, none of them cut");
    static const struct {
        uint32_t code;
        const char *bytes;
    } golden[] = {{'A', "A"},
                  {0x7f, "\x7f"},
                  {0x80, "\xc2\x80"},
                  {0x7ff, "\xdf\xbf"},
                  {0x800, "\xe0\xa0\x80"},
                  {0xffff, "\xef\xbf\xbf"},
                  {0x10000, "\xf0\x90\x80\x80"},
                  {0x10ffff, "\xf4\x8f\xbf\xbf"}};
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        char s[4];
        size_t len = utf8_put(s, golden[i].code);
        is_mem(s, len, golden[i].bytes, strlen(golden[i].bytes), "U+%04X", (unsigned)golden[i].code);
    }
}

/* Counting what is accepted among all byte sequences leaves no room for anything beyond the code points. */
static void test_sequences(void)
{
    long two = 0, three = 0, four = 0;
    for (unsigned a = 0x80; a < 0x100; a++)
        for (unsigned b = 0; b < 0x100; b++) {
            char s[4] = {(char)a, (char)b};
            two += utf8_char(s, 2) == 2;
            for (unsigned c = 0; c < 0x100; c++) {
                s[2] = (char)c;
                three += utf8_char(s, 3) == 3;
                static const unsigned char last[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
                for (size_t d = 0; d < sizeof(last); d++) {
                    s[3] = (char)last[d];
                    four += utf8_char(s, 4) == 4;
                }
            }
        }
    is_int(two, 0x800 - 0x80, "two bytes");
    is_int(three, 0x10000 - 0x800 - 0x800, "three bytes");
    is_int(four, 0x100000 / 64 * 2, "four bytes, of which two last ones are valid");
}

static void test_valid(void)
{
    static const char *const good = "plain text \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 and more than eight bytes of it";
    is_int(utf8_valid(good, strlen(good)), strlen(good), "text of all lengths of characters");
    is_int(utf8_valid("", 0), 0, "no text");
    for (size_t at = 0; at < 20; at++) {
        char s[24];
        memset(s, 'x', sizeof(s));
        s[at] = (char)0xff;
        is_int(utf8_valid(s, sizeof(s)), at, "a bad byte at %zu", at);
    }
    is_int(utf8_valid("12345678\xe2\x82", 10), 8, "a character cut by the end");
}

static void test_clean(void)
{
    char s[] = "a\n\xc3\xa9\x00\x7f\xff\xc2\x85\xe2\x82\xac\x1b[\xe2\x82";
    utf8_clean(s, sizeof(s) - 1);
    is_mem(s, sizeof(s) - 1, "a?\xc3\xa9?????\xe2\x82\xac?[??", sizeof(s) - 1, "clean leaves only what can be shown");
}

int main(void)
{
    test_code_points();
    test_sequences();
    test_valid();
    test_clean();
    return done_testing();
}
