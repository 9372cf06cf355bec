/*
 * Requests that wait: who they are, what wakes them, when their time is up.  Commits of this process wake them at once;
 * those of others through a watch on the writer lock's file, and a slow poll where that fails.
 */
#ifndef KVS_HUB_H
#define KVS_HUB_H

#include <stdbool.h>

#include "call.h"
#include "error.h"
#include "service.h"

struct hub;
struct watcher;
struct listener;

enum error_code hub_new(struct hub **hub, struct kvs *kvs);
/* A database whose commits are news. */
void hub_add_store(struct hub *hub, const struct store *store);
/* Before the stores are closed. */
void hub_free(struct hub *hub);

/* Something was committed by this process. */
void hub_notify(struct hub *hub);

int hub_fd(const struct hub *hub);

/* See kvs_tick. */
int hub_tick(struct hub *hub);

/*
 * Takes a call that found nothing, until something it waits for happens or its time is up.  False: it must be answered
 * now (stopping, cancelled).
 */
bool hub_park(struct hub *hub, struct call *call);

/*
 * Keeps back the answer rc for ms.  No thread waits, and only so many answers are kept at a time: false when this one is to
 * be given now.
 */
bool hub_delay(struct hub *hub, struct call *call, enum error_code rc, int64_t ms);

/* Takes a stream that has begun. */
void hub_watch(struct hub *hub, struct watcher *watcher);
void hub_listen(struct hub *hub, struct listener *listener);

/* See kvs_cancel and kvs_stop. */
void hub_cancel(struct hub *hub, struct kvs_request *request);
void hub_stop(struct hub *hub);

/* How many wait, for the metrics. */
struct hub_counts {
    int64_t parked, watchers, listeners;
};
void hub_count(struct hub *hub, struct hub_counts *counts);

#endif
