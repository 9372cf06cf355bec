/*
 * Out of memory at every place: each endpoint's request is made once for each allocation on its way, which fails, alone or
 * with all that follow it; those of the program and those of SQLite in turn.  Every run begins from the same database and
 * must end in the request's own answer or in 503 with nothing changed; the same request is then made again in the same
 * process and must succeed.
 */
#include <stdint.h>

#include "dispatch.h"
#include "mem.h"
#include "service.h"

/* SQLite allocates up to two thousand times a request, all the same to us: one in so many fails, but for KVS_LONG. */
enum { STRIDE = 61 };

static const int64_t noon = INT64_C(1700000000000);

/* --- SQLite's allocations --- */

static struct {
    sqlite3_mem_methods real;
    long after; /* as mem_fail_after's */
    int forever;
} engine;

static bool engine_fails(void)
{
    if (engine.after < 0)
        return false;
    if (engine.after > 0) {
        engine.after--;
        return false;
    }
    if (!engine.forever)
        engine.after = -1;
    return true;
}

static void *engine_malloc(int n)
{
    return engine_fails() ? NULL : engine.real.xMalloc(n);
}

static void *engine_realloc(void *p, int n)
{
    return engine_fails() ? NULL : engine.real.xRealloc(p, n);
}

static void engine_fail_after(long after, int forever)
{
    engine.after = after;
    engine.forever = forever;
}

/* To be called before anything else of SQLite's.  Without its look-aside memory every allocation can be made to fail. */
static void engine_wrap(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &engine.real);
    sqlite3_mem_methods wrapped = engine.real;
    wrapped.xMalloc = engine_malloc;
    wrapped.xRealloc = engine_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}

/* --- The database that every run begins from --- */

struct scene {
    struct service s;
    char *file; /* the bytes of the database; owned, as state is */
    size_t len;
    char *state; /* of it, as read_state gives it */
};

static const char *const setting[][2] = {
    {"/kv/set", "{\"key\":[\"a\"],\"value\":{\"n\":[1,2,3]}}"},
    {"/kv/set", "{\"key\":[\"a\",\"b\"],\"value\":\"text\",\"ttl\":100000}"},
    {"/kv/set", "{\"key\":[\"old\"],\"value\":1,\"ttl\":1}"},
    {"/kv/set", "{\"key\":[\"n\"],\"value\":41}"},
    {"/kv/delete", "{\"key\":[\"n2\"]}"},
    {"/bucket/create",
     "{\"name\":\"h\",\"options\":{\"history\":3,\"compression\":true,\"republish\":{\"filter\":\"r.>\","
     "\"topic\":\"changes\",\"metaOnly\":false}}}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":1}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":2}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"gone\"],\"value\":2}"},
    {"/kv/delete", "{\"bucket\":\"h\",\"key\":[\"gone\"]}"},
    {"/queue/enqueue", "{\"payload\":{\"job\":1},\"backoff\":[5,10]}"},
    {"/queue/enqueue", "{\"payload\":\"second\",\"dedupeId\":\"d\",\"priority\":-1}"},
    {"/queue/enqueue", "{\"topic\":\"dead\",\"payload\":1,\"maxAttempts\":1}"},
    {"/queue/dequeue", "{\"topic\":\"dead\",\"leaseMs\":1}"},
    {"/queue/enqueue", "{\"topic\":\"leased\",\"payload\":1}"},
    {"/queue/dequeue", "{\"topic\":\"leased\",\"leaseMs\":1000000}"},
};

