/*
 * Watches.  All watchers of a bucket share one feed: each change is read and written as JSON once, then goes to those whom it
 * concerns.  What is there when a watch begins is read for that watcher alone, page by page.
 *
 * Used by the ticking thread alone, but for watch_add, watch_parse and kv_watch.
 */
#ifndef KVS_WATCH_H
#define KVS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "error.h"
#include "service.h"

struct watches; /* all watchers of a process */
struct watcher;

struct watches *watches_new(struct kvs *kvs);
/* There must be no watcher left. */
void watches_free(struct watches *w);

/* Takes a watcher over; its stream has begun. */
void watches_add(struct watches *w, struct watcher *watcher);

int64_t watches_count(const struct watches *w);

/*
 * Reads what is new and hands it on.  Lowers *next to the clock_mono time at which there is something to do without news.
 */
void watches_tick(struct watches *w, int64_t mono, int64_t *next);

/* Ends all watches. */
void watches_stop(struct watches *w);

/* The operation. */
enum error_code kv_watch_parse(struct call *call);
enum error_code kv_watch_allow(struct call *call);
enum error_code kv_watch(struct call *call);

#endif
