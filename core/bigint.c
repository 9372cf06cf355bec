#include "bigint.h"

#include <stdint.h>
#include <string.h>

/* Little-endian words of 32 bits; 615 digits are 2043 bits. */
enum { WORDS = (BIGINT_MAX + 3) / 4, DIGITS_MAX = BIGINT_TEXT_MAX - 1, CHUNK = 9 };

#define CHUNK_BASE UINT32_C(1000000000)

/* words = words * factor + carry. */
static void multiply_add(uint32_t words[WORDS], uint32_t factor, uint32_t carry)
{
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t product = (uint64_t)words[i] * factor + carry;
        words[i] = (uint32_t)product;
        carry = (uint32_t)(product >> 32);
    }
}

/* words = words / CHUNK_BASE; returns the rest. */
static uint32_t divide(uint32_t words[WORDS])
{
    uint64_t rest = 0;
    for (size_t i = WORDS; i-- > 0;) {
        uint64_t part = rest << 32 | words[i];
        words[i] = (uint32_t)(part / CHUNK_BASE);
        rest = part % CHUNK_BASE;
    }
    return (uint32_t)rest;
}

static bool is_zero(const uint32_t words[WORDS])
{
    uint32_t any = 0;
    for (size_t i = 0; i < WORDS; i++)
        any |= words[i];
    return any == 0;
}

/* The words of at most DIGITS_MAX digits. */
static void from_digits(uint32_t words[WORDS], const char *digits, size_t len)
{
    memset(words, 0, WORDS * sizeof *words);
    while (len > 0) {
        uint32_t chunk = 0, base = 1;
        for (int i = 0; i < CHUNK && len > 0; i++, len--) {
            chunk = chunk * 10 + (uint32_t)(*digits++ - '0');
            base *= 10;
        }
        multiply_add(words, base, chunk);
    }
}

/* Byte i of the number, 0 being the lowest. */
static unsigned char byte_at(const uint32_t words[WORDS], size_t i)
{
    return (unsigned char)(words[i / 4] >> i % 4 * 8);
}

enum bigint_result bigint_parse(const char *text, size_t len, bool *negative, unsigned char magnitude[BIGINT_MAX],
                                size_t *n)
{
    const char *end = text + len;
    *negative = len > 0 && *text == '-';
    text += *negative;
    if (text == end)
        return BIGINT_SYNTAX;
    for (const char *p = text; p < end; p++) {
        if (*p < '0' || *p > '9')
            return BIGINT_SYNTAX;
    }
    while (text < end && *text == '0')
        text++;
    if ((size_t)(end - text) > DIGITS_MAX)
        return BIGINT_TOO_LARGE;
    uint32_t words[WORDS];
    from_digits(words, text, (size_t)(end - text));
    size_t size = sizeof words;
    while (size > 0 && byte_at(words, size - 1) == 0)
        size--;
    if (size > BIGINT_MAX)
        return BIGINT_TOO_LARGE;
    for (size_t i = 0; i < size; i++)
        magnitude[i] = byte_at(words, size - 1 - i);
    *n = size;
    *negative = *negative && size > 0;
    return BIGINT_OK;
}

size_t bigint_print(char text[BIGINT_TEXT_MAX], bool negative, const unsigned char *magnitude, size_t n)
{
    uint32_t words[WORDS] = {0};
    char digits[DIGITS_MAX + CHUNK];
    char *p = digits + sizeof digits, *end = p;
    for (size_t i = 0; i < n; i++)
        words[i / 4] |= (uint32_t)magnitude[n - 1 - i] << i % 4 * 8;
    while (!is_zero(words)) {
        uint32_t chunk = divide(words);
        for (int i = 0; i < CHUNK; i++, chunk /= 10)
            *--p = (char)('0' + chunk % 10);
    }
    while (p < end && *p == '0')
        p++;
    if (p == end)
        *--p = '0';
    size_t len = (size_t)(end - p);
    if (negative)
        *text++ = '-';
    memcpy(text, p, len);
    return len + negative;
}
