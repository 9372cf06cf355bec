#include "buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"

/* First capacity.  The tests compile with 1, so that every append can grow. */
#ifndef BUF_START
#define BUF_START 256
#endif

/* Room for n more bytes, and memory even for n = 0.  False, and failed from then on, where there is none. */
static bool reserve(struct buf *b, size_t n)
{
    if (b->failed)
        return false;
    if (b->data && n <= b->cap - b->len)
        return true;
    if (n > SIZE_MAX / 4 - b->len) {
        b->failed = true;
        return false;
    }
    size_t cap = b->cap > 0 ? b->cap : BUF_START;
    while (cap < b->len + n)
        cap *= 2;
    char *data = mem_realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    size_t room = b->data && !b->failed ? b->cap - b->len : 0;
    int n = vsnprintf(room > 0 ? b->data + b->len : NULL, room, fmt, ap);
    if (n < 0)
        b->failed = true;
    /* vsnprintf always ends with a NUL, which must fit as well. */
    else if ((size_t)n < room)
        b->len += (size_t)n;
    else if (reserve(b, (size_t)n + 1)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

char *buf_grow(struct buf *b, size_t n)
{
    return reserve(b, n) ? b->data + b->len : NULL;
}

static const char digit_pairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243"
    "4445464748495051525354555657585960616263646566676869707172737475767778798081828384858687"
    "888990919293949596979899";

void buf_int(struct buf *b, long long n)
{
    char digits[24];
    char *end = digits + sizeof(digits), *p = end;
    /* Negated as unsigned: LLONG_MIN has no positive. */
    unsigned long long rest = n < 0 ? 0ULL - (unsigned long long)n : (unsigned long long)n;
    for (; rest >= 10; rest /= 100) {
        p -= 2;
        memcpy(p, digit_pairs + rest % 100 * 2, 2);
    }
    /* The first digit where their number is odd; or there were none at all. */
    if (rest > 0 || p == end)
        *--p = (char)('0' + rest);
    if (n < 0)
        *--p = '-';
    buf_add(b, p, (size_t)(end - p));
}

const char *buf_cstr(struct buf *b)
{
    if (!reserve(b, 1))
        return NULL;
    b->data[b->len] = '\0';
    return b->data;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

void buf_free(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf)BUF_INIT;
}