/* What a request may have changed, but for tokens, which are random, and sums over them. */
static char *read_state(const struct service *s)
{
    static const char *const tables[] = {
        "SELECT * FROM state",
        "SELECT * FROM bucket ORDER BY name",
        "SELECT * FROM doomed ORDER BY id",
        "SELECT bucket,hex(key),revision,version,created,expires,op,encoding,size,sum,hex(value) FROM entry ORDER BY "
        "1,2",
        "SELECT bucket,hex(key),revision,version,created,expires,op,encoding,size,sum,hex(value) FROM history ORDER BY "
        "1,2,3",
        "SELECT id,topic,state,rank,deliver,attempts,max_attempts,enqueued,lease_until,failed,backoff,dedupe FROM "
        "message"
        " ORDER BY id",
        "SELECT id,sum,hex(data) FROM payload ORDER BY id",
        "SELECT * FROM dedupe ORDER BY topic,name",
        "SELECT name,owner,fence,expires FROM lock ORDER BY name",
    };
    struct buf out = BUF_INIT;
    sqlite3 *db = NULL;

    bool good = sqlite3_open(s->path, &db) == SQLITE_OK;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; good && i < sizeof tables / sizeof *tables; i++) {
        sqlite3_stmt *stmt = NULL;
        good = sqlite3_prepare_v2(db, tables[i], -1, &stmt, NULL) == SQLITE_OK;
        while (good && sqlite3_step(stmt) == SQLITE_ROW) {
            for (int c = 0; c < sqlite3_column_count(stmt); c++) {
                const char *text = (const char *)sqlite3_column_text(stmt, c);
                buf_str(&out, text ? text : "null");
                buf_byte(&out, '|');
            }
            buf_byte(&out, '\n');
        }
        sqlite3_finalize(stmt);
    }
    if (!good)
        printf("Bail out! the database cannot be read: %s\n", sqlite3_errmsg(db));
    sqlite3_close(db);
    const char *text = good ? buf_cstr(&out) : NULL;
    if (!text)
        exit(1);
    return out.data;
}

static void remove_logs(const struct service *s)
{
    static const char *const ends[] = {"-wal", "-shm"};
    char path[400];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", s->path, ends[i]);
        unlink(path);
    }
}

static void scene_make(struct scene *scene)
{
    struct stat st;

    memset(scene, 0, sizeof *scene);
    service_freeze(noon);
    service_prepare(&scene->s);
    service_configure(&scene->s, "maint_interval", "0");
    service_reopen(&scene->s);
    for (size_t i = 0; i < sizeof setting / sizeof *setting; i++)
        if (post_status(&scene->s, setting[i][0], setting[i][1]) != 200)
            ok(false, "setting %zu: %s", i, setting[i][0]);
    service_sql(&scene->s, "INSERT INTO lock VALUES('held','x',NULL,1,9000000000000000)");
    service_freeze(noon + 1000);
    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
    service_sql(&scene->s, "PRAGMA wal_checkpoint(TRUNCATE)");
    scene->state = read_state(&scene->s);
    int fd = open(scene->s.path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) || !(scene->file = malloc((size_t)st.st_size)) ||
        read(fd, scene->file, (size_t)st.st_size) != st.st_size)
        abort();
    close(fd);
    scene->len = (size_t)st.st_size;
}

/* Puts the database back as it was; nobody has it open. */
static void scene_restore(const struct scene *scene)
{
    remove_logs(&scene->s);
    int fd = open(scene->s.path, O_WRONLY | O_TRUNC);
    if (fd < 0 || write(fd, scene->file, scene->len) != (ssize_t)scene->len)
        abort();
    close(fd);
}

static void scene_close(struct scene *scene)
{
    free(scene->file);
    buf_free(&(struct buf){.data = scene->state});
    service_close(&scene->s);
}

/* --- Requests --- */

struct trial {
    const char *path, *body; /* body NULL: a GET */
};

