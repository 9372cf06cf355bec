/*
 * Maintenance: reclaims what reads already no longer see.  Everything happens in small transactions, between which other
 * writers get their turn; it may run in several processes at once.
 */
#ifndef KVS_MAINT_H
#define KVS_MAINT_H

#include <stdint.h>

#include "error.h"
#include "service.h"
#include "txn.h"

struct maint_report {
    int64_t expired; /* entries turned into markers */
    int64_t lapsed;  /* leases that ran out: messages put back or made dead letters */
    int64_t dead;    /* old dead letters dropped */
    int64_t markers; /* old markers dropped */
    int64_t rows;    /* rows of destroyed buckets removed */
    int64_t trimmed; /* keys whose history was longer than their bucket keeps, since that was lowered */
    int64_t names;   /* dedupe ids that are no longer held */
    int64_t locks;   /* locks whose time is over */
};

/* One whole run over every store, then a checkpoint.  report may be NULL. */
enum error_code maint_run(struct kvs *kvs, struct maint_report *report);

/*
 * The same in slices, for a thread that has other things to do: each call goes on where the last one stopped, at most until
 * `until` (clock_mono) and one small transaction more.  *over: the run has come to its end (or failed); the next call begins
 * another.  maint_new gives NULL when out of memory.
 */
struct maint;
struct maint *maint_new(struct kvs *kvs);
void maint_free(struct maint *maint);
enum error_code maint_slice(struct maint *maint, int64_t until, bool *over);

/*
 * One step, for whoever has a transaction: looks at no more than limit entries that have expired.  *count gets how many keys
 * it removed (what a destroyed or reset bucket left behind goes too, uncounted), *more whether others may remain.
 */
enum error_code maint_expire(struct txn *t, int64_t limit, int64_t *count, bool *more);

/* Copies the log into the database; truncate also cuts it. */
enum error_code maint_checkpoint(struct store *store, bool truncate);

enum { MAINT_STEP = 250 };

#endif
