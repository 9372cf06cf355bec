#include "watch.h"
#include "access.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "change.h"
#include "clock.h"
#include "feed.h"
#include "hub.h"
#include "json_num.h"
#include "maint.h"
#include "mem.h"
#include "watcher.h"

/* One store that is watched, with the connection that looks at it. */
struct source {
    struct store *store;
    struct db *reader;
    int64_t data_version;
    int64_t next_expiry;     /* wall time when the next entry expires; 0: none does */
    int64_t next_expiry_run; /* clock_mono */
};

enum { SOURCES = 2, EXPIRY_PAUSE_MS = 100 };

struct watches {
    struct kvs *kvs;
    struct feed *feeds;
    struct source sources[SOURCES];
    struct commit_job expiry;
    atomic_bool expiring;
};

struct watches *watches_new(struct kvs *kvs)
{
    struct watches *w = mem_zalloc(1, sizeof *w);
    if (w)
        w->kvs = kvs;
    return w;
}

static void close_source(struct source *s, bool broken)
{
    if (s->reader)
        store_reader_done(s->store, s->reader, broken);
    *s = (struct source){.store = NULL};
}

void watches_free(struct watches *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < SOURCES; i++)
        close_source(&w->sources[i], false);
    mem_free(w);
}

int64_t watches_count(const struct watches *w)
{
    int64_t n = 0;

    for (const struct feed *f = w->feeds; f; f = f->next)
        for (const struct watcher *one = f->watchers; one; one = one->next)
            n++;
    return n;
}

static struct source *source_of(struct watches *w, struct store *store)
{
    for (size_t i = 0; i < SOURCES; i++)
        if (w->sources[i].store == store)
            return &w->sources[i];
    struct source *s = w->sources[0].store ? &w->sources[1] : &w->sources[0];
    s->store = store;
    return s;
}

static struct feed *feed_of(struct watches *w, const struct watcher *watcher)
{
    struct feed *f = w->feeds;

    while (f && !feed_is(f, watcher->stream.call->store, watcher->stream.call->bucket))
        f = f->next;
    if (f)
        return f;
    f = feed_new(watcher->stream.call->store, watcher->stream.call->bucket);
    if (f) {
        f->next = w->feeds;
        w->feeds = f;
    }
    return f;
}

void watches_add(struct watches *w, struct watcher *watcher)
{
    struct feed *f = feed_of(w, watcher);

    if (f)
        feed_join(f, watcher);
    else
        stream_end(&watcher->stream, "busy");
}

/* Expired entries become markers while somebody watches, not only at the next maintenance. */

static enum error_code apply_expiry(struct commit_job *job, struct txn *t)
{
    int64_t count;
    bool more;
    (void)job;
    return maint_expire(t, MAINT_STEP, &count, &more);
}

static void expiry_done(struct commit_job *job, enum error_code rc)
{
    struct watches *w = (struct watches *)((char *)job - offsetof(struct watches, expiry));
    (void)rc;
    atomic_store(&w->expiring, false);
}

static void expire(struct watches *w, struct source *s, bool news, int64_t mono, int64_t *next)
{
    int64_t now = clock_now();

    if (news || (s->next_expiry && s->next_expiry <= now)) {
        struct db_query *q = db_start_n(s->reader, SQL_ENTRY_NEXT_EXPIRY, NULL, 0);
        s->next_expiry = db_step(q) ? db_int(q, 0) : 0;
        db_end(q);
    }
    if (!s->next_expiry)
        return;
    int64_t due = s->next_expiry <= now ? mono : mono + (s->next_expiry - now);
    if (due < s->next_expiry_run)
        due = s->next_expiry_run;
    if (due <= mono && !atomic_exchange(&w->expiring, true)) {
        w->expiry = (struct commit_job){.apply = apply_expiry, .done = expiry_done};
        s->next_expiry_run = mono + EXPIRY_PAUSE_MS;
        commit_submit(store_commit(s->store), &w->expiry);
        due = s->next_expiry_run;
    }
    if (due < *next)
        *next = due;
}

/* Opens the source's reader where needed; *news tells whether something was committed since the last look. */
static bool look(struct source *s, bool *news)
{
    int64_t version = 0;

    *news = !s->reader;
    if (!s->reader && store_reader(s->store, &s->reader)) {
        s->reader = NULL;
        return false;
    }
    if (db_data_version(s->reader, &version)) {
        struct store *store = s->store;
        close_source(s, true);
        s->store = store;
        return false;
    }
    *news |= version != s->data_version;
    s->data_version = version;
    return true;
}

