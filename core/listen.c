#include "listen.h"
#include "access.h"

#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "enqueue.h"
#include "hub.h"
#include "mem.h"

enum { DEFAULT_LEASE = 30000, TAKE_BYTES = 1 << 20, RETRY_MS = 20 };

static const int64_t lease_max = INT64_C(1) << 53;

struct listeners {
    struct kvs *kvs;
    struct hub *hub;
    struct listener *first;
    int64_t count;
};

struct listeners *listeners_new(struct kvs *kvs, struct hub *hub)
{
    struct listeners *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->kvs = kvs;
    l->hub = hub;
    return l;
}

void listeners_free(struct listeners *l)
{
    mem_free(l);
}

/* Behind the others: whoever has waited longest is served first. */
static void append(struct listeners *l, struct listener *listener)
{
    struct listener **at = &l->first;

    while (*at)
        at = &(*at)->next;
    listener->next = NULL;
    *at = listener;
}

void listeners_add(struct listeners *l, struct listener *listener)
{
    listener->hub = l->hub;
    append(l, listener);
    l->count++;
}

int64_t listeners_count(const struct listeners *l)
{
    return l->count;
}

enum error_code queue_listen_parse(struct call *call)
{
    static const char *const names[] = {"topic", "limit", "leaseMs", "heartbeat", NULL};
    struct listener *l = call_args(call, sizeof *l);
    struct fields f;

    if (!l)
        return ERR_NO_MEMORY;
    l->topic = QUEUE_DEFAULT_TOPIC;
    l->topic_len = sizeof QUEUE_DEFAULT_TOPIC - 1;
    l->limit = 1;
    l->lease_ms = DEFAULT_LEASE;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_topic(&f, "topic", &l->topic, &l->topic_len);
    if (!rc)
        rc = fields_int(&f, "limit", 1, LISTEN_LIMIT_MAX, &l->limit);
    if (!rc)
        rc = fields_int(&f, "leaseMs", 1, lease_max, &l->lease_ms);
    if (!rc)
        rc = stream_parse(call, &f, &l->stream);
    if (rc)
        return rc;
    l->held = arena_alloc(&call->arena, (size_t)l->limit * sizeof *l->held);
    l->taken = arena_alloc(&call->arena, (size_t)l->limit * sizeof *l->taken);
    return l->held && l->taken ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code queue_listen_allow(struct call *call)
{
    const struct listener *l = call->args;
    return access_topic(call, "topic", l->topic, l->topic_len);
}

enum error_code queue_listen(struct call *call)
{
    struct listener *l = call->args;

    if (call->request->method == METHOD_HEAD) {
        call_answer(call, ERR_OK);
        return ERR_OK;
    }
    stream_start(&l->stream);
    /* A heartbeat at once: some servers keep the head back until there is something behind it. */
    l->stream.next_beat = clock_mono();
    hub_listen(call->kvs->hub, l);
    return ERR_OK;
}

static struct listener *of_job(struct commit_job *job)
{
    return (struct listener *)((char *)job - offsetof(struct listener, job));
}

/* One message, as the members of its stream object. */
static enum error_code add_message(void *context, const struct message *m)
{
    struct listener *l = context;
    struct json_out out;

