/*
 * libkvs: everything but the transports.  One handle per process; every function is safe to call from any thread unless
 * it says otherwise.
 */
#ifndef KVS_KVS_H
#define KVS_KVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "request.h"

struct kvs; /* opaque; made by kvs_open, freed by kvs_close */

enum kvs_mode {
    KVS_FASTCGI,
    KVS_CGI,
    KVS_TOOL,
    KVS_INSPECT, /* a tool that only looks, at a database that has lost commits too */
    KVS_ACCEPT   /* a tool that goes on without them */
};

/*
 * Opens (creating or migrating where needed) the database that config names.  config must outlive the handle.
 * Returns NULL with one line in message: what is wrong and what would be right.
 */
struct kvs *kvs_open(const struct config *config, enum kvs_mode mode, char *message, size_t message_size);

/* Closes.  Every request must have got its last sink call before (kvs_stop sees to those that wait). */
void kvs_close(struct kvs *kvs);

/*
 * Runs one request.  The sink's last call (answer or end) may come during this call, or later from another thread: writes
 * are answered by whichever thread committed them, waiting requests by kvs_tick.
 */
void kvs_handle(struct kvs *kvs, struct kvs_request *request);

/*
 * Has hold called by a thread that is about to be kept in kvs_handle for longer than its own request takes: it commits for
 * others too.  To be set before the first request.
 */
void kvs_on_hold(struct kvs *kvs, void (*hold)(void *context), void *context);

/* The client is gone: the core lets go of a waiting request, with sink->end as its last call, soon, on some thread. */
void kvs_cancel(struct kvs *kvs, struct kvs_request *request);

/*
 * Does what is due for requests that wait (streams, long polls) and, with own_maintenance, for expiry.  Returns the
 * milliseconds until it wants to be called again (-1: not before kvs_wake_fd is readable).  One thread at a time; it must
 * be called for requests that wait to make progress.
 */
int kvs_tick(struct kvs *kvs, bool own_maintenance);

/* A descriptor for poll: readable when kvs_tick has something to do.  kvs_tick drains it. */
int kvs_wake_fd(const struct kvs *kvs);

/*
 * Ends every waiting request (streams with an end object, long polls with an empty answer) and refuses new ones (503).  A write
 * that another process keeps from its turn gives up within seconds, and one of many transactions after the next of them (503).
 */
void kvs_stop(struct kvs *kvs);

#endif