static const struct trial trials[] = {
    {"/kv/get", "{\"key\":[\"a\"]}"},
    {"/kv/get", "{\"bucket\":\"h\",\"key\":[\"k\"],\"revision\":1}"},
    {"/kv/set", "{\"key\":[\"a\",\"new\",1.5,{\"$bigint\":\"12345678901234567890\"}],\"value\":[1,2],\"ttl\":5000}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"r\",\"s\"],\"value\":\"republished\"}"},
    {"/kv/set", "{\"key\":[\"old\"],\"value\":2}"},
    {"/queue/enqueue", "{\"payload\":[1],\"dedupeId\":\"e\",\"backoff\":[1]}"},
    {"/queue/dequeue", "{\"limit\":10}"},
    {"/queue/ack", "{\"id\":1}"},
    {"/kv/atomic",
     "{\"checks\":[{\"key\":[\"a\"],\"version\":1}],\"mutations\":[{\"type\":\"set\",\"key\":[1],\"value\":1},"
     "{\"type\":\"increment\",\"key\":[\"n\"]},{\"type\":\"delete\",\"key\":[\"a\"]},{\"type\":\"purge\",\"key\":"
     "[\"a\",\"b\"]}],\"enqueues\":[{\"payload\":1,\"options\":{\"topic\":\"t\"}}],\"acks\":[]}"},
    {"/kv/list", "{\"prefix\":[],\"limit\":2}"},
    {"/kv/get-many", "{\"keys\":[[\"a\"],[\"missing\"],[\"n\"]]}"},
    {"/kv/delete", "{\"key\":[\"a\"]}"},
    {"/kv/create", "{\"key\":[\"c\"],\"value\":null}"},
    {"/kv/update", "{\"key\":[\"a\"],\"version\":1,\"value\":true}"},
    {"/kv/increment", "{\"key\":[\"n\"],\"delta\":1.5}"},
    {"/kv/touch", "{\"key\":[\"a\"],\"ttl\":99999}"},
    {"/kv/purge", "{\"bucket\":\"h\",\"prefix\":[]}"},
    {"/kv/reset", "{}"},
    {"/kv/clean-expired", "{}"},
    {"/kv/keys", "{\"filter\":[\"a\",\"a.>\"],\"limit\":1}"},
    {"/kv/history", "{\"bucket\":\"h\",\"filter\":\"*\",\"limit\":1}"},
    {"/kv/changes", "{\"bucket\":\"h\",\"since\":0}"},
    {"/kv/watch", NULL},
    {"/queue/listen", NULL},
    {"/lock/acquire", "{\"name\":\"l\",\"ttl\":1000,\"owner\":\"me\"}"},
    {"/lock/renew", "{\"name\":\"held\",\"token\":\"x\",\"ttl\":1000}"},
    {"/lock/release", "{\"name\":\"held\",\"token\":\"x\"}"},
    {"/bucket/create", "{\"name\":\"new\",\"options\":{\"history\":2,\"metadata\":{\"a\":\"b\"}}}"},
    {"/bucket/create", "{\"name\":\"mem\",\"options\":{\"storage\":\"memory\"}}"},
    {"/bucket/update", "{\"name\":\"h\",\"options\":{\"history\":1,\"ttl\":1000000}}"},
    {"/bucket/status", "{\"name\":\"h\"}"},
    {"/bucket/list", "{}"},
    {"/bucket/destroy", "{\"name\":\"h\"}"},
    {"/bucket/purge", "{\"name\":\"h\"}"},
    {"/bucket/purge-deletes", "{\"name\":\"h\",\"olderThan\":0}"},
    {"/queue/enqueue-many", "{\"messages\":[{\"payload\":1},{\"payload\":2,\"topic\":\"x\"}]}"},
    {"/queue/ack-many", "{\"acks\":[{\"id\":1},{\"id\":99}]}"},
    {"/queue/nack", "{\"id\":4}"},
    {"/queue/extend", "{\"id\":4,\"leaseMs\":5000}"},
    {"/queue/dead", "{\"topic\":\"dead\"}"},
    {"/queue/redrive", "{\"topic\":\"dead\"}"},
    {"/queue/discard", "{\"topic\":\"dead\"}"},
    {"/queue/stats", "{}"},
    {"/queue/purge", "{\"topic\":\"default\"}"},
    {"/metrics", NULL},
    {"/openapi.json", NULL},
    {"/health", NULL},
};

enum { TRIALS = sizeof trials / sizeof *trials };

static bool is_stream(const struct trial *t)
{
    return strcmp(t->path, "/kv/watch") == 0 || strcmp(t->path, "/queue/listen") == 0;
}

