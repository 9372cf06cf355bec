/*
 * The one builder of JSON text.  It keeps a stack of open scopes and puts commas itself; misuse (a name in an array, a
 * value without a name, an unbalanced end) is an assertion failure.  Failure to allocate is sticky in the buffer.
 */
#ifndef KVS_JSON_OUT_H
#define KVS_JSON_OUT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { JSON_OUT_DEPTH = 16 };

struct json_out {
    struct buf *buf; /* the caller's */
    unsigned char scope[JSON_OUT_DEPTH];
    unsigned depth;
    bool first; /* nothing yet in the innermost scope */
    bool named; /* a name was written and awaits its value */
};

void json_out_init(struct json_out *o, struct buf *buf);

void json_out_object(struct json_out *o);
void json_out_array(struct json_out *o);
void json_out_end(struct json_out *o); /* of the innermost scope */

/* text is a name in its quotes, with the colon; inline, so that the compiler knows how long. */
static inline void json_out_name_text(struct json_out *o, const char *text, size_t len)
{
    assert(o->depth > 0 && o->scope[o->depth - 1] == '}' && !o->named);
    char *p = buf_room(o->buf, len + 1);
    o->named = true;
    if (!p)
        return;
    *p = ',';
    memcpy(p + !o->first, text, len);
    o->buf->len += len + !o->first;
    o->first = false;
}

/* A member's name; the macro's is a literal that needs no escaping. */
#define json_out_name(o, lit) json_out_name_text((o), "\"" lit "\":", sizeof(lit) + 2)
void json_out_name_n(struct json_out *o, const char *name, size_t len);
/* A member's name that may need escaping. */
void json_out_name_str(struct json_out *o, const char *name, size_t len);

void json_out_null(struct json_out *o);
void json_out_bool(struct json_out *o, bool b);
void json_out_int(struct json_out *o, int64_t n);
void json_out_double(struct json_out *o, double d); /* finite */
/* A string of UTF-8 bytes (NUL allowed); escapes only what JSON demands. */
void json_out_str(struct json_out *o, const char *s, size_t len);
void json_out_cstr(struct json_out *o, const char *s);
/* Bytes as a base64 string (standard alphabet, padded). */
void json_out_base64(struct json_out *o, const void *data, size_t len);
/* JSON text that is known to be valid, as it lies. */
void json_out_raw(struct json_out *o, const char *text, size_t len);

#endif
