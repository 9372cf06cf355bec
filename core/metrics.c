#include "metrics.h"

#include <string.h>

#include "clock.h"
#include "histogram.h"
#include "hub.h"
#include "mem.h"
#include "message.h"
#include "metrics_page.h"
#include "ops.h"
#include "service.h"
#include "storage.h"

enum { CLASSES = 4 /* 2xx to 5xx */, TOPICS_MAX = 1000 };

struct row {
    struct histogram us[CLASSES];
};

struct metrics {
    size_t count;
    struct row rows[]; /* one an operation, in the order of the table, and one for what is none */
};

struct metrics *metrics_new(void)
{
    size_t count;
    dispatch_table(&count);
    struct metrics *m = mem_zalloc(1, sizeof *m + (count + 1) * sizeof m->rows[0]);
    if (m)
        m->count = count + 1;
    return m;
}

void metrics_free(struct metrics *m)
{
    mem_free(m);
}

void metrics_count(struct metrics *m, const struct op *op, int status, int64_t us)
{
    size_t count, class = status >= 500 ? 3 : status >= 400 ? 2 : status >= 300 ? 1 : 0;
    const struct op *table = dispatch_table(&count);

    histogram_add(&m->rows[op ? (size_t)(op - table) : count].us[class], HISTOGRAM_TIME, us);
}

#define LABEL(name, text)                                                                                              \
    {                                                                                                                  \
        name, text, strlen(text)                                                                                       \
    }

/* A CGI process answers one request, the scrape itself: what it has counted is no news. */
static bool counts_requests(const struct kvs *kvs)
{
    return kvs->mode != KVS_CGI;
}

static void add_requests(struct metrics_page *p, struct metrics *m)
{
    static const char *const classes[CLASSES] = {"2xx", "3xx", "4xx", "5xx"};
    size_t count;
    const struct op *table = dispatch_table(&count);

    for (size_t i = 0; i < m->count; i++) {
        for (size_t c = 0; c < CLASSES; c++) {
            const struct metrics_label labels[] = {LABEL("operation", i < count ? table[i].path : "other"),
                                                   LABEL("status", classes[c])};
            const struct histogram *us = &m->rows[i].us[c];
            if (!histogram_count(us))
                continue;
            metrics_page_int(p, SERIES_REQUESTS, labels, 2, histogram_count(us));
            metrics_page_histogram(p, SERIES_REQUEST_TIME, labels, 2, us, HISTOGRAM_TIME);
        }
    }
}

static void add_process(struct metrics_page *p, struct kvs *kvs)
{
    const struct metrics_label info[] = {LABEL("version", PACKAGE_VERSION)};
    const struct metrics_label parked = LABEL("kind", "poll"), watchers = LABEL("kind", "watch"),
                               listeners = LABEL("kind", "listen");
    struct hub_counts counts;

    metrics_page_int(p, SERIES_INFO, info, 1, 1);
    metrics_page_seconds(p, SERIES_UPTIME, NULL, 0, (clock_mono() - kvs->started) * 1000);
    hub_count(kvs->hub, &counts);
    metrics_page_int(p, SERIES_WAITING, &parked, 1, counts.parked);
    metrics_page_int(p, SERIES_WAITING, &watchers, 1, counts.watchers);
    metrics_page_int(p, SERIES_WAITING, &listeners, 1, counts.listeners);
}

/* What this process has done to a store. */
static void add_commits(struct metrics_page *p, const char *name, struct store *store)
{
    const struct metrics_label label = LABEL("store", name);
    const struct commit_stats *s = commit_stats(store_commit(store));

    metrics_page_histogram(p, SERIES_JOBS, &label, 1, &s->jobs, HISTOGRAM_COUNT);
    metrics_page_histogram(p, SERIES_COMMIT_TIME, &label, 1, &s->commit, HISTOGRAM_TIME);
    metrics_page_histogram(p, SERIES_SYNC_TIME, &label, 1, &s->sync, HISTOGRAM_TIME);
    metrics_page_histogram(p, SERIES_COMPANY_TIME, &label, 1, &s->company, HISTOGRAM_TIME);
    metrics_page_histogram(p, SERIES_LOCK_TIME, &label, 1, &s->lock, HISTOGRAM_TIME);
    metrics_page_histogram(p, SERIES_CHECKPOINT_TIME, &label, 1, &s->checkpoint, HISTOGRAM_TIME);
}

