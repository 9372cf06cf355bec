/*
 * Finding, eight bytes at a time, where a JSON string needs a closer look.  For the json_* modules alone.
 */
#ifndef KVS_JSON_CHAR_H
#define KVS_JSON_CHAR_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_ONES  0x0101010101010101U
#define JSON_HIGHS 0x8080808080808080U

/*
 * Not 0 where one of the eight bytes is a control character, a quote or a backslash.  The lowest bit that is set is that of the
 * first such byte; bytes above it may be marked without being one (a borrow runs upwards).  Bytes from 0x80 on are never marked
 * for themselves.
 */
static inline uint64_t json_special8(uint64_t eight)
{
    uint64_t quote = eight ^ (JSON_ONES * '"'), backslash = eight ^ (JSON_ONES * '\\');
    return (((eight - JSON_ONES * 0x20) & ~eight) | ((quote - JSON_ONES) & ~quote) |
            ((backslash - JSON_ONES) & ~backslash)) &
           JSON_HIGHS;
}

/* Eight bytes, the first of them lowest. */
static inline uint64_t json_eight(const char *p)
{
    uint64_t eight;
    memcpy(&eight, p, sizeof(eight));
    return le64toh(eight);
}

/* The place of the first byte marked. */
static inline size_t json_first(uint64_t marks)
{
    return (size_t)__builtin_ctzll(marks) / 8;
}

/* Bytes at p, at most n, before the first control character, quote or backslash. */
static inline size_t json_run(const char *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t marks = json_special8(json_eight(p + i));
        if (marks)
            return i + json_first(marks);
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
        uint64_t eight = json_eight(p + i), marks = json_special8(eight) | (eight & JSON_HIGHS);
        if (marks)
            return i + json_first(marks);
    }
    while (i < n && (unsigned char)(p[i] - 0x20) < 0x60 && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}

#endif
