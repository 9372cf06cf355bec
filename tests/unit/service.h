/*
 * A whole service in a private directory, and requests to it one by one.  The directory goes away with the service.
 */
#ifndef KVS_TEST_SERVICE_H
#define KVS_TEST_SERVICE_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "kvs.h"
#include "tap.h"

#define SERVICE_TOKEN "secret"

/* --- Wall time, once service_freeze was called --- */

static atomic_llong service_time;

__attribute__((unused)) static int64_t service_clock(void)
{
    return atomic_load(&service_time);
}

/* From now on time stands still but for changes to service_time. */
__attribute__((unused)) static void service_freeze(int64_t at)
{
    atomic_store(&service_time, at);
    clock_replace(service_clock);
}

/* --- A private directory --- */

__attribute__((unused)) static void temp_dir(char *dir, size_t size)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, size, "%s/kvs-unit-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
}

/* Removes the database called name and everything that lies beside it under that name. */
__attribute__((unused)) static void temp_dir_empty(const char *dir, const char *name)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal", ".lock"};
    char path[512];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s/%s%s", dir, name, ends[i]);
        unlink(path);
    }
}

/* The same, then the directory. */
__attribute__((unused)) static void temp_dir_remove(const char *dir, const char *name)
{
    temp_dir_empty(dir, name);
    rmdir(dir);
}

/* --- The service --- */

struct service {
    char dir[256];
    char path[300]; /* of the database */
    struct config config;
    struct kvs *kvs;
};

/* Opens the database in s->dir again, with whatever s->config says. */
__attribute__((unused)) static void service_reopen(struct service *s)
{
    char message[400] = "";

    kvs_close(s->kvs);
    s->kvs = kvs_open(&s->config, KVS_FASTCGI, message, sizeof message);
    if (!s->kvs) {
        printf("Bail out! cannot open the service: %s\n", message);
        exit(1);
    }
}

__attribute__((unused)) static void service_configure(struct service *s, const char *name, const char *value)
{
    char message[400] = "";
    if (!config_set(&s->config, name, value, message, sizeof message)) {
        printf("Bail out! %s\n", message);
        exit(1);
    }
}

/* The defaults, untouched by the environment, with the database in a new directory. */
__attribute__((unused)) static void service_prepare(struct service *s)
{
    char message[400] = "", memory[340], file[340];

    memset(s, 0, sizeof *s);
    temp_dir(s->dir, sizeof s->dir);
    snprintf(file, sizeof file, "%s/kvs.conf", s->dir);
    snprintf(s->path, sizeof s->path, "%s/kv.db", s->dir);
    snprintf(memory, sizeof memory, "%s/mem.db", s->dir);
    close(open(file, O_WRONLY | O_CREAT, 0600));
    setenv("KVS_CONFIG", file, 1);
    setenv("ACCESS_TOKEN", SERVICE_TOKEN, 1);
    setenv("KV_DB_PATH", s->path, 1);
    setenv("KVS_MEMORY_PATH", memory, 1);
    setenv("KVS_DURABILITY", "relaxed", 1);
    if (!config_load(&s->config, "/nonexistent/kvs.fcgi", message, sizeof message)) {
        printf("Bail out! %s\n", message);
        exit(1);
    }
    unlink(file);
}

__attribute__((unused)) static void service_open(struct service *s)
{
    service_prepare(s);
    service_reopen(s);
}

__attribute__((unused)) static void service_close(struct service *s)
{
    kvs_close(s->kvs);
    config_free(&s->config);
    temp_dir_remove(s->dir, "mem.db");
    temp_dir_remove(s->dir, "kv.db");
}

/* One statement on the service's database from outside, as nothing in the service would do it. */
__attribute__((unused)) static void service_sql(const struct service *s, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;

    if (sqlite3_open(s->path, &db) || sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) ||
        sqlite3_busy_timeout(db, 5000) || sqlite3_exec(db, sql, NULL, NULL, &why)) {
        printf("Bail out! %s: %s\n", sql, why ? why : sqlite3_errmsg(db));
        exit(1);
    }
    sqlite3_close(db);
}

