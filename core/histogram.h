/*
 * How often a value was how large, in fixed steps: what Prometheus calls a histogram.  Filled and read by any thread; a reader
 * meanwhile may see a value counted whose size is not in the sum yet.
 */
#ifndef KVS_HISTOGRAM_H
#define KVS_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_STEPS = 16 };

/* What is measured. */
enum histogram_kind {
    HISTOGRAM_TIME, /* microseconds: from 100 us to 30 s */
    HISTOGRAM_COUNT /* items: powers of two up to 32768 */
};

/* All zero: empty. */
struct histogram {
    atomic_llong sum;
    atomic_llong
        counts[HISTOGRAM_STEPS + 1]; /* of values up to each step and above the one before; the last: above all */
};

/* The largest value that a step (below HISTOGRAM_STEPS) takes in. */
int64_t histogram_bound(enum histogram_kind kind, size_t step);

void histogram_add(struct histogram *h, enum histogram_kind kind, int64_t value);

/* How many values were added, and their sum. */
int64_t histogram_count(const struct histogram *h);
int64_t histogram_sum(const struct histogram *h);

#endif
