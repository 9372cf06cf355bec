/*
 * What the workers of kvs.fcgi share.  Every worker waits on one epoll set and serves on the spot whatever it gets: a
 * new connection, a request, output that can go on, the timer, the core's wake-up.  There is no hand-over.
 */
#ifndef KVS_FRONT_H
#define KVS_FRONT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "conn.h"
#include "kvs.h"
#include "listen.h"
#include "spool.h"

struct front {
    const struct config *config;
    struct kvs *kvs;
    struct listener listener;
    int epoll_fd;
    int timer_fd;
    int quit_fd;     /* eventfd: readable when the workers are to return */
    atomic_int slow; /* above 0: requests have taken long lately */
    atomic_bool stopping;
    atomic_bool quit;
    struct spool_budget budget;
    atomic_int paused; /* connections that wait for budget */
    atomic_int coming; /* threads that may have accepted a connection and not begun with it yet */

    /* Connection objects.  pool_lock is taken after a connection's lock or alone. */
    pthread_mutex_t pool_lock;
    struct conn **conns; /* limit pointers, made of them set */
    size_t limit;
    size_t made;
    size_t active; /* of those, in use */
    struct conn *free;
    bool accepting; /* the listening socket is in the epoll set */

    /* The timer: one thread at a time ticks. */
    pthread_mutex_t timer_lock;
    int64_t timer_due; /* clock_mono at which it fires; INT64_MAX: not set */
    pthread_mutex_t tick_lock;
    atomic_bool tick_wanted;
    atomic_bool sweeping; /* a sweep is due sometime */
    int64_t sweep_due;    /* the ticking thread's */
};

/*
 * Sets up; the listener becomes the front's.  limit is the most connections at once.  False with a message on failure;
 * front_free is then due all the same.
 */
bool front_init(struct front *f, const struct config *config, struct kvs *kvs, const struct listener *listener,
                size_t limit, char *message, size_t message_size);
void front_free(struct front *f);

/*
 * Serves with that many workers until one of SIGTERM, SIGINT and SIGUSR1 (which must be blocked in the calling thread)
 * arrives, then stops within 5 seconds.  False with a message where it could not begin.
 * *clean says whether every request got its answer, without which kvs_close must not be called.
 */
bool front_run(struct front *f, unsigned threads, bool *clean, char *message, size_t message_size);

/* An object of the pool, its state CONN_FREE, or NULL: no more for now, and accepting is off until one comes back. */
struct conn *front_take(struct front *f);
/* Gives it back. */
void front_put(struct front *f, struct conn *c);
/* Stops accepting until a connection ends: descriptors have run out. */
void front_pause(struct front *f);

/*
 * Has one worker that waits told of connections, at once if there are some in the queue.  Being told uses it up: until
 * somebody announces again, connections wake nobody.
 */
void front_announce(struct front *f);

/* Bytes that a spool may have in all: a body in many small records is larger than its content. */
size_t front_spool_limit(const struct front *f);

/* Accepts again where it was off. */
void front_resume(struct front *f);
/* Connections in use, and how many of conns are set. */
size_t front_active(struct front *f, size_t *made);

/* Has the timer fire at due (clock_mono) or before. */
void front_timer(struct front *f, int64_t due);
/* The timer has fired: it is to be set anew. */
void front_timer_fired(struct front *f);
/* Sees to it that a sweep comes. */
void front_want_sweep(struct front *f);

#endif
