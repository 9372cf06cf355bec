/*
 * Checks and mutations of keys: what /kv/atomic is made of, and every write of one key too.
 */
#ifndef KVS_MUTATION_H
#define KVS_MUTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "bucket.h"
#include "entry.h"
#include "error.h"
#include "fields.h"
#include "key.h"
#include "txn.h"
#include "value.h"

/* "The key is at this version and revision"; null in either means that it must not exist. */
struct check {
    struct key key;
    bool by_version, by_revision;
    bool missing; /* null was given */
    int64_t version, revision;
};

enum mutation_type { MUTATION_SET, MUTATION_DELETE, MUTATION_INCREMENT, MUTATION_TOUCH, MUTATION_PURGE };

/* A number as JSON has it: an exact integer, or a double. */
struct number {
    bool is_int;
    int64_t i;
    double d;
};

struct mutation {
    enum mutation_type type;
    struct key key;
    struct value value;  /* set */
    struct number delta; /* increment */
    int64_t ttl;         /* set, increment, touch; 0: the bucket's default */
    bool has_ttl;        /* it was given: increment and touch tell the difference */
};

struct mutation_result {
    bool changed;        /* false: there was nothing to change, and nothing was written */
    int64_t version;     /* of the key now; 0 where it is missing */
    struct value number; /* increment: the new value as JSON text, in the transaction's arena */
};

/* Reads `version` and `revision` of a check into c; at least one must be there, and null means a missing key. */
enum error_code check_parse(const struct fields *f, struct check *c);

/* Reads a delta, 1 where it is absent. */
enum error_code mutation_delta(const struct fields *f, struct number *delta);
/* Reads a ttl. */
enum error_code mutation_ttl(const struct fields *f, struct mutation *m);

/*
 * Looks whether the check holds; revision and version get those of the key now, 0 where it is missing.
 */
enum error_code check_holds(struct txn *t, const struct bucket *b, const struct check *c, bool *holds,
                            int64_t *revision, int64_t *version);

/* Whether the value fits the bucket's own limit; to be asked before anything else is judged. */
enum error_code mutation_fits(const struct bucket *b, const struct mutation *m, const char *field, struct error *err);

/*
 * Where the key has expired and m is going to write it: turns it into its marker first, at *revision (0: one of its own,
 * shared by further calls).  To be called for all mutations of a request before the first is applied.
 */
enum error_code mutation_expire(struct txn *t, struct bucket *b, const struct mutation *m, int64_t *revision);

/*
 * Applies it at the job's revision.  Errors name `field`.  room is what the bucket was after the last mutation_expire of the request; it
 * grows by what a touch or a marker adds, for which nobody is refused.
 */
enum error_code mutation_apply(struct txn *t, struct bucket *b, const struct mutation *m, const char *field,
                               struct mutation_result *r, struct entry_room *room, struct error *err);

/*
 * After all mutations of a request: whether the bucket may be as large as they have made it.  ERR_BUCKET_FULL by the bucket's limits,
 * with a message that names `field`.
 */
enum error_code mutation_check_room(struct txn *t, const struct bucket *b, struct entry_room room, const char *field,
                                    struct error *err);

#endif