static void tick_source(struct watches *w, struct source *s, int64_t mono, int64_t *next)
{
    bool used = false, news;

    if (!look(s, &news)) {
        *next = mono + EXPIRY_PAUSE_MS < *next ? mono + EXPIRY_PAUSE_MS : *next;
        return;
    }
    for (struct feed **at = &w->feeds; *at;) {
        struct feed *f = *at;
        if (f->store != s->store) {
            at = &f->next;
            continue;
        }
        feed_tick(f, s->reader, news, mono, next);
        if (f->watchers) {
            used = true;
            at = &f->next;
        } else {
            *at = f->next;
            feed_free(f);
        }
    }
    if (used)
        expire(w, s, news, mono, next);
    else
        close_source(s, false);
}

void watches_tick(struct watches *w, int64_t mono, int64_t *next)
{
    for (struct feed *f = w->feeds; f; f = f->next)
        source_of(w, f->store);
    for (size_t i = 0; i < SOURCES; i++)
        if (w->sources[i].store)
            tick_source(w, &w->sources[i], mono, next);
}

void watches_stop(struct watches *w)
{
    while (w->feeds) {
        struct feed *f = w->feeds;
        w->feeds = f->next;
        feed_stop(f, "stopping");
        feed_free(f);
    }
}

static enum error_code parse_include(const struct fields *f, struct watcher *w)
{
    size_t node = fields_find(f, "include");

    w->depth = CHANGE_LATEST;
    if (!node)
        return ERR_OK;
    bool text = f->doc->nodes[node].type == JSON_STRING;
    if (text && json_is(f->doc, node, "history"))
        w->depth = CHANGE_ALL;
    else if (text && json_is(f->doc, node, "updates"))
        w->updates_only = true;
    else if (!text || !json_is(f->doc, node, "latest"))
        return fields_bad(f, "include", "\"latest\", \"history\" or \"updates\"");
    return ERR_OK;
}

/* A client that reconnects says what it has seen; that goes before what its URL says. */
static enum error_code last_event_id(struct call *call, struct watcher *w)
{
    const char *id = call->request->last_event_id;

    if (!id || !id[0])
        return ERR_OK;
    size_t len = strlen(id);
    if (strspn(id, "0123456789") != len || json_num_int(id, len, &w->since) != JSON_NUM_INT)
        return error_set(&call->err, ERR_BAD_REQUEST, NULL, "Last-Event-ID must be a revision");
    w->has_since = true;
    return ERR_OK;
}

enum error_code kv_watch_parse(struct call *call)
{
    static const char *const names[] = {"bucket", SELECTOR_NAMES, SELECTOR_SHAPE, "include", "since", "heartbeat",
                                        NULL};
    struct watcher *w = call_args(call, sizeof *w);
    struct fields f;

    if (!w)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = selector_parse(&f, true, &w->selector);
    if (!rc)
        rc = parse_include(&f, w);
    if (!rc)
        rc = fields_int(&f, "since", 0, INT64_MAX, &w->since);
    w->has_since = !rc && fields_find(&f, "since");
    if (!rc)
        rc = stream_parse(call, &f, &w->stream);
    return rc ? rc : last_event_id(call, w);
}

enum error_code kv_watch_allow(struct call *call)
{
    const struct watcher *w = call->args;
    return access_selector(call, &w->selector);
}

/* Judges `since` against what is held, before the stream begins: afterwards there is no status to tell it with. */
static enum error_code begin(struct call *call, struct watcher *w, struct db *db)
{
    struct bucket b;
    enum error_code rc = bucket_find(db, call->bucket, false, &b, &call->arena, &call->err);

    if (rc)
        return rc;
    w->created = b.created;
    w->position = w->has_since ? w->since : w->updates_only ? b.revision : 0;
    if (w->has_since)
        w->depth = CHANGE_ALL;
    w->total = -1;
    if (!w->has_since || w->since >= b.compacted)
        return ERR_OK;
    error_set(&call->err, ERR_COMPACTED, "since",
              "changes up to revision %lld are no longer held: watch without since, "
              "or from it",
              (long long)b.compacted);
    call->err.has_revision = true;
    call->err.revision = b.compacted;
    return ERR_COMPACTED;
}

enum error_code kv_watch(struct call *call)
{
    struct watcher *w = call->args;
    struct db *db;
    enum error_code rc = store_reader(call->store, &db);

    if (rc)
        return rc;
    rc = begin(call, w, db);
    store_reader_done(call->store, db, rc == ERR_INTERNAL || rc == ERR_CORRUPT);
    if (rc)
        return rc;
    if (call->request->method == METHOD_HEAD) {
        call_answer(call, ERR_OK);
        return ERR_OK;
    }
    stream_start(&w->stream);
    hub_watch(call->kvs->hub, w);
    return ERR_OK;
}
