/*
 * Group commit: concurrent writes of a process are collected and committed in one transaction with one sync.  Whichever
 * thread finds nobody leading leads: it takes what is queued, commits it, calls each job's done, and goes on until the
 * queue is empty or, where that does not happen soon, a thread of the commit's own takes over.  A thread that submits
 * while another leads returns at once.
 */
#ifndef KVS_COMMIT_H
#define KVS_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "error.h"
#include "histogram.h"
#include "txn.h"
#include "writelock.h"

struct commit;

struct commit_job {
    /*
     * Does the job's writes.  May be called again from the start, after everything it did was taken back.  On failure
     * nothing of the job stays, whatever it wrote before.
     */
    enum error_code (*apply)(struct commit_job *job, struct txn *txn);
    /* The outcome is known: ERR_OK means committed (and synced, unless relaxed).  Called once, without any lock held. */
    void (*done)(struct commit_job *job, enum error_code rc);
    /* Instead of apply: runs under the writer lock, outside a transaction (checkpoints). */
    enum error_code (*outside)(struct commit_job *job, struct db *db);
    /* Set by commit_submit and the leader. */
    struct commit_job *next;
    int64_t deadline;
    enum error_code rc;
};

struct commit_options {
    const char *path; /* the database file; must outlive the commit */
    uint64_t file;    /* tells it apart, for writelock_note */
    unsigned db_flags;
    int64_t busy_timeout; /* ms a job waits for its turn */
    int64_t wal_limit;    /* bytes of log after which the leader checkpoints */
    /* Called by the leader after each commit that wrote something, before the jobs' done. */
    void (*on_commit)(void *context);
    /* Called by a thread that is about to lead: it may be kept for as long as others submit jobs.  NULL: nobody asks. */
    void (*on_lead)(void *context);
    void *context;
    /* A checkpoint also cuts the log to nothing, for programs that would have to read all of it when they open it. */
    bool wal_cut;
};

/* What leaders have measured since the start, for the metrics; times in microseconds. */
struct commit_stats {
    struct histogram jobs;       /* in each transaction; as many values as there were transactions */
    struct histogram commit;     /* a transaction, from its begin to the end of its sync */
    struct histogram sync;       /* of that, the commit itself: the log is written and synced */
    struct histogram company;    /* the wait for those who come back, where there was one */
    struct histogram lock;       /* the wait for other processes to write */
    struct histogram checkpoint; /* the log was written back */
};

/* lock and writer become the commit's. */
enum error_code commit_new(struct commit **commit, const struct commit_options *options, struct writelock *lock,
                           struct db *writer);
void commit_free(struct commit *commit);

void commit_submit(struct commit *commit, struct commit_job *job);

/*
 * The writer's connection to read with, until commit_return: for a process with one thread, which then needs no second one.
 * NULL where it is in use.  A job meanwhile gets a connection of its own.
 */
struct db *commit_borrow(struct commit *commit);
void commit_return(struct commit *commit, struct db *db);

/* Submits and waits for the outcome. */
enum error_code commit_wait(struct commit *commit, struct commit_job *job);

/* Nobody waits for the writer lock past `until` (clock_mono) any more: such jobs get ERR_BUSY.  Any thread may say so. */
void commit_hurry(struct commit *commit, int64_t until);

/* The commit's, and filled by it meanwhile. */
const struct commit_stats *commit_stats(const struct commit *commit);

#endif
