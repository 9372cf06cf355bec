#include "metrics.h"

#include <stdatomic.h>
#include <stdio.h>

#include "clock.h"
#include "hub.h"
#include "mem.h"
#include "message.h"
#include "ops.h"
#include "service.h"
#include "storage.h"

enum { CLASSES = 4 /* 2xx to 5xx */, TOPICS_MAX = 1000 };

struct cell {
    atomic_llong requests, us;
};

struct row {
    struct cell cells[CLASSES];
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
    struct cell *cell = &m->rows[op ? (size_t)(op - table) : count].cells[class];

    atomic_fetch_add_explicit(&cell->requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->us, us, memory_order_relaxed);
}

/* What is told.  The lines of one series must stand together, so each is collected apart. */
#define SERIES_MAP(X)                                                                                                  \
    X(SERIES_INFO, "info", "gauge", "Program version and mode; always 1")                                              \
    X(SERIES_UPTIME, "uptime_seconds", "gauge", "Time since this process opened the database")                         \
    X(SERIES_REQUESTS, "requests_total", "counter", "Requests answered by this process, streams when they begin")      \
    X(SERIES_SECONDS, "request_seconds_total", "counter", "Time from request to answer, waiting included")             \
    X(SERIES_WAITING, "waiting", "gauge", "Requests of this process that wait: long polls, watches, listeners")        \
    X(SERIES_COMMITS, "commits_total", "counter", "Transactions committed by this process")                            \
    X(SERIES_JOBS, "commit_jobs_total", "counter", "Writes in them: divided by the commits, the size of a batch")      \
    X(SERIES_COMMIT_TIME, "commit_seconds_total", "counter", "Time spent in commits and their syncs")                  \
    X(SERIES_LOCK_TIME, "lock_wait_seconds_total", "counter", "Time spent waiting for other processes to write")       \
    X(SERIES_CHECKPOINTS, "checkpoints_total", "counter", "Times this process wrote the log back")                     \
    X(SERIES_CHECKPOINT_TIME, "checkpoint_seconds_total", "counter", "Time spent in that")                             \
    X(SERIES_WAL, "wal_bytes", "gauge", "Size of the log after this process's last commit")                            \
    X(SERIES_SIZE, "database_bytes", "gauge", "Size of the database file, without its log")                            \
    X(SERIES_SPARE, "database_free_bytes", "gauge", "What is free in it")                                              \
    X(SERIES_KEYS, "bucket_keys", "gauge", "Live keys of a bucket")                                                    \
    X(SERIES_VALUES, "bucket_values", "gauge", "Revisions that a bucket holds, markers included")                      \
    X(SERIES_BYTES, "bucket_bytes", "gauge", "Bytes of keys and values that a bucket holds")                           \
    X(SERIES_REVISION, "bucket_revision", "gauge", "A bucket's revision")                                              \
    X(SERIES_MESSAGES, "topic_messages", "gauge", "Messages of a topic by state")                                      \
    X(SERIES_OLDEST, "topic_oldest_ready_seconds", "gauge", "How long a topic's oldest ready message has waited")      \
    X(SERIES_CUT, "topics_cut", "gauge", "1 where there are more topics than are told of")

enum series_id {
#define SERIES_ENUM(id, name, type, help) id,
    SERIES_MAP(SERIES_ENUM)
#undef SERIES_ENUM
        SERIES_COUNT
};

static const struct {
    const char *name, *type, *help;
} described[] = {
#define SERIES_ROW(id, name, type, help) [id] = {name, type, help},
    SERIES_MAP(SERIES_ROW)
#undef SERIES_ROW
};

struct page {
    struct buf lines[SERIES_COUNT];
};

/* One label in a sample. */
struct label {
    const char *name, *value;
    size_t len;
};

static void add_labels(struct buf *b, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_str(b, i ? "," : "{");
        buf_str(b, labels[i].name);
        buf_lit(b, "=\"");
        for (size_t n = 0; n < labels[i].len; n++) {
            char c = labels[i].value[n];
            if (c == '"' || c == '\\')
                buf_byte(b, '\\');
            buf_byte(b, (unsigned char)c);
        }
        buf_byte(b, '"');
    }
    if (count)
        buf_byte(b, '}');
}

static struct buf *sample(struct page *p, enum series_id id, const struct label *labels, size_t count)
{
    struct buf *b = &p->lines[id];

    buf_printf(b, "kvs_%s", described[id].name);
    add_labels(b, labels, count);
    buf_byte(b, ' ');
    return b;
}

static void add_int(struct page *p, enum series_id id, const struct label *labels, size_t count, int64_t n)
{
    buf_printf(sample(p, id, labels, count), "%lld\n", (long long)n);
}

static void add_seconds(struct page *p, enum series_id id, const struct label *labels, size_t count, int64_t us)
{
    buf_printf(sample(p, id, labels, count), "%lld.%06lld\n", (long long)(us / 1000000), (long long)(us % 1000000));
}

#define LABEL(name, text)                                                                                              \
    {                                                                                                                  \
        name, text, strlen(text)                                                                                       \
    }