static void fail_after(bool in_engine, long after, int forever)
{
    mem_fail_after(in_engine ? -1 : after, forever);
    engine_fail_after(in_engine ? after : -1, forever);
}

/* Ticks, as a server would, until the stream has sent what it has at first, or is over. */
static void run_stream(struct service *s, struct exchange *x, const char *what)
{
    for (int i = 0; i < 5 && !exchange_is_over(x) && !(x->body && strstr(x->body, what)); i++)
        kvs_tick(s->kvs, false);
}

struct outcome {
    int status;
    int calls; /* of the sink's final functions */
    bool
        reached; /* the allocation that was to fail; with forever only, and true also where it would have been the next */
    char *body; /* owned */
};

static bool fails_now(void)
{
    void *ours = mem_alloc(1), *theirs = sqlite3_malloc(1);
    bool fails = !ours || !theirs;
    mem_free(ours);
    sqlite3_free(theirs);
    return fails;
}

/* The request, with the allocation after `after` others failing. */
static struct outcome run_trial(struct service *s, const struct trial *t, bool in_engine, long after, int forever)
{
    struct exchange x;
    bool listens = strcmp(t->path, "/queue/listen") == 0;

    exchange_init(&x, t->path, t->body);
    x.request.query = is_stream(t) && !listens ? "bucket=h&include=history" : "";
    fail_after(in_engine, after, forever);
    kvs_handle(s->kvs, &x.request);
    if (is_stream(t))
        run_stream(s, &x, listens ? "message" : "ready");
    bool reached = fails_now();
    fail_after(false, -1, 0);
    if (is_stream(t) && !exchange_is_over(&x)) {
        run_stream(s, &x, listens ? "message" : "ready"); /* with memory again */
        kvs_cancel(s->kvs, &x.request);
    }
    service_pump(s, &x, 5000);
    struct outcome o = {x.status, x.calls, reached, x.body};
    x.body = NULL;
    exchange_free(&x);
    return o;
}

/* --- Judging --- */

struct tally {
    long runs, refused, served, unsure;
    bool good;
};

static void complain(struct tally *tally, const struct trial *t, const char *where, const struct outcome *o,
                     const char *what)
{
    if (tally->good)
        printf("# %s %s, %s: %s: %d %.200s\n", t->path, t->body ? t->body : "", where, what, o->status,
               o->body ? o->body : "(none)");
    tally->good = false;
}

/* Whether the answer is one of those that are right, and the state fits it. */
static void judge(struct tally *tally, const struct scene *scene, const struct trial *t, const char *where,
                  const struct outcome *o, const char *after)
{
    bool unsure = o->status == 500 && o->body && strstr(o->body, "may or may not");
    char *state = read_state(&scene->s);
    bool before = strcmp(state, scene->state) == 0;

    tally->runs++;
    tally->refused += o->status == 503;
    tally->served += o->status == 200;
    tally->unsure += unsure;
    if (o->calls != 1)
        complain(tally, t, where, o, "not exactly one answer");
    else if (o->status != 200 && o->status != 503 && !unsure)
        complain(tally, t, where, o, "a status that is not its own");
    else if (o->status == 503 && !before)
        complain(tally, t, where, o, "refused, but the state has changed");
    else if (o->status == 200 && !is_stream(t) && strcmp(state, after) != 0)
        complain(tally, t, where, o, "answered, but the state is not the one after it");
    else if (unsure && !before && strcmp(state, after) != 0)
        complain(tally, t, where, o, "half done");
    free(state);
}

/* Nothing fails: what the request is to answer, and the state it leaves. */
static struct outcome reference(struct scene *scene, const struct trial *t, char **after)
{
    scene_restore(scene);
    service_reopen(&scene->s);
    struct outcome o = run_trial(&scene->s, t, false, -1, 0);
    *after = read_state(&scene->s);
    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
    return o;
}

