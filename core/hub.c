#include "hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "message.h"
#include "wake.h"

enum {
    POLL_MS = 1000,      /* how often others' commits are looked for without a signal of them */
    WAKES_PER_TOPIC = 16 /* waiters tried at once when a topic has something; their commits wake the next */
};

struct hub {
    struct kvs *kvs;
    struct wake *wake;
    pthread_mutex_t mutex; /* guards the list and stopped */
    struct call *first, *last;
    bool stopped;
    /* Of the ticking thread: */
    struct db *reader;
};

enum error_code hub_new(struct hub **out, struct kvs *kvs)
{
    struct hub *h = mem_zalloc(1, sizeof *h);
    if (!h)
        return ERR_NO_MEMORY;
    h->kvs = kvs;
    pthread_mutex_init(&h->mutex, NULL);
    *out = h;
    return ERR_OK;
}

enum error_code hub_open(struct hub *h)
{
    return wake_new(&h->wake, store_path(h->kvs->file));
}

static void close_reader(struct hub *h, bool broken)
{
    if (h->reader)
        store_reader_done(h->kvs->file, h->reader, broken);
    h->reader = NULL;
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    close_reader(h, false);
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
    bool waits = !h->stopped && !atomic_load(&call->request->gone);
    if (waits) {
        push(h, call);
        wake_watch(h->wake, true);
    }
    pthread_mutex_unlock(&h->mutex);
    /* The tick must learn of its deadline, and of what was committed since it looked. */
    if (waits)
        wake_now(h->wake);
    return waits;
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
    if (!call)
        return;
    call_free(call);
    request->sink->end(request->sink);
}

void hub_stop(struct hub *h)
{
    pthread_mutex_lock(&h->mutex);
    h->stopped = true;
    struct call *list = h->first;
    h->first = h->last = NULL;
    pthread_mutex_unlock(&h->mutex);
    while (list) {
        struct call *next = list->next;
        call_answer(list, ERR_OK);
        list = next;
    }
}

/* What one look found out about a topic, so that many waiters cost one query. */
struct topic_due {
    const char *topic;
    size_t len;
    int64_t due; /* 0: nothing waits there */
    int woken;
};

enum { TOPICS = 32 };

struct look {
    struct topic_due topics[TOPICS];
    size_t count;
    int64_t now; /* wall */
    int64_t mono;
    int64_t next; /* mono time of the earliest thing to come */
    struct call *run, **run_tail;
    struct call *expired, **expired_tail;
};

static struct topic_due *topic_of(struct hub *h, struct look *look, const struct call *call)
{
    for (size_t i = 0; i < look->count; i++) {
        struct topic_due *t = &look->topics[i];
        if (t->len == call->wait_topic_len && memcmp(t->topic, call->wait_topic, t->len) == 0)
            return t;
    }
    /* More topics than slots: the last slot is used again, which costs a query but nothing else. */
    struct topic_due *t = &look->topics[look->count < TOPICS ? look->count++ : TOPICS - 1];
    *t = (struct topic_due){.topic = call->wait_topic, .len = call->wait_topic_len};
    if (message_next_due(h->reader, t->topic, t->len, &t->due))
        close_reader(h, true);
    return t;
}

static void sooner(struct look *look, int64_t mono)
{
    if (mono < look->next)
        look->next = mono;
}

static bool is_due(struct hub *h, struct look *look, struct call *call)
{
    if (!h->reader)
        return false;
    struct topic_due *t = topic_of(h, look, call);
    if (!t->due)
        return false;
    if (t->due > look->now) {
        sooner(look, look->mono + (t->due - look->now));
        return false;
    }
    return t->woken++ < WAKES_PER_TOPIC;
}

static void take(struct hub *h, struct call *call, struct call ***tail)
{
    drop(h, call);
    **tail = call;
    *tail = &call->next;
}

static void look_at_all(struct hub *h, struct look *look)
{
    pthread_mutex_lock(&h->mutex);
    for (struct call *call = h->first, *next; call; call = next) {
        next = call->next;
        if (call->wait_until <= look->mono)
            take(h, call, &look->expired_tail);
        else if (is_due(h, look, call))
            take(h, call, &look->run_tail);
        else
            sooner(look, call->wait_until);
    }
    wake_watch(h->wake, h->first != NULL);
    pthread_mutex_unlock(&h->mutex);
}

static void finish(struct look *look)
{
    struct call *next;

    for (struct call *call = look->run; call; call = next) {
        next = call->next;
        call->next = NULL;
        call_run(call);
    }
    for (struct call *call = look->expired; call; call = next) {
        next = call->next;
        call->next = NULL;
        call_answer(call, ERR_OK);
    }
}

int hub_tick(struct hub *h)
{
    struct look look = {.now = clock_now(), .mono = clock_mono(), .next = INT64_MAX};

    wake_drain(h->wake);
    look.run_tail = &look.run;
    look.expired_tail = &look.expired;
    pthread_mutex_lock(&h->mutex);
    bool idle = h->first == NULL;
    pthread_mutex_unlock(&h->mutex);
    if (idle) {
        close_reader(h, false);
        return -1;
    }
    if (!h->reader && store_reader(h->kvs->file, &h->reader))
        h->reader = NULL;
    look_at_all(h, &look);
    finish(&look);
    if (look.next == INT64_MAX)
        return -1;
    int64_t wait = look.next - look.mono;
    return wait > POLL_MS ? POLL_MS : (int)wait;
}
