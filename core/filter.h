/*
 * Filters: dotted patterns over string parts.  "a.*.c" matches keys of three parts; "a.>" those of two or more below a;
 * `*` matches one part of any type, `>` one or more parts at the end.
 */
#ifndef KVS_FILTER_H
#define KVS_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"
#include "error.h"
#include "key.h"

enum { FILTER_MAX = 64 }; /* patterns in one request */

struct filter; /* in the arena it was parsed into; immutable, so that threads may share it */

/*
 * Parses the patterns of node i: a string or an array of 1 to FILTER_MAX strings.
 * ERR_BAD_REQUEST for an empty pattern or part, `>` elsewhere than at the end, more than KEY_MAX_PARTS parts;
 * ERR_TOO_LARGE for a pattern of more than KEY_MAX bytes.
 */
enum error_code filter_from_json(const struct json_doc *doc, size_t i, const char *field, struct arena *arena,
                                 struct filter **filter, struct error *err);

/* The same for one pattern given as plain text (the query string's filter, a bucket's republish). */
enum error_code filter_from_text(const char *text, size_t len, const char *field, struct arena *arena,
                                 struct filter **filter, struct error *err);

/* Whether any of the patterns matches the encoded key. */
bool filter_matches(const struct filter *f, const unsigned char *key, size_t len);

/*
 * The longest literal start that all matching keys share, as an encoded prefix (maybe empty), to narrow a scan.  With
 * several patterns, what they have in common in whole parts.  The prefix itself may match ("a.b"): a scan runs from the
 * prefix, inclusive, to key_below's `to`.  A pattern of nearly KEY_MAX bytes may have one that is longer than any key can be:
 * then nothing matches.  The bytes live as long as the filter.
 */
void filter_prefix(const struct filter *f, struct key *prefix);

#endif
