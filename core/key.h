/*
 * Keys: JSON array ↔ bytes whose memcmp order is key order (the FoundationDB tuple layer's encoding as Deno KV uses it;
 * doc/storage.md has the table of bytes, tests/vectors the golden ones).
 */
#ifndef KVS_KEY_H
#define KVS_KEY_H

#include <stddef.h>

#include "arena.h"
#include "error.h"
#include "json_out.h"
#include "json_scan.h"

enum {
    KEY_MAX = 2048, /* encoded bytes */
    KEY_MAX_PARTS = 64
};

/* An encoded key; the bytes lie in a request's arena or in the database's row. */
struct key {
    const unsigned char *data;
    size_t len;
};

/*
 * Encodes array node i.  min_parts is 1 for a key, 0 for a prefix.  field is the path to name in errors.
 * Errors: ERR_BAD_REQUEST (not an array, too many or few parts, a part of a wrong kind; field gets the part's index, as
 * "key[2]"), ERR_TOO_LARGE (over KEY_MAX bytes), ERR_NO_MEMORY.
 */
enum error_code key_from_json(const struct json_doc *doc, size_t i, size_t min_parts, const char *field,
                              struct arena *arena, struct key *key, struct error *err);

/* A key and, where key_to_json would write it just as it was given, that text in the doc's; else NULL. */
struct key_given {
    struct key key;
    const char *text;
    size_t text_len;
};

/* As key_from_json, of a key. */
enum error_code key_given_from_json(const struct json_doc *doc, size_t i, const char *field, struct arena *arena,
                                    struct key_given *given, struct error *err);

/* Writes the key as a JSON array.  False where the bytes are no key (corruption). */
bool key_to_json(struct json_out *out, const unsigned char *data, size_t len);

/* Whether the bytes are a well-formed key of 1 to KEY_MAX_PARTS parts. */
bool key_valid(const unsigned char *data, size_t len);

/*
 * The bytes of the part that starts at *pos: sets *part and *part_len to them (type byte included) and moves *pos behind
 * it.  False at the end or where the bytes are malformed.
 */
bool key_next_part(const unsigned char *data, size_t len, size_t *pos, const unsigned char **part, size_t *part_len);

/*
 * Range of all keys strictly below a prefix: [from, to) in memcmp order, both in the arena.  from is prefix with the
 * smallest part byte appended (so that the prefix itself and keys that merely continue its last part are outside), to is
 * prefix followed by a byte above every part type.  An empty prefix is every key.
 */
enum error_code key_below(const struct key *prefix, struct arena *arena, struct key *from, struct key *to);

#endif