/* One run with one failure; with forever, false where there was no allocation left to fail. */
static bool run_one(struct scene *scene, const struct trial *t, struct tally *tally, bool in_engine, long n,
                    int forever, const char *after)
{
    char where[80];
    snprintf(where, sizeof where, "%s allocation %ld%s", in_engine ? "SQLite's" : "our", n,
             forever ? " and all after it" : "");
    scene_restore(scene);
    service_reopen(&scene->s);
    struct outcome o = run_trial(&scene->s, t, in_engine, n, forever);
    bool reached = o.reached;
    int served = o.status;
    judge(tally, scene, t, where, &o, after);
    free(o.body);
    o = run_trial(&scene->s, t, false, -1, 0);
    if (o.status != 200 && (served != 200 || (o.status != 404 && o.status != 409)))
        complain(tally, t, where, &o, "not served afterwards");
    free(o.body);
    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
    return reached;
}

static void test_trial(struct scene *scene, const struct trial *t, struct tally *all, long stride)
{
    struct tally tally = {.good = true};
    char *after;
    struct outcome want = reference(scene, t, &after);

    if (want.status != 200)
        complain(&tally, t, "with all memory", &want, "not served");
    free(want.body);
    long n[2] = {0, (t - trials) % stride};
    for (int in_engine = 0; in_engine < 2; in_engine++)
        for (; run_one(scene, t, &tally, in_engine, n[in_engine], 1, after); n[in_engine] += in_engine ? stride : 1)
            run_one(scene, t, &tally, in_engine, n[in_engine], 0, after);
    ok(tally.good && n[0] > 0, "%s %.40s: %ld of our allocations, %ld of SQLite's", t->path, t->body ? t->body : "",
       n[0], n[1]);
    all->runs += tally.runs;
    all->refused += tally.refused;
    all->served += tally.served;
    all->unsure += tally.unsure;
    free(after);
}

/* Opening: a handle that works, or none and a reason. */
static void test_open(struct scene *scene, bool in_engine)
{
    bool good = true, reached = true;
    long n = 0;

    for (; reached && good; n++) {
        char message[400] = "";
        scene_restore(scene);
        fail_after(in_engine, n, 1);
        scene->s.kvs = kvs_open(&scene->s.config, KVS_FASTCGI, message, sizeof message);
        reached = fails_now();
        fail_after(false, -1, 0);
        good = scene->s.kvs ? post_status(&scene->s, "/kv/get", "{\"key\":[\"a\"]}") == 200 : message[0] != '\0';
        kvs_close(scene->s.kvs);
        scene->s.kvs = NULL;
    }
    ok(good && n > 5, "opening without memory for allocation 1 to %ld %s", n, in_engine ? "of SQLite's" : "of ours");
}

/* Every row of the table of operations has its trial. */
static void test_complete(void)
{
    size_t count;
    const struct op *ops = dispatch_table(&count);

    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < TRIALS && strcmp(trials[k].path, ops[i].path))
            k++;
        ok(k < TRIALS, "%s is tried", ops[i].path);
    }
}

void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* The log says a line for most failures, thousands of them; reports of sanitizers are still to be seen. */
static void silence_log(void)
{
    int keep = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

    if (__sanitizer_set_report_fd)
        __sanitizer_set_report_fd((void *)(intptr_t)keep);
    dup2(null, STDERR_FILENO);
    close(null);
}

int main(int argc, char **argv)
{
    struct scene scene;
    struct tally all = {.good = true};
    const char *wide = getenv("KVS_LONG"), *only = argc > 1 ? argv[1] : NULL;
    long stride = wide && wide[0] ? 1 : STRIDE;

    engine_wrap();
    engine_fail_after(-1, 0);
    silence_log();
    scene_make(&scene);
    test_complete();
    test_open(&scene, false);
    test_open(&scene, true);
    for (size_t i = 0; i < TRIALS; i++)
        if (!only || strcmp(only, trials[i].path) == 0)
            test_trial(&scene, &trials[i], &all, stride);
    printf("# %ld runs: %ld refused, %ld served, %ld of unknown outcome\n", all.runs, all.refused, all.served,
           all.unsure);
    scene_close(&scene);
    return done_testing();
}
