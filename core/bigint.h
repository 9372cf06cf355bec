/*
 * Decimal text to and from the magnitude of an integer of any sign: big-endian bytes without leading zeros (none for 0).
 */
#ifndef KVS_BIGINT_H
#define KVS_BIGINT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    BIGINT_MAX = 255,         /* bytes of a magnitude */
    BIGINT_TEXT_MAX = 1 + 615 /* characters of the longest, sign included */
};

enum bigint_result { BIGINT_OK, BIGINT_SYNTAX, BIGINT_TOO_LARGE };

/*
 * Reads [-]digits; leading zeros and -0 mean what they say.  The work is linear in len until the number of significant
 * digits is known to be within the limit.
 */
enum bigint_result bigint_parse(const char *text, size_t len, bool *negative, unsigned char magnitude[BIGINT_MAX],
                                size_t *n);

/* Writes the decimal text, without a NUL, of n <= BIGINT_MAX bytes; returns its length. */
size_t bigint_print(char text[BIGINT_TEXT_MAX], bool negative, const unsigned char *magnitude, size_t n);

#endif
