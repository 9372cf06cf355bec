/*
 * A growable byte buffer.  Failure is sticky: after an allocation failed (or the cap was exceeded) further appends do
 * nothing and buf_ok says false, so that a long run of appends needs one check at its end.
 */
#ifndef KVS_BUF_H
#define KVS_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* owned; not NUL-terminated unless buf_cstr is called */
    size_t len;
    size_t cap;
    bool failed;
};

#define BUF_INIT                                                                                                       \
    {                                                                                                                  \
        NULL, 0, 0, false                                                                                              \
    }

/* Appends a string literal, its length taken by the compiler. */
#define buf_lit(b, s) buf_add((b), "" s, sizeof(s) - 1)

void buf_add(struct buf *b, const void *data, size_t len);
void buf_byte(struct buf *b, unsigned char c);
void buf_str(struct buf *b, const char *s);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);

/* Room for n more bytes at the end, uncommitted: write there, then b->len += used.  NULL on failure. */
char *buf_room(struct buf *b, size_t n);

/* Decimal of a 64-bit integer, without printf. */
void buf_int(struct buf *b, long long n);

/* A NUL behind the last byte (not counted in len); NULL on failure. */
const char *buf_cstr(struct buf *b);

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

/* Empties, keeps the memory, clears the failure. */
void buf_clear(struct buf *b);
/* Frees the memory; the buffer is as after BUF_INIT. */
void buf_free(struct buf *b);

#endif
