/*
 * What a change read or a watch is about: keys, a prefix, a filter, or the whole bucket; with or without markers.
 */
#ifndef KVS_SELECTOR_H
#define KVS_SELECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "cursor.h"
#include "entry.h"
#include "error.h"
#include "fields.h"
#include "filter.h"
#include "key.h"

/* Immutable once parsed; in the request's arena. */
struct selector {
    const struct key *keys; /* NULL: any */
    size_t key_count;
    struct key from, to; /* the range in which all that match lie: [from, to) */
    const struct filter *filter;
    bool ignore_deletes;
    bool meta_only;
};

#define SELECTOR_NAMES "key", "keys", "prefix", "filter"
#define SELECTOR_SHAPE "ignoreDeletes", "metaOnly"

/* Reads at most one of key, keys, prefix and filter, and the two switches where `shape`. */
enum error_code selector_parse(const struct fields *f, bool shape, struct selector *s);

/* Whether the entry is meant and there for a reader at time now (expired values never are). */
bool selector_matches(const struct selector *s, const struct entry *e, int64_t now);

/* The same for its key alone. */
bool selector_matches_key(const struct selector *s, const unsigned char *key, size_t len);

/* Hashes the members that f gives, for a cursor. */
void selector_hash(const struct fields *f, struct cursor_query *q);

#endif
