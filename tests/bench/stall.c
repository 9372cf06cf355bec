/*
 * What else goes on while there are writers:
 *
 *   stall expire PATH KEYS     maintenance removes KEYS expired entries while a writer sets durably; its longest wait
 *   stall log PATH SECONDS     writers beside gets, then beside a reader that holds each snapshot for a second; the longest
 *                              log of either
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "maint.h"
#include "rig.h"

enum { LOAD_BATCH = 1000, WRITERS = 4, WAITS_MAX = 4 << 20, LOG_KEYS = 20000 };

struct writer {
    pthread_t thread;
    struct rig *rig;
    atomic_bool *over;
    double *waits; /* seconds each; NULL where nobody asks */
    size_t count;
    uint64_t seed;
};

struct reader {
    pthread_t thread;
    struct rig *rig;
    atomic_bool *over;
};

static void nap(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void *write_on(void *argument)
{
    struct writer *w = argument;
    struct client *c = client_new(w->rig);
    char body[256];

    while (!atomic_load(w->over)) {
        int len = snprintf(body, sizeof body, "{\"key\":[\"live\",%llu],\"value\":\"%0120d\"}",
                           (unsigned long long)rig_random(&w->seed, LOG_KEYS), 1);
        double begin = rig_clock();
        client_call(c, "/kv/set", body, (size_t)len);
        if (w->waits && w->count < WAITS_MAX)
            w->waits[w->count] = rig_clock() - begin;
        w->count++;
    }
    client_free(c);
    return NULL;
}

static void start_writer(struct writer *w, struct rig *rig, atomic_bool *over, uint64_t seed)
{
    *w = (struct writer){.rig = rig, .over = over, .seed = seed};
    if (pthread_create(&w->thread, NULL, write_on, w))
        rig_fail("writer", "no thread");
}

/* Entries that live for a moment only. */
static void load_mortals(struct rig *rig, uint64_t keys)
{
    static char text[LOAD_BATCH * 128];
    struct client *c = client_new(rig);

    for (uint64_t n = 0; n < keys;) {
        size_t len = (size_t)sprintf(text, "{\"mutations\":[");
        for (int i = 0; i < LOAD_BATCH && n < keys; i++, n++)
            len += (size_t)sprintf(text + len, "%s{\"type\":\"set\",\"key\":[\"mortal\",%llu],\"value\":%d,\"ttl\":1}",
                                   i ? "," : "", (unsigned long long)n, i);
        len += (size_t)sprintf(text + len, "]}");
        client_call(c, "/kv/atomic", text, len);
    }
    client_free(c);
}

static void bench_expire(const char *path, uint64_t keys)
{
    static struct rig rig;
    static double waits[WAITS_MAX];
    struct maint_report report = {0};
    struct writer w;
    atomic_bool over = false;

    rig_open(&rig, path, false);
    load_mortals(&rig, keys);
    rig_close(&rig);
    rig_open(&rig, path, true);
    start_writer(&w, &rig, &over, 7);
    w.waits = waits;
    double begin = rig_clock();
    if (maint_run(rig.kvs, &report))
        rig_fail("maintenance", "it failed");
    double spent = rig_clock() - begin;
    atomic_store(&over, true);
    pthread_join(w.thread, NULL);
    size_t count = w.count < WAITS_MAX ? w.count : WAITS_MAX;
    rig_median(waits, count);
    rig_result("expired", (double)report.expired);
    rig_result("expire_seconds", spent);
    rig_result("writes_meanwhile", (double)w.count);
    rig_result("wait_p50_ms", waits[count / 2] * 1e3);
    rig_result("wait_p99_ms", waits[count - count / 100 - 1] * 1e3);
    rig_result("wait_longest_ms", waits[count - 1] * 1e3);
    rig_close(&rig);
}

/* Holds a snapshot for a second at a time, as a report or a shell would. */
static void *read_slowly(void *argument)
{
    struct reader *r = argument;
    sqlite3_stmt *stmt = rig_prepare(r->rig, "SELECT count(*) FROM bucket");

    while (!atomic_load(r->over)) {
        rig_exec(r->rig, "BEGIN");
        if (sqlite3_step(stmt) != SQLITE_ROW)
            rig_fail("SELECT", sqlite3_errmsg(r->rig->bare));
        sqlite3_reset(stmt);
        nap(1000);
        rig_exec(r->rig, "COMMIT");
        nap(20);
    }
    sqlite3_finalize(stmt);
    return NULL;
}

static void *read_on(void *argument)
{
    static const char body[] = "{\"key\":[\"live\",1]}";
    struct reader *r = argument;
    struct client *c = client_new(r->rig);

    while (!atomic_load(r->over))
        client_call(c, "/kv/get", body, sizeof body - 1);
    client_free(c);
    return NULL;
}

static double size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) ? 0 : (double)st.st_size;
}

/* Writers and a reader for some seconds; the longest log in bytes, and the writes. */
static double load(struct rig *rig, const char *path, uint64_t seconds, void *(*read)(void *), uint64_t *writes)
{
    struct writer writers[WRITERS];
    atomic_bool over = false;
    struct reader reader = {.rig = rig, .over = &over};
    char log[4096];
    double most = 0;

    snprintf(log, sizeof log, "%s-wal", path);
    for (int i = 0; i < WRITERS; i++)
        start_writer(&writers[i], rig, &over, (uint64_t)i + 11);
    nap(100);
    if (pthread_create(&reader.thread, NULL, read, &reader))
        rig_fail("reader", "no thread");
    for (double end = rig_clock() + (double)seconds; rig_clock() < end; nap(10)) {
        double now = size_of(log);
        most = now > most ? now : most;
    }
    atomic_store(&over, true);
    *writes = 0;
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        *writes += writers[i].count;
    }
    pthread_join(reader.thread, NULL);
    return most;
}

static void bench_log(const char *path, uint64_t seconds)
{
    static struct rig rig;
    uint64_t writes;

    rig_open(&rig, path, true);
    double most = load(&rig, path, seconds, read_on, &writes);
    rig_result("log_most_mib", most / 1048576);
    rig_result("log_writes_per_second", (double)writes / (double)seconds);
    most = load(&rig, path, seconds, read_slowly, &writes);
    rig_result("slow_log_most_mib", most / 1048576);
    rig_result("slow_log_writes_per_second", (double)writes / (double)seconds);
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    unsigned long long n = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;

    log_init("bench", LOG_WARNING, false);
    if (n && strcmp(argv[1], "expire") == 0)
        bench_expire(argv[2], n);
    else if (n && strcmp(argv[1], "log") == 0)
        bench_log(argv[2], n);
    else
        rig_fail("usage", "stall expire PATH KEYS, stall log PATH SECONDS");
    return 0;
}
