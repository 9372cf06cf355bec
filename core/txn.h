/*
 * One write transaction: the commit's time, the store's counters, and the buckets it touches, read once and written back
 * once.  Many jobs share one transaction (commit.h); each takes its own revision.
 */
#ifndef KVS_TXN_H
#define KVS_TXN_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "bucket.h"
#include "db.h"
#include "error.h"

struct txn {
    struct db *db;
    struct arena arena; /* until the transaction's end */
    /* For what one mutation reads: values may be large and mutations many.  Whoever needs it resets it first. */
    struct arena scratch;
    int64_t now; /* the commit's time: at least the last commit's */
    int64_t last_message;
    int64_t last_fence;
    int64_t last_bucket;
    int64_t commits; /* that there were before this one */
    struct bucket *buckets;
    int64_t job;  /* number of the job under way, from 1 */
    bool touched; /* the job under way has taken a revision, id or fence */
    bool wrote;   /* some job has written */
};

/* Reads the store's state; db is in a write transaction. */
enum error_code txn_load(struct txn *t, struct db *db);

/* Forgets what is cached, for txn_load to read anew. */
void txn_forget(struct txn *t);

/* Writes back the state, one commit counted, and changed buckets; they stay cached. */
enum error_code txn_flush(struct txn *t);

/* To be called before each job's apply. */
void txn_next_job(struct txn *t);

/* The bucket, cached for the transaction; options->max_value etc. included.  ERR_NO_BUCKET as bucket_find. */
enum error_code txn_bucket(struct txn *t, const char *name, struct bucket **b, struct error *err);

/* The revision of this job's writes to b: the next one, taken at the first call of the job. */
int64_t txn_revision(struct txn *t, struct bucket *b);

/* A revision of its own, for expiry found by a job before its own writes. */
int64_t txn_revision_apart(struct txn *t, struct bucket *b);

int64_t txn_next_message(struct txn *t);
int64_t txn_next_fence(struct txn *t);
int64_t txn_next_bucket(struct txn *t);

#endif
