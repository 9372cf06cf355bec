/*
 * A bucket's options as requests give them and status shows them.
 */
#ifndef KVS_BUCKET_OPTIONS_H
#define KVS_BUCKET_OPTIONS_H

#include "bucket.h"
#include "error.h"
#include "fields.h"
#include "json_out.h"

/* Which options a request named, as bits. */
enum bucket_named {
    NAMED_HISTORY = 1,
    NAMED_TTL = 2,
    NAMED_MAX_VALUE = 4,
    NAMED_MAX_BYTES = 8,
    NAMED_MAX_KEYS = 16,
    NAMED_DESCRIPTION = 32,
    NAMED_METADATA = 64,
    NAMED_STORAGE = 128,
    NAMED_COMPRESSION = 256,
    NAMED_MARKER_TTL = 512,
    NAMED_REPUBLISH = 1024
};

/*
 * Reads member "options" (absent: none) over what o holds; *named gets the bits of those given.  Strings are in the arena.
 */
enum error_code bucket_options_parse(const struct fields *f, struct bucket_options *o, unsigned *named);

/* Takes the named options of `from` over into `to`. */
void bucket_options_take(struct bucket_options *to, const struct bucket_options *from, unsigned named);

/* The first of the named options in which the two differ, as its name in requests; NULL where there is none. */
const char *bucket_options_differ(const struct bucket_options *a, const struct bucket_options *b, unsigned named);

/* What options make no sense together; ERR_BAD_REQUEST. */
enum error_code bucket_options_judge(const struct bucket_options *o, struct error *err);

/* The options as members of the open object. */
void bucket_options_to_json(struct json_out *out, const struct bucket_options *o);

/* The status object: name, options, counters. */
void bucket_status(struct json_out *out, const struct bucket *b, int64_t max_value);

#endif
