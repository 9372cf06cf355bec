#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPEN, WAITING, ANSWERED };

static const char authorization[] = "Bearer bench-token-of-an-ordinary-length";

void rig_fail(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

void rig_exec(struct rig *rig, const char *sql)
{
    if (sqlite3_exec(rig->bare, sql, NULL, NULL, NULL) != SQLITE_OK)
        rig_fail(sql, sqlite3_errmsg(rig->bare));
}

sqlite3_stmt *rig_prepare(struct rig *rig, const char *sql)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v3(rig->bare, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK)
        rig_fail(sql, sqlite3_errmsg(rig->bare));
    return stmt;
}

static void set(struct config *c, const char *name, const char *value)
{
    char message[256];
    if (!config_set(c, name, value, message, sizeof message))
        rig_fail(name, message);
}

void rig_open(struct rig *rig, const char *path, bool durable)
{
    char message[512];

    unsetenv("KVS_CONFIG");
    if (!config_load(&rig->config, "bench", message, sizeof message))
        rig_fail("configuration", message);
    set(&rig->config, "access_token", authorization + sizeof "Bearer " - 1);
    set(&rig->config, "db_path", path);
    set(&rig->config, "durability", durable ? "full" : "relaxed");
    rig->kvs = kvs_open(&rig->config, KVS_FASTCGI, message, sizeof message);
    if (!rig->kvs)
        rig_fail("open", message);
    if (sqlite3_open_v2(path, &rig->bare, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        rig_fail(path, sqlite3_errmsg(rig->bare));
    sqlite3_busy_timeout(rig->bare, 10000);
    sqlite3_db_config(rig->bare, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    rig_exec(rig, "PRAGMA cache_size=-4096");
    rig_exec(rig, "PRAGMA wal_autocheckpoint=0");
    rig_exec(rig, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
}

void rig_close(struct rig *rig)
{
    sqlite3_stmt *stmt;
    while ((stmt = sqlite3_next_stmt(rig->bare, NULL)))
        sqlite3_finalize(stmt);
    sqlite3_close(rig->bare);
    kvs_close(rig->kvs);
    config_free(&rig->config);
}

static void take_answer(struct kvs_sink *sink, const struct kvs_response *response)
{
    struct client *c = (struct client *)sink;
    c->status = response->status;
    c->len = response->body_len < RIG_ANSWER ? response->body_len : RIG_ANSWER - 1;
    memcpy(c->answer, response->body, c->len);
    c->answer[c->len] = '\0';
    if (atomic_exchange(&c->state, ANSWERED) == WAITING)
        sem_post(&c->wake);
}

struct client *client_new(struct rig *rig)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        rig_fail("client", "out of memory");
    c->sink.answer = take_answer;
    c->rig = rig;
    sem_init(&c->wake, 0, 0);
    return c;
}

void client_free(struct client *c)
{
    sem_destroy(&c->wake);
    free(c);
}

void client_call(struct client *c, const char *path, const char *body, size_t len)
{
    c->request = (struct kvs_request){
        .method = METHOD_POST,
        .path = path,
        .query = "",
        .authorization = authorization,
        .content_type = "application/json",
        .body = body,
        .body_len = len,
        .body_state = BODY_WHOLE,
        .sink = &c->sink,
    };
    atomic_store_explicit(&c->state, OPEN, memory_order_relaxed);
    kvs_handle(c->rig->kvs, &c->request);
    /* Mostly the answer has come by now; where another thread commits the write, it comes later. */
    int open = OPEN;
    if (atomic_load(&c->state) == OPEN && atomic_compare_exchange_strong(&c->state, &open, WAITING))
        while (sem_wait(&c->wake))
            ;
    if (c->status != 200)
        rig_fail(path, c->answer);
}

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double rig_cpu(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double rig_clock(void)
{
    return seconds(CLOCK_MONOTONIC);
}

uint64_t rig_random(uint64_t *state, uint64_t n)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double rig_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void rig_result(const char *name, double value)
{
    printf("%s %.6g\n", name, value);
    fflush(stdout);
}

void rig_ratio(const char *name, const double *a, const double *b, size_t rounds)
{
    double ratios[RIG_ROUNDS_MAX];
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = a[i] / b[i];
    double median = rig_median(ratios, rounds);
    printf("%s %.4g %.4g %.4g\n", name, median, ratios[0], ratios[rounds - 1]);
    fflush(stdout);
}
