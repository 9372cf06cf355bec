/*
 * How long a commit waits for company.  Where a sync takes long, the clients that a commit has answered come back while the
 * leader syncs for the others; so each half waits for the other half's sync and then for its own.  A leader that waits a
 * moment for those who were about serves all with one sync.  It pays where they come back in much less time than a sync takes:
 * from the end of a commit, telling its clients included, half of one is waited at most, and where they were not back by then,
 * some commits go by before it is tried again, twice as many each time.
 *
 * This decides only; the caller has the queue and the clock.  One thread at a time.
 */
#ifndef KVS_GATHER_H
#define KVS_GATHER_H

#include <stdint.h>

/* All zero: nothing is known yet, and nobody waited for. */
struct gather {
    int64_t sync;  /* us that one takes besides the transfer, as an average of the last ones */
    int about;     /* jobs that are worth waiting for, */
    int64_t until; /* till then (us) */
    int skip;      /* commits that do not wait, after the wait that was in vain last, */
    int skipped;   /* and how many of them are past */
};

/*
 * After a commit, before its jobs are answered.  about: the jobs that it took and those that have come since then, but no more than
 * the next one can take.  sync: how long its sync took (us), and written: of how many bytes, whose transfer company would not have
 * shared.  now: the time (us), of a clock that nobody sets.
 */
void gather_note(struct gather *g, int about, int64_t sync, int64_t written, int64_t now);

/* Before a commit, while so many jobs are queued: until when to wait that they are as many as g->about; 0: not at all. */
int64_t gather_until(struct gather *g, int queued);

/* After that wait: how many there are now. */
void gather_waited(struct gather *g, int queued);

#endif