/* The integer that a query answers. */
__attribute__((unused)) static long long service_sql_int(const struct service *s, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    long long n = -1;

    if (sqlite3_open(s->path, &db) || sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) ||
        sqlite3_busy_timeout(db, 5000) || sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) ||
        sqlite3_step(stmt) != SQLITE_ROW) {
        printf("Bail out! %s: %s\n", sql, sqlite3_errmsg(db));
        exit(1);
    }
    n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

/* --- Requests --- */

/* One request and what came of it. */
struct exchange {
    struct kvs_sink sink; /* first, so that the sink is the exchange */
    struct kvs_request request;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t cond;
    bool over;
    int calls; /* of the sink's final functions: one */
    int status;
    char *headers; /* owned, as body is */
    char *body;    /* NUL-terminated */
    size_t body_len;
    long behind; /* what a stream's write is told of bytes still to be taken */
};

static void exchange_add(struct exchange *x, const void *data, size_t len)
{
    char *grown = realloc(x->body, x->body_len + len + 1);
    if (!grown)
        abort();
    x->body = grown;
    if (len)
        memcpy(x->body + x->body_len, data, len);
    x->body_len += len;
    x->body[x->body_len] = '\0';
}

static void exchange_head(struct exchange *x, const struct kvs_response *response)
{
    x->status = response->status;
    x->headers = strdup(response->headers ? response->headers : "");
    exchange_add(x, response->body, response->body ? response->body_len : 0);
}

static void exchange_over(struct exchange *x)
{
    x->over = true;
    x->calls++;
    pthread_cond_broadcast(&x->cond);
    pthread_mutex_unlock(&x->mutex);
}

static void exchange_answer(struct kvs_sink *sink, const struct kvs_response *response)
{
    struct exchange *x = (struct exchange *)sink;
    pthread_mutex_lock(&x->mutex);
    exchange_head(x, response);
    exchange_over(x);
}

static void exchange_start(struct kvs_sink *sink, const struct kvs_response *response)
{
    struct exchange *x = (struct exchange *)sink;
    pthread_mutex_lock(&x->mutex);
    exchange_head(x, response);
    pthread_mutex_unlock(&x->mutex);
}

static long exchange_write(struct kvs_sink *sink, const void *data, size_t len)
{
    struct exchange *x = (struct exchange *)sink;
    pthread_mutex_lock(&x->mutex);
    exchange_add(x, data, len);
    long behind = x->behind;
    pthread_mutex_unlock(&x->mutex);
    return behind;
}

static void exchange_end(struct kvs_sink *sink)
{
    struct exchange *x = (struct exchange *)sink;
    pthread_mutex_lock(&x->mutex);
    exchange_over(x);
}

/* An authorised POST of body (which must outlive the exchange), or a GET where body is NULL. */
__attribute__((unused)) static void exchange_init(struct exchange *x, const char *path, const char *body)
{
    memset(x, 0, sizeof *x);
    x->sink = (struct kvs_sink){exchange_answer, exchange_start, exchange_write, exchange_end};
    x->request.method = body ? METHOD_POST : METHOD_GET;
    x->request.path = path;
    x->request.query = "";
    x->request.authorization = "Bearer " SERVICE_TOKEN;
    x->request.content_type = body ? "application/json" : NULL;
    x->request.body = body;
    x->request.body_len = body ? strlen(body) : 0;
    x->request.sink = &x->sink;
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->cond, NULL);
}

__attribute__((unused)) static void exchange_free(struct exchange *x)
{
    free(x->headers);
    free(x->body);
    pthread_mutex_destroy(&x->mutex);
    pthread_cond_destroy(&x->cond);
}

__attribute__((unused)) static bool exchange_is_over(struct exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    bool over = x->over;
    pthread_mutex_unlock(&x->mutex);
    return over;
}

