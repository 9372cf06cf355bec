#include "utf8.h"

#include <string.h>

size_t utf8_char(const char *p, size_t n)
{
    const unsigned char *s = (const unsigned char *)p;
    if (n == 0)
        return 0;
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || n < len)
        return 0;
    /* The second byte's range is narrower where it decides on overlong forms, surrogates and the end of Unicode. */
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

size_t utf8_valid(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= sizeof(eight)) {
            memcpy(&eight, p + i, sizeof(eight));
            if ((eight & 0x8080808080808080U) == 0) {
                i += sizeof(eight);
                continue;
            }
        }
        size_t len = utf8_char(p + i, n - i);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

size_t utf8_put(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

void utf8_clean(char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        size_t len = utf8_char(p + i, n - i);
        unsigned char c = (unsigned char)p[i];
        /* U+0080 to U+009F are control characters too: C2 80 to C2 9F. */
        if (len == 2 && c == 0xc2 && (unsigned char)p[i + 1] < 0xa0)
            len = 0;
        if (len == 0 || c < 0x20 || c == 0x7f)
            p[i] = '?';
        i += len > 0 ? len : 1;
    }
}
