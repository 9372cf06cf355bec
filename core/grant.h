/*
 * What one access token allows: a scope, and where it is restricted, the buckets, key prefixes and topics it names.
 */
#ifndef KVS_GRANT_H
#define KVS_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

/*
 * What an operation needs, and what a token has.  Each of read, write and admin includes the ones before it; metrics is for
 * /metrics alone, which admin includes as well.
 */
enum scope { SCOPE_PUBLIC, SCOPE_METRICS, SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN };

/* A name, or with `open` all that begin with it. */
struct grant_name {
    const char *text;
    size_t len;
    bool open;
    struct grant_name *next;
};

/* A key and all below it: [prefix, to). */
struct grant_prefix {
    struct key prefix, to;
    struct grant_prefix *next;
};

/* Immutable once the configuration is read; the lists are the configuration's. */
struct grant {
    const char *name;
    enum scope scope;
    bool limited; /* some list is not empty: then it covers what the lists name, and no locks */
    struct grant_name *buckets;
    struct grant_prefix *keys;
    struct grant_name *topics;
    int64_t expires; /* ms since the epoch, from when on it is void; 0: never */
};

/* "read", …; "public" is no token's. */
const char *grant_scope_name(enum scope scope);
bool grant_scope_parse(const char *text, size_t len, enum scope *scope);

/* Whether its scope includes what an operation needs. */
bool grant_has(const struct grant *g, enum scope needed);

/* Whether it covers a bucket: where keys are named but no buckets, every one. */
bool grant_bucket(const struct grant *g, const char *name, size_t len);

bool grant_topic(const struct grant *g, const char *name, size_t len);

/* Whether all keys of [from, to) lie at or below one and the same prefix that it names. */
bool grant_range(const struct grant *g, const struct key *from, const struct key *to);
bool grant_key(const struct grant *g, const struct key *key);

#endif
