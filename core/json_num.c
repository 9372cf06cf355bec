#include "json_num.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A number taken apart: the decimal integer made of its significant digits (without zeros before and behind), times ten
 * to the exponent.  The digits stay in the text, with maybe a point among them.
 */
struct decimal {
    const char *digits; /* the first significant one */
    size_t span;        /* bytes up to and with the last one */
    size_t count;       /* digits among them; 0 where the number is zero */
    int64_t exponent;
    bool negative;
};

/* Exponents beyond any that text of a possible length could bring back into reach. */
static const int64_t EXPONENT_MOST = INT64_C(1000000000000000);

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The written exponent at p ("+12", "-7", "3"), held within ±EXPONENT_MOST. */
static int64_t read_exponent(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    int64_t e = 0;
    for (; p < end; p++)
        e = e < EXPONENT_MOST / 10 ? e * 10 + (*p - '0') : EXPONENT_MOST;
    return negative ? -e : e;
}

static struct decimal take_apart(const char *text, size_t len)
{
    struct decimal d = {0};
    const char *p = text, *end = text + len;
    if (p < end && *p == '-') {
        d.negative = true;
        p++;
    }
    const char *last = NULL; /* the last digit that is not 0 */
    int64_t places = 0;      /* digits behind the point */
    int64_t zeros = 0;       /* zeros since *last */
    bool point = false;
    for (; p < end && (is_digit(*p) || *p == '.'); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        places += point;
        if (*p == '0') {
            zeros++;
            continue;
        }
        if (!d.digits)
            d.digits = p;
        else
            d.count += (size_t)zeros;
        d.count++;
        zeros = 0;
        last = p;
    }
    if (!d.digits)
        return d;
    d.span = (size_t)(last - d.digits) + 1;
    if (p < end) /* at the e */
        d.exponent = read_exponent(p + 1, end);
    d.exponent += zeros - places;
    return d;
}

enum json_num_kind json_num_int(const char *text, size_t len, int64_t *n)
{
    struct decimal d = take_apart(text, len);
    if (d.count == 0) {
        *n = 0;
        return JSON_NUM_INT;
    }
    if (d.exponent < 0)
        return JSON_NUM_FRACTION;
    /* 2^63 has 19 digits, and 19 digits always fit 64 bits without a sign. */
    if (d.count > 19 || d.exponent > 19 - (int64_t)d.count)
        return JSON_NUM_BIG;
    uint64_t magnitude = 0;
    for (size_t i = 0; i < d.span; i++)
        if (is_digit(d.digits[i]))
            magnitude = magnitude * 10 + (uint64_t)(d.digits[i] - '0');
    for (int64_t i = 0; i < d.exponent; i++)
        magnitude *= 10;
    if (magnitude > (uint64_t)INT64_MAX + d.negative)
        return JSON_NUM_BIG;
    /* By way of -(magnitude - 1) - 1, as 2^63 has no positive. */
    *n = d.negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return JSON_NUM_INT;
}

enum {
    SHORT_TEXT = 64,
    /* No halfway point between two doubles has more significant digits (it is 767 of them). */
    DIGITS_MOST = 800
};

/*
 * A long number in few bytes that reads as the same double: the digits that can matter, a 1 in place of all that follow
 * (which says "and a bit more"), and the exponent that goes with them.
 */
static void shorten(char out[DIGITS_MOST + SHORT_TEXT], const char *text, size_t len)
{
    struct decimal d = take_apart(text, len);
    char *p = out;
    if (d.negative)
        *p++ = '-';
    size_t kept = 0;
    for (size_t i = 0; i < d.span && kept < DIGITS_MOST; i++) {
        if (is_digit(d.digits[i])) {
            *p++ = d.digits[i];
            kept++;
        }
    }
    int64_t exponent = d.exponent + (int64_t)(d.count - kept);
    if (kept < d.count) {
        *p++ = '1';
        exponent--;
    }
    if (kept == 0)
        *p++ = '0';
    snprintf(p, SHORT_TEXT / 2, "e%lld", (long long)exponent);
}

/* strtod reads the point as the C locale writes it; the programs never set another. */
bool json_num_double(const char *text, size_t len, double *d)
{
    char copy[DIGITS_MOST + SHORT_TEXT];
    if (len < SHORT_TEXT) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    } else {
        shorten(copy, text, len);
    }
    *d = strtod(copy, NULL);
    return isfinite(*d);
}

/*
 * The fewest significant digits that read back as d (positive), without point, and the power of ten that the number
 * 0.digits is to be multiplied with.  Up to 15 digits survive the way through a normal double, so that zeros behind a
 * number of 15 digits can simply go; the few digits of a subnormal are found by trying.
 */
static size_t shortest(char digits[20], double d, int *point)
{
    char text[32];
    int precision = d < DBL_MIN ? 1 : 15;
    for (;; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision - 1, d);
        if (precision == 17 || strtod(text, NULL) == d)
            break;
    }
    size_t n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (is_digit(*p))
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    *point = (int)strtol(p + 1, NULL, 10) + 1;
    return n;
}

static char *put(char *p, const char *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}

static char *put_zeros(char *p, size_t n)
{
    memset(p, '0', n);
    return p + n;
}

/* Laid out as JavaScript's Number::toString does: with an exponent only from 1e21 up and below 1e-6. */
size_t json_num_print(char out[JSON_NUM_MAX], double d)
{
    if (d == 0) {
        out[0] = '0';
        return 1;
    }
    char digits[20];
    int point;
    size_t n = shortest(digits, fabs(d), &point);
    char *p = out;
    if (d < 0)
        *p++ = '-';
    if (point > 0 && point <= 21) {
        size_t whole = (size_t)point;
        p = put(p, digits, n < whole ? n : whole);
        if (n <= whole)
            return (size_t)(put_zeros(p, whole - n) - out);
        *p++ = '.';
        return (size_t)(put(p, digits + whole, n - whole) - out);
    }
    if (point > -6 && point <= 0) {
        p = put_zeros(put(p, "0.", 2), (size_t)-point);
        return (size_t)(put(p, digits, n) - out);
    }
    *p++ = digits[0];
    if (n > 1) {
        *p++ = '.';
        p = put(p, digits + 1, n - 1);
    }
    return (size_t)(p - out) + (size_t)snprintf(p, 8, "e%+d", point - 1);
}