static void add_store(struct metrics_page *p, const char *name, struct call *call, struct store *store)
{
    const struct metrics_label label = LABEL("store", name);

    if (counts_requests(call->kvs))
        add_commits(p, name, store);
    metrics_page_int(p, SERIES_WAL, &label, 1, store_log_bytes(store));
}

static enum error_code add_stores(struct metrics_page *p, struct call *call, struct view *view)
{
    const struct metrics_label file = LABEL("store", "file");
    struct store *memory;
    int64_t bytes = 0, spare = 0;
    enum error_code rc = storage_memory(call->kvs, false, &memory);

    if (!rc)
        rc = db_size(view->db, &bytes, &spare);
    if (rc)
        return rc;
    add_store(p, "file", call, call->kvs->file);
    if (memory)
        add_store(p, "memory", call, memory);
    metrics_page_int(p, SERIES_SIZE, &file, 1, bytes);
    metrics_page_int(p, SERIES_SPARE, &file, 1, spare);
    return ERR_OK;
}

static enum error_code add_buckets(struct metrics_page *p, struct call *call, struct view *view)
{
    struct db_query *q = db_start(view->db, SQL_BUCKET_LIST, DB_TEXT("", 0));
    struct bucket b;
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        rc = bucket_read(q, &b, &call->arena);
        if (!rc)
            rc = bucket_held(call, view, &b);
        if (rc)
            break;
        const struct metrics_label label = LABEL("bucket", b.name);
        metrics_page_int(p, SERIES_KEYS, &label, 1, b.keys);
        metrics_page_int(p, SERIES_VALUES, &label, 1, b.held);
        metrics_page_int(p, SERIES_BYTES, &label, 1, b.bytes);
        metrics_page_int(p, SERIES_REVISION, &label, 1, b.revision);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static void add_topic(struct metrics_page *p, const char *topic, size_t len, const struct message_counts *c,
                      int64_t now)
{
    const struct {
        const char *state;
        int64_t n;
    } states[] = {{"ready", c->ready}, {"delayed", c->delayed}, {"leased", c->leased}, {"dead", c->dead}};
    struct metrics_label labels[] = {{"topic", topic, len}, {"state", NULL, 0}};

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        labels[1].value = states[i].state;
        labels[1].len = strlen(states[i].state);
        metrics_page_int(p, SERIES_MESSAGES, labels, 2, states[i].n);
    }
    int64_t age = c->ready && now > c->oldest ? now - c->oldest : 0;
    metrics_page_seconds(p, SERIES_OLDEST, labels, 1, age * 1000);
}

static enum error_code add_topics(struct metrics_page *p, struct call *call, struct view *view)
{
    const char *topic = "";
    size_t len = 0;
    int told = 0;
    struct message_counts counts;
    enum error_code rc = ERR_OK;

    while (!rc && told <= TOPICS_MAX && message_next_topic(view->db, topic, len, &topic, &len, &call->arena, &rc)) {
        if (told++ == TOPICS_MAX)
            break;
        rc = message_count(view->db, topic, len, view->now, &counts);
        if (!rc)
            add_topic(p, topic, len, &counts, view->now);
    }
    metrics_page_int(p, SERIES_CUT, NULL, 0, told > TOPICS_MAX);
    return rc;
}

enum error_code metrics_read(struct call *call, struct view *view)
{
    struct metrics_page p;

    metrics_page_init(&p);
    if (counts_requests(call->kvs)) {
        add_process(&p, call->kvs);
        add_requests(&p, call->kvs->metrics);
    }
    enum error_code rc = add_stores(&p, call, view);
    if (!rc)
        rc = add_buckets(&p, call, view);
    if (!rc)
        rc = add_topics(&p, call, view);
    metrics_page_print(&p, &call->out);
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return rc;
}
