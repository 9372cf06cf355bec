/*
 * A service at work, chosen by a seed: operations of every kind, group commits, maintenance, backups, while the shim writes down
 * what happens to its files.  Marks in the trace say what was acknowledged when.
 */
#ifndef KVS_TEST_WORKLOAD_H
#define KVS_TEST_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "model.h"
#include "tests/vfs/disk.h"
#include "tests/vfs/random.h"
#include "tests/vfs/trace.h"

/* What a mark of the trace says. */
enum workload_mark {
    MARK_ACKNOWLEDGED, /* what has been committed so far is promised */
    MARK_BEGIN_ONE,    /* a step that commits once at most */
    MARK_BEGIN_MANY,   /* one that may commit more often */
    MARK_END,          /* a step is over; its text is the state of the database */
    MARK_BACKUP        /* there is a backup of the state in its text */
};

enum workload_settings { WORKLOAD_RELAXED = 1, WORKLOAD_CGI = 2 };

enum { WORKLOAD_STEPS = 64 };

struct workload {
    struct trace trace;                  /* owned */
    struct model models[WORKLOAD_STEPS]; /* after each step; [i] belongs to the i-th MARK_END */
    size_t steps;
};

/*
 * Runs a service in a private directory, beginning with the files of `from` (NULL: nothing is there) which hold what `model` says
 * (NULL: nothing).  False where it did not do what it should; why is on standard output.  The result is to be freed with
 * workload_free in either case.
 */
bool workload_run(struct workload *w, struct rng *rng, unsigned settings, size_t steps, const struct disk_image *from,
                  const struct model *model);
void workload_free(struct workload *w);

#endif
