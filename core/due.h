/*
 * Has what a waiting call waits for come, and if not, when may it?  One look answers for all that wait: each topic, bucket and
 * lock is asked for once.
 */
#ifndef KVS_DUE_H
#define KVS_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"

struct due;

/* Begins a look at time mono (clock_mono).  NULL when out of memory. */
struct due *due_begin(int64_t mono);
void due_end(struct due *due);

/*
 * Whether it is the call's turn.  No more than a few calls that wait for one and the same thing have theirs in one look: their
 * commits are news for the others.  Lowers *next to the clock_mono time at which the answer may change without any commit.
 */
bool due_is(struct due *due, const struct call *call, int64_t *next);

#endif
