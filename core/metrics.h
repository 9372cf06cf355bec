/*
 * What a process has done, for Prometheus: requests and their time by operation and status, counted as they are answered;
 * and what GET /metrics tells beside them of commits, those that wait, topics and buckets.
 */
#ifndef KVS_METRICS_H
#define KVS_METRICS_H

#include <stdint.h>

#include "call.h"
#include "dispatch.h"
#include "error.h"

struct metrics;

/* NULL when out of memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* One answer, or the head of a stream: op NULL where there was no such endpoint, us since the request came.  Any thread. */
void metrics_count(struct metrics *metrics, const struct op *op, int status, int64_t us);

/* The operation. */
enum error_code metrics_read(struct call *call, struct view *view);

#endif
