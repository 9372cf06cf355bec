/*
 * Buckets as stored: options, counters and the revision.
 */
#ifndef KVS_BUCKET_H
#define KVS_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "db.h"
#include "error.h"

enum bucket_storage { BUCKET_FILE = 0, BUCKET_MEMORY = 1 };

#define BUCKET_DEFAULT "default"

struct republish;
struct txn;

struct bucket_options {
    int64_t history;
    int64_t ttl;
    int64_t max_value; /* -1: no limit of its own, in this and the next two */
    int64_t max_bytes;
    int64_t max_keys;
    const char *description; /* NUL-terminated, as are the next two */
    const char *metadata;    /* a JSON object of strings */
    const char *republish;   /* a JSON object, NULL for none */
    int64_t marker_ttl;
    enum bucket_storage storage;
    bool compression;
};

struct bucket {
    const char *name;
    int64_t id; /* of its entries' rows; 0 where the bucket is destroyed */
    int64_t revision;
    int64_t compacted;
    int64_t created;
    int64_t keys;  /* live ones, expired ones not yet removed included */
    int64_t held;  /* rows of entry and history */
    int64_t bytes; /* of keys and values in those rows, as the client sent them */
    struct bucket_options options;
    int64_t time; /* of the store's last commit, as of the read */
    /* Below: the transaction's (txn.h). */
    struct bucket *next;
    int64_t job;                  /* the job that took the present revision */
    const struct republish *rule; /* options.republish, once it was needed */
    bool dirty;
};

extern const struct bucket_options bucket_defaults;

/*
 * Reads a bucket by name into b (strings in the arena).  ERR_NO_BUCKET where there is none, with a message in err; a
 * destroyed one is found only with `destroyed`.
 */
enum error_code bucket_find(struct db *db, const char *name, bool destroyed, struct bucket *b, struct arena *arena,
                            struct error *err);

/* Columns SQL_BUCKET of the current row. */
enum error_code bucket_read(struct db_query *q, struct bucket *b, struct arena *arena);

/* Writes the counters and revision back. */
enum error_code bucket_save(struct db *db, const struct bucket *b);

/* Writes the whole row, options too; a new one where there was none. */
enum error_code bucket_put(struct db *db, const struct bucket *b);

/*
 * Destroys it: its entries wait for maintenance, its row stays for the revisions to go on.  The row is written at once, since
 * others of the same transaction may look for the name, or use it again; b is not to be used any more.
 */
enum error_code bucket_drop(struct txn *t, struct bucket *b);

/* Takes all entries away, markers and history too; revisions go on. */
enum error_code bucket_empty(struct txn *t, struct bucket *b);

/* When an entry written now with this ttl (0: the default) expires; 0 = never.  The bucket's own ttl is the maximum. */
int64_t bucket_expiry(const struct bucket *b, int64_t now, int64_t ttl);

#endif
