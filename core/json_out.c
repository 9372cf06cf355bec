#include "json_out.h"

#include <assert.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#include "json_char.h"
#include "json_num.h"

enum { SCOPE_OBJECT = '}', SCOPE_ARRAY = ']' }; /* named by the byte that ends them */

void json_out_init(struct json_out *o, struct buf *buf)
{
    *o = (struct json_out){.buf = buf, .first = true};
}

static bool in_object(const struct json_out *o)
{
    return o->depth > 0 && o->scope[o->depth - 1] == SCOPE_OBJECT;
}

/* What goes before a value: its comma, unless its name or nothing stands before it. */
static inline void before_value(struct json_out *o)
{
    assert(o->named == in_object(o)); /* in an object a value has a name, elsewhere none */
    assert(o->first || o->depth > 0); /* the text is one value */
    if (!o->first && !o->named)
        buf_byte(o->buf, ',');
    o->first = false;
    o->named = false;
}

static void open_scope(struct json_out *o, unsigned char start, unsigned char end)
{
    before_value(o);
    assert(o->depth < JSON_OUT_DEPTH);
    o->scope[o->depth++] = end;
    o->first = true;
    buf_byte(o->buf, start);
}

void json_out_object(struct json_out *o)
{
    open_scope(o, '{', SCOPE_OBJECT);
}

void json_out_array(struct json_out *o)
{
    open_scope(o, '[', SCOPE_ARRAY);
}

void json_out_end(struct json_out *o)
{
    assert(o->depth > 0 && !o->named);
    buf_byte(o->buf, o->scope[--o->depth]);
    o->first = false;
}

static void before_name(struct json_out *o)
{
    assert(in_object(o) && !o->named);
    if (!o->first)
        buf_byte(o->buf, ',');
    o->first = false;
    o->named = true;
}

/* c is a control character, a quote or a backslash. */
static void escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = c > 0 ? strchr(from, c) : NULL;
    if (known) {
        const char pair[2] = {'\\', to[known - from]};
        buf_add(b, pair, sizeof(pair));
    } else {
        const char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        buf_add(b, six, sizeof(six));
    }
}

static void quoted(struct buf *b, const char *s, size_t len)
{
    size_t run = json_run(s, len), i = 0;
    char *p = run == len ? buf_room(b, len + 2) : NULL;

    if (p) { /* nothing to escape, as nearly always */
        *p++ = '"';
        if (len > 0)
            memcpy(p, s, len);
        p[len] = '"';
        b->len += len + 2;
        return;
    }
    buf_byte(b, '"');
    while (i < len) {
        run = json_run(s + i, len - i);
        buf_add(b, s + i, run);
        i += run;
        if (i < len)
            escape(b, (unsigned char)s[i++]);
    }
    buf_byte(b, '"');
}

void json_out_name_n(struct json_out *o, const char *name, size_t len)
{
    assert(in_object(o) && !o->named);
    char *p = buf_room(o->buf, len + 4);
    char *start = p;
    o->named = true;
    if (!p)
        return;
    if (!o->first)
        *p++ = ',';
    o->first = false;
    *p++ = '"';
    memcpy(p, name, len);
    p += len;
    *p++ = '"';
    *p++ = ':';
    o->buf->len += (size_t)(p - start);
}

void json_out_name_str(struct json_out *o, const char *name, size_t len)
{
    before_name(o);
    quoted(o->buf, name, len);
    buf_byte(o->buf, ':');
}

void json_out_null(struct json_out *o)
{
    before_value(o);
    buf_lit(o->buf, "null");
}

void json_out_bool(struct json_out *o, bool b)
{
    before_value(o);
    if (b)
        buf_lit(o->buf, "true");
    else
        buf_lit(o->buf, "false");
}

void json_out_int(struct json_out *o, int64_t n)
{
    before_value(o);
    buf_int(o->buf, n);
}

void json_out_double(struct json_out *o, double d)
{
    assert(isfinite(d));
    before_value(o);
    char text[JSON_NUM_MAX];
    buf_add(o->buf, text, json_num_print(text, d));
}

void json_out_str(struct json_out *o, const char *s, size_t len)
{
    before_value(o);
    quoted(o->buf, s, len);
}

void json_out_cstr(struct json_out *o, const char *s)
{
    json_out_str(o, s, strlen(s));
}

void json_out_base64(struct json_out *o, const void *data, size_t len)
{
    before_value(o);
    buf_byte(o->buf, '"');
    if (len > 0) {
        size_t room = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL); /* its NUL included */
        char *p = buf_room(o->buf, room);
        if (!p)
            return;
        sodium_bin2base64(p, room, data, len, sodium_base64_VARIANT_ORIGINAL);
        o->buf->len += room - 1;
    }
    buf_byte(o->buf, '"');
}

void json_out_raw(struct json_out *o, const char *text, size_t len)
{
    assert(len > 0);
    before_value(o);
    buf_add(o->buf, text, len);
}
