/*
 * Requests that wait: who they are, what wakes them, when their time is up.  Commits of this process wake them at once;
 * those of others through a watch on the write-ahead log, confirmed by the database's data version.
 */
#ifndef KVS_HUB_H
#define KVS_HUB_H

#include <stdbool.h>

#include "call.h"
#include "error.h"
#include "service.h"

struct hub;

enum error_code hub_new(struct hub **hub, struct kvs *kvs);
/* Once the stores are open. */
enum error_code hub_open(struct hub *hub);
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

/* See kvs_cancel and kvs_stop. */
void hub_cancel(struct hub *hub, struct kvs_request *request);
void hub_stop(struct hub *hub);

#endif