static void add_requests(struct page *p, struct metrics *m)
{
    static const char *const classes[CLASSES] = {"2xx", "3xx", "4xx", "5xx"};
    size_t count;
    const struct op *table = dispatch_table(&count);

    for (size_t i = 0; i < m->count; i++) {
        for (size_t c = 0; c < CLASSES; c++) {
            const struct label labels[] = {LABEL("operation", i < count ? table[i].path : "other"),
                                           LABEL("status", classes[c])};
            int64_t requests = atomic_load_explicit(&m->rows[i].cells[c].requests, memory_order_relaxed);
            if (!requests)
                continue;
            add_int(p, SERIES_REQUESTS, labels, 2, requests);
            add_seconds(p, SERIES_SECONDS, labels, 2,
                        atomic_load_explicit(&m->rows[i].cells[c].us, memory_order_relaxed));
        }
    }
}

static void add_process(struct page *p, struct kvs *kvs)
{
    const struct label info[] = {LABEL("version", PACKAGE_VERSION),
                                 LABEL("mode", kvs->mode == KVS_CGI ? "cgi" : "fastcgi")};
    const struct label parked = LABEL("kind", "poll"), watchers = LABEL("kind", "watch"),
                       listeners = LABEL("kind", "listen");
    struct hub_counts counts;

    add_int(p, SERIES_INFO, info, 2, 1);
    add_seconds(p, SERIES_UPTIME, NULL, 0, (clock_mono() - kvs->started) * 1000);
    hub_count(kvs->hub, &counts);
    add_int(p, SERIES_WAITING, &parked, 1, counts.parked);
    add_int(p, SERIES_WAITING, &watchers, 1, counts.watchers);
    add_int(p, SERIES_WAITING, &listeners, 1, counts.listeners);
}

static void add_store(struct page *p, const char *name, struct store *store)
{
    const struct label label = LABEL("store", name);
    struct commit_stats s;

    commit_get_stats(store_commit(store), &s);
    add_int(p, SERIES_COMMITS, &label, 1, s.commits);
    add_int(p, SERIES_JOBS, &label, 1, s.jobs);
    add_seconds(p, SERIES_COMMIT_TIME, &label, 1, s.commit_us);
    add_seconds(p, SERIES_LOCK_TIME, &label, 1, s.lock_us);
    add_int(p, SERIES_CHECKPOINTS, &label, 1, s.checkpoints);
    add_seconds(p, SERIES_CHECKPOINT_TIME, &label, 1, s.checkpoint_us);
    add_int(p, SERIES_WAL, &label, 1, s.wal_bytes);
}

static enum error_code add_stores(struct page *p, struct call *call, struct view *view)
{
    const struct label file = LABEL("store", "file");
    struct store *memory;
    int64_t bytes = 0, spare = 0;
    enum error_code rc = storage_memory(call->kvs, false, &memory);

    if (!rc)
        rc = db_size(view->db, &bytes, &spare);
    if (rc)
        return rc;
    add_store(p, "file", call->kvs->file);
    if (memory)
        add_store(p, "memory", memory);
    add_int(p, SERIES_SIZE, &file, 1, bytes);
    add_int(p, SERIES_SPARE, &file, 1, spare);
    return ERR_OK;
}

static enum error_code add_buckets(struct page *p, struct call *call, struct view *view)
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
        const struct label label = LABEL("bucket", b.name);
        add_int(p, SERIES_KEYS, &label, 1, b.keys);
        add_int(p, SERIES_VALUES, &label, 1, b.held);
        add_int(p, SERIES_BYTES, &label, 1, b.bytes);
        add_int(p, SERIES_REVISION, &label, 1, b.revision);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static void add_topic(struct page *p, const char *topic, size_t len, const struct message_counts *c, int64_t now)
{
    const struct {
        const char *state;
        int64_t n;
    } states[] = {{"ready", c->ready}, {"delayed", c->delayed}, {"leased", c->leased}, {"dead", c->dead}};
    struct label labels[] = {{"topic", topic, len}, {"state", NULL, 0}};

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        labels[1].value = states[i].state;
        labels[1].len = strlen(states[i].state);
        add_int(p, SERIES_MESSAGES, labels, 2, states[i].n);
    }
    int64_t age = c->ready && now > c->oldest ? now - c->oldest : 0;
    add_seconds(p, SERIES_OLDEST, labels, 1, age * 1000);
}

static enum error_code add_topics(struct page *p, struct call *call, struct view *view)
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
    add_int(p, SERIES_CUT, NULL, 0, told > TOPICS_MAX);
    return rc;
}

static void print(struct call *call, struct page *p)
{
    for (size_t i = 0; i < SERIES_COUNT; i++) {
        struct buf *lines = &p->lines[i];
        if (!buf_ok(lines))
            call->out.failed = true;
        if (lines->len) {
            buf_printf(&call->out, "# HELP kvs_%s %s.\n# TYPE kvs_%s %s\n", described[i].name, described[i].help,
                       described[i].name, described[i].type);
            buf_add(&call->out, lines->data, lines->len);
        }
        buf_free(lines);
    }
}

enum error_code metrics_read(struct call *call, struct view *view)
{
    struct page p = {.lines = {BUF_INIT}};

    add_process(&p, call->kvs);
    add_requests(&p, call->kvs->metrics);
    enum error_code rc = add_stores(&p, call, view);
    if (!rc)
        rc = add_buckets(&p, call, view);
    if (!rc)
        rc = add_topics(&p, call, view);
    print(call, &p);
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return rc;
}
