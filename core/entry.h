/*
 * Entries: the newest state of each key, what came before it, and the rules of versions, revisions, history and expiry.
 */
#ifndef KVS_ENTRY_H
#define KVS_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "bucket.h"
#include "db.h"
#include "error.h"
#include "json_out.h"
#include "key.h"
#include "txn.h"
#include "value.h"

/* Stored in the database: the numbers are part of the file format. */
enum entry_op { ENTRY_PUT = 0, ENTRY_DEL = 1, ENTRY_PURGE = 2, ENTRY_EXPIRE = 3 };

struct entry {
    struct key key;   /* as value.data: the row's memory, or an arena's after entry_find */
    int64_t revision; /* 0: there is no such entry */
    int64_t version;  /* 0 on markers */
    int64_t created;
    int64_t expires; /* 0: never */
    enum entry_op op;
    struct value value; /* as stored; value_expand before use */
};

/* The one place that decides whether an entry is there for a reader at time now. */
static inline bool entry_is_live(const struct entry *e, int64_t now)
{
    return e->revision && e->op == ENTRY_PUT && (e->expires == 0 || e->expires > now);
}

/* It was live once, but its time is over and nobody has removed it yet. */
static inline bool entry_is_expired(const struct entry *e, int64_t now)
{
    return e->revision && e->op == ENTRY_PUT && e->expires != 0 && e->expires <= now;
}

/*
 * Reads the SQL_ENTRY columns of the current row, from column `first` on; pointers are the row's.  ERR_CORRUPT where the
 * row's checksum is wrong.
 */
enum error_code entry_read(struct db_query *q, int first, int64_t bucket, struct entry *e);

/* The same for SQL_ENTRY_FIND, which leaves out the key that was asked for; e->key points to that. */
enum error_code entry_read_found(struct db_query *q, int64_t bucket, const struct key *key, struct entry *e);

/* Moves what e points to into the arena, so that it outlives its row. */
enum error_code entry_keep(struct entry *e, struct arena *arena);

/* The newest state of a key, markers and expired ones too; e->revision is 0 where there is none. */
enum error_code entry_find(struct db *db, int64_t bucket, const struct key *key, struct entry *e, struct arena *arena);

/* What exactly that revision wrote, where it is still held; else e->revision is 0. */
enum error_code entry_find_revision(struct db *db, int64_t bucket, const struct key *key, int64_t revision,
                                    struct entry *e, struct arena *arena);

/*
 * Writes.  old is the key's present entry as entry_find gave it, already passed through entry_expire; it is moved to the
 * history where the bucket keeps one.  The revision is the job's.
 */

/* Sets the key's value; e gets the entry as written.  ERR_TOO_LARGE by the bucket's limit of a value. */
enum error_code entry_put(struct txn *t, struct bucket *b, const struct entry *old, const struct key *key,
                          const struct value *value, int64_t expires, struct entry *e);

/* What a bucket holds. */
struct entry_room {
    int64_t keys, bytes;
};

static inline struct entry_room entry_room_of(const struct bucket *b)
{
    return (struct entry_room){b->keys, b->bytes};
}

/*
 * After values were put: ERR_BUCKET_FULL where the bucket has grown since `before` and is over its limits.  Expired entries that
 * nobody has removed yet do not count.
 */
enum error_code entry_check_room(struct txn *t, const struct bucket *b, struct entry_room before);

/* The same value with another expiry: a commit, but the version stays. */
enum error_code entry_touch(struct txn *t, struct bucket *b, const struct entry *old, int64_t expires, struct entry *e);

/* Puts a marker in the place of a live key; op PURGE also drops its history. */
enum error_code entry_mark(struct txn *t, struct bucket *b, const struct entry *old, enum entry_op op, struct entry *e);

/*
 * Where *old is expired: writes its EXPIRE marker, at `revision` (0: one of its own), and updates *old to it.
 */
enum error_code entry_expire(struct txn *t, struct bucket *b, struct entry *old, int64_t *revision);

/* Drops a marker and what history the key has; the bucket's compacted mark moves. */
enum error_code entry_drop_marker(struct txn *t, struct bucket *b, const struct key *key, int64_t revision);

/* Drops markers written at or before `until`, at most limit; *count gets how many. */
enum error_code entry_drop_markers(struct txn *t, struct bucket *b, int64_t until, int64_t limit, int64_t *count);

/* Drops history beyond what the bucket keeps, after its option was lowered. */
enum error_code entry_trim(struct txn *t, struct bucket *b, const struct key *key);

/*
 * The same for keys behind *place that have more, at most limit of them; *count gets how many, *place the last one, in
 * memory of the arena's.
 */
enum error_code entry_trim_keys(struct txn *t, struct bucket *b, size_t limit, struct key *place, size_t *count,
                                struct arena *arena);

/* Writes an entry as it was in another database, whatever the rules above say.  One that is there is newer, and stays. */
enum error_code entry_load(struct txn *t, struct bucket *b, const struct entry *e);

/*
 * Likewise an older value of a key whose entry is loaded; *orphan, and nothing done, where there is none.  ERR_CONFLICT where
 * it is not older than the entry.
 */
enum error_code entry_load_history(struct txn *t, struct bucket *b, const struct entry *e, bool *orphan);

/*
 * The entry as a JSON object: key, value (unless meta_only: then "length"), version, revision, created, expiresAt,
 * operation.  Expands the value into the arena where needed.
 */
enum error_code entry_to_json(struct json_out *out, struct entry *e, bool meta_only, struct arena *arena);

/* The same, with its value, of the entry whose key was given so. */
enum error_code entry_to_json_given(struct json_out *out, struct entry *e, const struct key_given *given,
                                    struct arena *arena);

#endif
