/*
 * A growable byte buffer.  Failure is sticky: after an allocation failed (or the cap was exceeded) further appends do
 * nothing and buf_ok says false, so that a long run of appends needs one check at its end.
 */
#ifndef KVS_BUF_H
#define KVS_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

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

void buf_str(struct buf *b, const char *s);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);

/* As buf_room, where the buffer may have to grow. */
char *buf_grow(struct buf *b, size_t n);

/* Room for n more bytes at the end, uncommitted: write there, then b->len += used.  NULL on failure. */
static inline char *buf_room(struct buf *b, size_t n)
{
    return !b->failed && b->data && n <= b->cap - b->len ? b->data + b->len : buf_grow(b, n);
}

static inline void buf_add(struct buf *b, const void *data, size_t len)
{
    char *room = len > 0 ? buf_room(b, len) : NULL;
    if (!room)
        return;
    memcpy(room, data, len);
    b->len += len;
}

static inline void buf_byte(struct buf *b, unsigned char c)
{
    char *room = buf_room(b, 1);
    if (!room)
        return;
    *room = (char)c;
    b->len++;
}

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
