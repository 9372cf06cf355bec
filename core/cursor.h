/*
 * Cursors: an opaque place in a listing, valid only for the very query that gave it.
 */
#ifndef KVS_CURSOR_H
#define KVS_CURSOR_H

#include <stddef.h>

#include "arena.h"
#include "error.h"
#include "fields.h"
#include "json_out.h"

/* What a query is made of, hashed: the operation's name and its parameters in order. */
struct cursor_query {
    unsigned char sum[16];
};

/* Begins, then takes every parameter in turn (their lengths count too). */
void cursor_query_init(struct cursor_query *q, const char *operation);
void cursor_query_add(struct cursor_query *q, const void *data, size_t len);

/* Writes the cursor for a place (any bytes) as a JSON string. */
void cursor_to_json(struct json_out *out, const struct cursor_query *q, const void *place, size_t len,
                    struct arena *arena);

/*
 * Reads member "cursor"; *place stays NULL where it is absent.  ERR_BAD_REQUEST where it is not one that this query gave.
 */
enum error_code cursor_parse(const struct fields *f, const struct cursor_query *q, const unsigned char **place,
                             size_t *len);

#endif
