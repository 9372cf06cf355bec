#include "clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

/* The test's clock, if any.  Time is read where no handle is at hand (log lines), so this is the process's. */
static int64_t (*_Atomic replaced)(void);

static struct timespec read_clock(clockid_t id)
{
    struct timespec t = {0, 0};
    clock_gettime(id, &t);
    return t;
}

int64_t clock_now(void)
{
    int64_t (*now)(void) = atomic_load_explicit(&replaced, memory_order_relaxed);
    if (now)
        return now();
    struct timespec t = read_clock(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_mono_us(void)
{
    struct timespec t = read_clock(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_replace(int64_t (*now)(void))
{
    atomic_store(&replaced, now);
}
