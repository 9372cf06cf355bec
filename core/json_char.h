/*
 * Finding, eight bytes at a time, where a JSON string needs a closer look.  For the json_* modules alone.
 */
#ifndef KVS_JSON_CHAR_H
#define KVS_JSON_CHAR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_ONES  0x0101010101010101U
#define JSON_HIGHS 0x8080808080808080U

/*
 * Not 0 where one of the eight bytes is a control character, a quote or a backslash.  (A byte above one that is may be
 * marked too, so that only "none at all" can be taken from it; bytes from 0x80 on are never the cause.)
 */
static inline uint64_t json_special8(uint64_t eight)
{
    uint64_t quote = eight ^ (JSON_ONES * '"'), backslash = eight ^ (JSON_ONES * '\\');
    return (((eight - JSON_ONES * 0x20) & ~eight) | ((quote - JSON_ONES) & ~quote) |
            ((backslash - JSON_ONES) & ~backslash)) &
           JSON_HIGHS;
}

/* Bytes at p, at most n, before the first control character, quote or backslash. */
static inline size_t json_run(const char *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t eight;
        memcpy(&eight, p + i, sizeof(eight));
        if (json_special8(eight))
            break;
    }
    while (i < n && (unsigned char)p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}

/* The same, stopping before a byte that is not ASCII as well. */
static inline size_t json_ascii_run(const char *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t eight;
        memcpy(&eight, p + i, sizeof(eight));
        if (json_special8(eight) | (eight & JSON_HIGHS))
            break;
    }
    while (i < n && (unsigned char)(p[i] - 0x20) < 0x60 && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}

#endif
