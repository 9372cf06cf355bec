#include "hub.h"

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "due.h"
#include "listen.h"
#include "mem.h"
#include "wake.h"
#include "watch.h"
#include "watcher.h"

enum {
    POLL_MS = 1000,   /* how often others' commits are looked for without a signal of them */
    DELAYED_MAX = 256 /* answers kept back at a time */
};

struct hub {
    struct wake *wake;
    struct watches *watches;     /* the ticking thread's */
    struct listeners *listeners; /* the ticking thread's */
    atomic_llong watcher_count, listener_count;
    pthread_mutex_t mutex;     /* guards what follows */
    struct call *first, *last; /* parked */
    int delayed;               /* ... of which wait for their time alone */
    struct watcher *new_watchers;
    struct listener *new_listeners;
    bool stopped;
    bool waiting; /* somebody is, so that the log is watched */
};

enum error_code hub_new(struct hub **out, struct kvs *kvs)
{
    struct hub *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return ERR_NO_MEMORY;
    pthread_mutex_init(&h->mutex, NULL);
    h->watches = watches_new(kvs);
    h->listeners = listeners_new(kvs, h);
    enum error_code rc = wake_new(&h->wake);
    if (!rc && h->watches && h->listeners) {
        *out = h;
        return ERR_OK;
    }
    hub_free(h);
    return ERR_NO_MEMORY;
}

void hub_add_store(struct hub *h, const struct store *store)
{
    wake_add_store(h->wake, store_path(store));
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    watches_free(h->watches);
    listeners_free(h->listeners);
    wake_free(h->wake);
    pthread_mutex_destroy(&h->mutex);
    mem_free(h);
}

void hub_notify(struct hub *h)
{
    wake_now(h->wake);
}

int hub_fd(const struct hub *h)
{
    return wake_fd(h->wake);
}

/* The list; under the mutex. */

static void push(struct hub *h, struct call *call)
{
    h->delayed += call->wait.kind == WAIT_TIME;
    call->next = NULL;
    call->prev = h->last;
    if (h->last)
        h->last->next = call;
    else
        h->first = call;
    h->last = call;
}

static void drop(struct hub *h, struct call *call)
{
    h->delayed -= call->wait.kind == WAIT_TIME;
    if (call->prev)
        call->prev->next = call->next;
    else
        h->first = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        h->last = call->prev;
    call->next = call->prev = NULL;
}

bool hub_park(struct hub *h, struct call *call)
{
    pthread_mutex_lock(&h->mutex);
    bool room = call->wait.kind != WAIT_TIME || h->delayed < DELAYED_MAX;
    bool waits = room && !h->stopped && !atomic_load(&call->request->gone);
    if (waits) {
        push(h, call);
        h->waiting = true;
        wake_watch(h->wake, true);
    }
    pthread_mutex_unlock(&h->mutex);
    /* The tick must learn of its deadline, and look for what was committed since the call looked. */
    if (waits)
        wake_now(h->wake);
    return waits;
}

bool hub_delay(struct hub *h, struct call *call, enum error_code rc, int64_t ms)
{
    call->wait = (struct wait){.kind = WAIT_TIME};
    call->wait_until = clock_mono() + ms;
    call->late = rc;
    return hub_park(h, call);
}

void hub_watch(struct hub *h, struct watcher *w)
{
    pthread_mutex_lock(&h->mutex);
    bool stopped = h->stopped;
    if (!stopped) {
        w->next = h->new_watchers;
        h->new_watchers = w;
        h->waiting = true;
        wake_watch(h->wake, true);
    }
    pthread_mutex_unlock(&h->mutex);
    if (stopped)
        stream_end(&w->stream, "stopping");
    else
        wake_now(h->wake);
}

void hub_listen(struct hub *h, struct listener *l)
{
    pthread_mutex_lock(&h->mutex);
    bool stopped = h->stopped;
    if (!stopped) {
        l->next = h->new_listeners;
        h->new_listeners = l;
        h->waiting = true;
        wake_watch(h->wake, true);
    }
    pthread_mutex_unlock(&h->mutex);
    if (stopped)
        stream_end(&l->stream, "stopping");
    else
        wake_now(h->wake);
}

