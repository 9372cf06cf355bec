/*
 * A value or payload: JSON text or bytes, exactly as the client sent them, and how they are stored.
 */
#ifndef KVS_VALUE_H
#define KVS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "error.h"
#include "json_out.h"

/* Stored in the database: the numbers are part of the file format. */
enum value_encoding {
    VALUE_JSON = 0,  /* JSON text, UTF-8, no white space outside strings */
    VALUE_BYTES = 1, /* any bytes */
    VALUE_ZSTD = 16  /* added to one of the above: stored as one zstd frame */
};

struct value {
    const unsigned char *data; /* as stored; owned by the request's arena, its body or the row it was read from */
    size_t len;
    size_t size; /* bytes the client sent: len, unless compressed */
    int encoding;
};

enum { VALUE_COMPRESS_OVER = 256 };

/*
 * Replaces v by its compressed form where that is smaller and v is over VALUE_COMPRESS_OVER bytes.  Memory from the arena.
 */
enum error_code value_compress(struct value *v, struct arena *arena);

/* Undoes value_compress; ERR_CORRUPT where the frame is damaged or its size is not v->size. */
enum error_code value_expand(struct value *v, struct arena *arena);

/* Writes `"<name>":…` or `"<name>Base64":"…"` into the open object.  v must be expanded. */
void value_to_json(struct json_out *out, const char *name, const struct value *v);

#endif
