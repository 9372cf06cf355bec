/*
 * The one clock.  Milliseconds since the Unix epoch, read once a request.
 */
#ifndef KVS_CLOCK_H
#define KVS_CLOCK_H

#include <stdint.h>

/* Wall time now. */
int64_t clock_now(void);

/* Monotonic milliseconds, for deadlines and durations only. */
int64_t clock_mono(void);
/* Monotonic microseconds, for measuring. */
int64_t clock_mono_us(void);

/* For tests: replaces wall time by a function; NULL restores it. */
void clock_replace(int64_t (*now)(void));

#endif