void hub_cancel(struct hub *h, struct kvs_request *request)
{
    struct call *call;

    atomic_store(&request->gone, true);
    pthread_mutex_lock(&h->mutex);
    for (call = h->first; call && call->request != request; call = call->next)
        ;
    if (call)
        drop(h, call);
    pthread_mutex_unlock(&h->mutex);
    if (call) {
        call_free(call);
        request->sink->end(request->sink);
    } else {
        wake_now(h->wake); /* a stream: the tick lets go of it */
    }
}

void hub_stop(struct hub *h)
{
    pthread_mutex_lock(&h->mutex);
    h->stopped = true;
    h->waiting = true;
    wake_watch(h->wake, true);
    pthread_mutex_unlock(&h->mutex);
    wake_now(h->wake);
}

void hub_count(struct hub *h, struct hub_counts *counts)
{
    *counts =
        (struct hub_counts){.watchers = atomic_load(&h->watcher_count), .listeners = atomic_load(&h->listener_count)};
    pthread_mutex_lock(&h->mutex);
    for (struct call *call = h->first; call; call = call->next)
        counts->parked++;
    pthread_mutex_unlock(&h->mutex);
}

struct ready {
    struct call *run, **run_tail;
    struct call *over, **over_tail; /* their time is up */
};

static void take(struct hub *h, struct call *call, struct call ***tail)
{
    drop(h, call);
    **tail = call;
    *tail = &call->next;
}

/* Picks the parked calls whose turn it is. */
static void pick(struct hub *h, struct ready *ready, int64_t mono, int64_t *next)
{
    struct due *due = h->first ? due_begin(mono) : NULL;

    for (struct call *call = h->first, *after; call; call = after) {
        after = call->next;
        if (call->wait_until <= mono || h->stopped)
            take(h, call, &ready->over_tail);
        else if (call->wait.kind != WAIT_TIME && due && due_is(due, call, next))
            take(h, call, &ready->run_tail);
        else if (call->wait_until < *next)
            *next = call->wait_until;
    }
    due_end(due);
}

static void finish(const struct ready *ready)
{
    struct call *after;

    for (struct call *call = ready->run; call; call = after) {
        after = call->next;
        call->next = NULL;
        call_run(call);
    }
    for (struct call *call = ready->over; call; call = after) {
        after = call->next;
        call->next = NULL;
        call_answer(call, call->late);
    }
}

/* Streams that began since the last tick, taken over. */
static void welcome(struct hub *h, struct watcher *watchers, struct listener *listeners)
{
    while (watchers) {
        struct watcher *w = watchers;
        watchers = w->next;
        watches_add(h->watches, w);
    }
    while (listeners) {
        struct listener *l = listeners;
        listeners = l->next;
        listeners_add(h->listeners, l);
    }
}

static void tick_streams(struct hub *h, bool stopped, int64_t mono, int64_t *next)
{
    if (stopped) {
        watches_stop(h->watches);
        listeners_stop(h->listeners);
    } else {
        watches_tick(h->watches, mono, next);
        listeners_tick(h->listeners, mono, next);
    }
    atomic_store(&h->watcher_count, watches_count(h->watches));
    atomic_store(&h->listener_count, listeners_count(h->listeners));
}

int hub_tick(struct hub *h)
{
    int64_t mono = clock_mono(), next = mono + POLL_MS;
    struct ready ready = {.run = NULL, .over = NULL};

    ready.run_tail = &ready.run;
    ready.over_tail = &ready.over;
    wake_drain(h->wake);
    pthread_mutex_lock(&h->mutex);
    bool waiting = h->waiting, stopped = h->stopped;
    if (waiting)
        pick(h, &ready, mono, &next);
    struct watcher *watchers = h->new_watchers;
    struct listener *listeners = h->new_listeners;
    h->new_watchers = NULL;
    h->new_listeners = NULL;
    pthread_mutex_unlock(&h->mutex);
    if (!waiting)
        return -1;
    finish(&ready);
    welcome(h, watchers, listeners);
    tick_streams(h, stopped, mono, &next);
    pthread_mutex_lock(&h->mutex);
    h->waiting =
        h->first || h->new_watchers || h->new_listeners || watches_count(h->watches) || listeners_count(h->listeners);
    wake_watch(h->wake, h->waiting);
    waiting = h->waiting;
    pthread_mutex_unlock(&h->mutex);
    int64_t now = clock_mono();
    return !waiting ? -1 : next <= now ? 0 : (int)(next - now);
}