/* Blocks until some other thread has answered; false after ms. */
__attribute__((unused)) static bool exchange_await(struct exchange *x, int64_t ms)
{
    int64_t until = clock_mono() + ms;

    pthread_mutex_lock(&x->mutex);
    while (!x->over && clock_mono() < until) {
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_sec += 1;
        pthread_cond_timedwait(&x->cond, &x->mutex, &soon);
    }
    bool over = x->over;
    pthread_mutex_unlock(&x->mutex);
    return over;
}

/* Ticks in this thread until the exchange is over; false after ms. */
__attribute__((unused)) static bool service_pump(struct service *s, struct exchange *x, int64_t ms)
{
    int64_t until = clock_mono() + ms;
    struct pollfd wake = {.fd = kvs_wake_fd(s->kvs), .events = POLLIN};

    for (;;) {
        int wait = kvs_tick(s->kvs, false);
        if (exchange_is_over(x))
            return true;
        int64_t left = until - clock_mono();
        if (left <= 0)
            return false;
        poll(&wake, 1, wait < 0 || wait > left ? (int)left : wait);
    }
}

struct reply {
    int status;
    char *body; /* owned */
};

/* One request that is answered at once; the caller frees body. */
__attribute__((unused)) static struct reply service_post(struct service *s, const char *path, const char *body)
{
    struct exchange x;
    exchange_init(&x, path, body);
    kvs_handle(s->kvs, &x.request);
    service_pump(s, &x, 30000);
    struct reply r = {x.status, x.body};
    x.body = NULL;
    exchange_free(&x);
    return r;
}

/* The text of the member `"name":…` in JSON, up to the next comma or bracket; in a buffer of the caller's. */
__attribute__((unused)) static const char *member(const char *json, const char *name, char *out, size_t size)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *p = json ? strstr(json, quoted) : NULL;
    if (!p)
        return NULL;
    p += strlen(quoted);
    size_t n = p[0] == '"' ? strcspn(p + 1, "\"") + 2 : strcspn(p, ",]}");
    if (n >= size)
        return NULL;
    memcpy(out, p, n);
    out[n] = '\0';
    return out;
}

__attribute__((unused)) static long long member_int(const char *json, const char *name)
{
    char text[64];
    return member(json, name, text, sizeof text) ? strtoll(text, NULL, 10) : -1;
}

/* Posts and compares status and the whole body. */
#define is_reply(s, path, body, status, want, ...)                                                                     \
    service_is(__FILE__, __LINE__, s, path, body, status, want, __VA_ARGS__)

__attribute__((unused, format(printf, 8, 9))) static bool service_is(const char *file, int line, struct service *s,
                                                                     const char *path, const char *body, int status,
                                                                     const char *want, const char *fmt, ...)
{
    struct reply r = service_post(s, path, body);
    bool good = r.status == status && r.body && strcmp(r.body, want) == 0;
    va_list ap;
    va_start(ap, fmt);
    tap_result(file, line, good, fmt, ap);
    va_end(ap);
    if (!good)
        printf("#   got  %d %s\n#   want %d %s\n", r.status, r.body ? r.body : "(none)", status, want);
    free(r.body);
    return good;
}

/* Posts and gives the integer at name of a 200 answer; -1 where there is none. */
__attribute__((unused)) static long long post_int(struct service *s, const char *path, const char *body,
                                                  const char *name)
{
    struct reply r = service_post(s, path, body);
    long long n = r.status == 200 ? member_int(r.body, name) : -1;
    if (n < 0)
        printf("# %s answered %d %s\n", path, r.status, r.body ? r.body : "(none)");
    free(r.body);
    return n;
}

/* Posts and gives the status alone. */
__attribute__((unused)) static int post_status(struct service *s, const char *path, const char *body)
{
    struct reply r = service_post(s, path, body);
    free(r.body);
    return r.status;
}

#endif
