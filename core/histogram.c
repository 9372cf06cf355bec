#include "histogram.h"

static const int64_t times[HISTOGRAM_STEPS] = {100,   250,    500,    1000,   2500,    5000,    10000,    25000,
                                               50000, 100000, 250000, 500000, 1000000, 2500000, 10000000, 30000000};

int64_t histogram_bound(enum histogram_kind kind, size_t step)
{
    return kind == HISTOGRAM_TIME ? times[step] : INT64_C(1) << step;
}

void histogram_add(struct histogram *h, enum histogram_kind kind, int64_t value)
{
    size_t step = 0;

    while (step < HISTOGRAM_STEPS && value > histogram_bound(kind, step))
        step++;
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->counts[step], 1, memory_order_relaxed);
}

int64_t histogram_count(const struct histogram *h)
{
    int64_t count = 0;

    for (size_t i = 0; i <= HISTOGRAM_STEPS; i++)
        count += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
    return count;
}

int64_t histogram_sum(const struct histogram *h)
{
    return atomic_load_explicit(&h->sum, memory_order_relaxed);
}