    l->taken[l->taken_count++] = (struct delivery){m->id, m->lease};
    buf_lit(&l->objects, "\"message\":");
    json_out_init(&out, &l->objects);
    message_to_json(&out, m);
    buf_byte(&l->objects, '\n');
    return buf_ok(&l->objects) ? ERR_OK : ERR_NO_MEMORY;
}

static enum error_code apply_take(struct commit_job *job, struct txn *t)
{
    struct listener *l = of_job(job);
    struct message_claim claim = {.limit = l->limit - (int64_t)l->held_count,
                                  .max_bytes = TAKE_BYTES,
                                  .lease_ms = l->lease_ms,
                                  .visit = add_message,
                                  .context = l};
    l->taken_count = 0;
    buf_clear(&l->objects);
    return message_claim(t, l->topic, l->topic_len, &claim);
}

static void take_done(struct commit_job *job, enum error_code rc)
{
    struct listener *l = of_job(job);
    struct hub *hub = l->hub;

    l->rc = rc;
    atomic_store(&l->finished, true);
    hub_notify(hub);
}

/* What a job has brought, to the stream. */
static void deliver(struct listener *l)
{
    const char *p = l->objects.data;

    l->busy = false;
    atomic_store(&l->finished, false);
    if (l->rc) {
        l->reason = error_name(l->rc);
        return;
    }
    for (size_t i = 0; i < l->taken_count; i++) {
        /* JSON text has no line feed of its own. */
        size_t len = (size_t)((const char *)memchr(p, '\n', l->objects.len) - p);
        stream_object(&l->stream, "message", p, len, l->taken[i].id);
        p += len + 1;
        l->held[l->held_count++] = l->taken[i];
    }
    buf_free(&l->objects);
}

/* Whether the delivery is still this stream's. */
static enum error_code is_held(struct db *db, const struct delivery *d, int64_t now, bool *held)
{
    struct db_query *q = db_start(db, SQL_MESSAGE_LEASE, DB_INT(d->id));
    *held = db_step(q) && db_int(q, 0) == MESSAGE_LEASED && db_int(q, 1) == d->lease && db_int(q, 2) > now;
    return db_end(q);
}

static enum error_code forget_settled(struct listener *l, struct db *db, int64_t now)
{
    size_t kept = 0;
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < l->held_count; i++) {
        bool held;
        rc = is_held(db, &l->held[i], now, &held);
        if (held)
            l->held[kept++] = l->held[i];
    }
    if (!rc)
        l->held_count = kept;
    return rc;
}

/* Starts a job where the topic has something and the stream has room. */
static enum error_code take_if_due(struct listener *l, struct db *db, int64_t mono, int64_t *next)
{
    int64_t now, due = 0;
    enum error_code rc = store_now(db, &now);

    if (!rc)
        rc = forget_settled(l, db, now);
    if (!rc)
        rc = message_next_due(db, l->topic, l->topic_len, &due);
    if (rc || !due)
        return rc;
    if (due > now) {
        int64_t at = mono + (due - now);
        *next = at < *next ? at : *next;
        return ERR_OK;
    }
    if ((int64_t)l->held_count >= l->limit)
        return ERR_OK;
    l->busy = true;
    l->job = (struct commit_job){.apply = apply_take, .done = take_done};
    commit_submit(store_commit(l->stream.call->store), &l->job);
    return ERR_OK;
}

static void tick_one(struct listener *l, struct db *db, int64_t mono, int64_t *next)
{
    if (l->busy && atomic_load(&l->finished))
        deliver(l);
    if (atomic_load(&l->stream.call->request->gone))
        l->stream.gone = true;
    long behind = l->stream.gone ? 0 : stream_flush(&l->stream, mono);
    if (behind > STREAM_BACKLOG_MAX)
        l->reason = "slow";
    if (!l->reason && stream_expired(&l->stream, mono, next))
        l->reason = "expired";
    if (!l->reason && mono >= l->stream.until)
        l->reason = "limit";
    if (!l->busy && !l->reason && !l->stream.gone && take_if_due(l, db, mono, next))
        l->reason = "internal";
    if (l->busy && atomic_load(&l->finished))
        *next = mono; /* this very thread has committed it */
    int64_t at = l->stream.next_beat < l->stream.until ? l->stream.next_beat : l->stream.until;
    *next = at < *next ? at : *next;
}

/* Takes out those that are over; a job under way must come back first. */
static void sweep(struct listeners *l)
{
    for (struct listener **at = &l->first; *at;) {
        struct listener *one = *at;
        if (one->busy || (!one->reason && !one->stream.gone)) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        l->count--;
        buf_free(&one->objects);
        stream_end(&one->stream, one->reason);
    }
}

/* The first goes to the end, so that messages are shared out. */
static void rotate(struct listeners *l)
{
    struct listener *first = l->first;

    if (!first || !first->next)
        return;
    l->first = first->next;
    append(l, first);
}

void listeners_tick(struct listeners *l, int64_t mono, int64_t *next)
{
    struct db *db;

    if (!l->first)
        return;
    if (store_reader(l->kvs->file, &db)) {
        *next = mono + RETRY_MS < *next ? mono + RETRY_MS : *next;
        return;
    }
    for (struct listener *one = l->first; one; one = one->next)
        tick_one(one, db, mono, next);
    store_reader_done(l->kvs->file, db, false);
    sweep(l);
    rotate(l);
}

void listeners_stop(struct listeners *l)
{
    for (struct listener *one = l->first; one; one = one->next) {
        if (one->busy && atomic_load(&one->finished))
            deliver(one);
        if (!one->reason)
            one->reason = "stopping";
    }
    sweep(l);
}
