/*
 * Failing calls: each endpoint's request is made once for each call to the operating system on its way, which fails, alone or
 * with all that follow it: as on a broken device, on a full one, with half of a write done, or because somebody else holds a
 * lock.  Every run begins from the same database, in a process that has just opened it and in one that has served before.  It
 * must end in the request's own answer, made to last, or in the right error with nothing changed; where a sync failed, in 500 that
 * says that the outcome is unknown.  What lasts is seen on a disk that loses power at once (disk.h).  Then nothing fails any more,
 * and the same process must serve and lose nothing.
 */
#include "tests/unit/scene.h"
#include "tests/unit/trials.h"
#include "tests/vfs/disk.h"
#include "tests/vfs/shim.h"

#include "db.h"

/* One call in so many fails, but for KVS_LONG. */
enum { STRIDE = 7 };

static const char *const fault_names[SHIM_FAULTS] = {"broken device", "full disk", "short writes", "busy locks"};

/* How a run begins and what the request comes to without a fault. */
struct course {
    bool warm; /* the process has served before */
    char *before, *after;
};

struct bench {
    struct scene scene;
    struct course courses[2];
    char image_dir[256], image_path[300];
    struct trace trace;
    struct disk *disk; /* as the trace was at `seen`, beginning with the scene's database */
    size_t seen;
    struct rng rng;
};

/* Which call fails. */
struct point {
    enum shim_fault fault;
    long n;
    bool forever;
};

struct outcome {
    int status;
    int calls;  /* of the sink's final functions */
    char *body; /* owned */
};

struct tally {
    long runs, served, refused, unsure;
    bool good;
};

/* --- One run --- */

/* The same database, nothing under way; the service is open. */
static void begin(struct bench *b, const struct course *c)
{
    scene_restore(&b->scene);
    b->disk = disk_new();
    b->seen = 0;
    disk_put(b->disk, "kv.db", b->scene.file, b->scene.len);
    shim_watch(b->scene.s.dir, &b->trace);
    service_reopen(&b->scene.s);
    if (c->warm && (post_status(&b->scene.s, "/kv/set", "{\"key\":[\"warm\"],\"value\":1}") != 200 ||
                    post_status(&b->scene.s, "/kv/get", "{\"key\":[\"warm\"]}") != 200))
        ok(false, "the service does not serve");
}

static void end(struct bench *b)
{
    kvs_close(b->scene.s.kvs);
    b->scene.s.kvs = NULL;
    shim_watch(NULL, NULL);
    disk_free(b->disk);
    trace_clear(&b->trace);
}

/* What a machine finds that loses its power now. */
static char *lasting_state(struct bench *b, enum disk_loss loss)
{
    struct disk_image image = {.count = 0};

    for (; b->seen < b->trace.count; b->seen++)
        disk_apply(b->disk, &b->trace.events[b->seen]);
    disk_image(b->disk, loss, &b->rng, &image);
    disk_image_write(&image, b->image_dir);
    char *state = state_read(b->image_path, false);
    for (size_t i = 0; i < image.count; i++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", b->image_dir, image.files[i].name);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s-shm", b->image_dir, image.files[i].name);
        unlink(path);
    }
    disk_image_free(&image);
    return state ? state : strdup("unreadable");
}

static struct outcome run_trial(struct service *s, const struct trial *t, const struct point *p, bool *reached)
{
    struct exchange x;
    bool listens = strcmp(t->path, "/queue/listen") == 0;

    exchange_init(&x, t->path, t->body);
    x.request.query = is_stream(t) && !listens ? "bucket=h&include=history" : "";
    if (p)
        shim_fail(p->fault, p->n, p->forever);
    kvs_handle(s->kvs, &x.request);
    if (is_stream(t))
        run_stream(s, &x, listens ? "message" : "ready");
    *reached = shim_heal();
    if (is_stream(t) && !exchange_is_over(&x)) {
        run_stream(s, &x, listens ? "message" : "ready");
        kvs_cancel(s->kvs, &x.request);
    }
    service_pump(s, &x, 5000);
    struct outcome o = {x.status, x.calls, x.body};
    x.body = NULL;
    exchange_free(&x);
    return o;
}

/* --- Judging --- */

static void complain(struct tally *tally, const struct trial *t, const struct course *c, const struct point *p,
                     const struct outcome *o, const char *what)
{
    if (tally->good)
        printf("# %s %s, %s, %s, call %ld%s (%s): %s: %d %.200s\n", t->path, t->body ? t->body : "",
               c->warm ? "warm" : "cold", fault_names[p->fault], p->n, p->forever ? " and all after it" : "",
               shim_failed_call(), what, o->status, o->body ? o->body : "(none)");
    tally->good = false;
}

static bool is_unsure(const struct outcome *o)
{
    return o->status == 500 && o->body && strstr(o->body, "may or may not");
}

/* Whether the fault may be answered like this. */
static bool is_right(const struct trial *t, const struct point *p, const struct outcome *o)
{
    if (o->status == 200)
        return true;
    if (is_unsure(o))
        return p->fault == SHIM_IO || (p->fault == SHIM_FULL && strcmp(shim_failed_call(), "xSync") == 0);
    if (strcmp(t->path, "/health") == 0)
        return o->status == 503;
    switch (p->fault) {
    case SHIM_FULL:
    case SHIM_SHORT:
        return o->status == 507;
    case SHIM_BUSY:
        return o->status == 503;
    default:
        return o->status == 500;
    }
}

static bool either(const char *state, const struct course *c)
{
    return strcmp(state, c->before) == 0 || strcmp(state, c->after) == 0;
}

static void judge(struct bench *b, struct tally *tally, const struct trial *t, const struct course *c,
                  const struct point *p, const struct outcome *o)
{
    char *lost = lasting_state(b, DISK_LOSE_ALL), *kept = lasting_state(b, DISK_KEEP_ALL);
    char *live = scene_state(&b->scene);
    bool unsure = is_unsure(o), refused = o->status != 200 && !unsure;

    tally->runs++;
    tally->served += o->status == 200;
    tally->refused += refused;
    tally->unsure += unsure;
    if (o->calls != 1)
        complain(tally, t, c, p, o, "not exactly one answer");
    else if (!is_right(t, p, o))
        complain(tally, t, c, p, o, "a status that is not its own");
    else if (refused && strcmp(live, c->before))
        complain(tally, t, c, p, o, "refused, but the state has changed");
    else if (refused && (strcmp(lost, c->before) || strcmp(kept, c->before)))
        complain(tally, t, c, p, o, "refused, but there after a power loss");
    else if (o->status == 200 && !is_stream(t) && strcmp(live, c->after))
        complain(tally, t, c, p, o, "answered, but not done");
    else if (o->status == 200 && !is_stream(t) && strcmp(lost, c->after))
        complain(tally, t, c, p, o, "answered, but not made to last");
    else if (!is_stream(t) && !(either(live, c) && either(lost, c) && either(kept, c)))
        complain(tally, t, c, p, o, "half done");
    free(lost);
    free(kept);
    free(live);
}

/* Nothing fails any more: the request is served, another one too, and what they did lasts. */
static void judge_afterwards(struct bench *b, struct tally *tally, const struct trial *t, const struct course *c,
                             const struct point *p, const struct outcome *first)
{
    bool reached, done = first->status == 200 || is_unsure(first);
    struct outcome o = run_trial(&b->scene.s, t, NULL, &reached);

    if (o.status != 200 && !(done && (o.status == 404 || o.status == 409)))
        complain(tally, t, c, p, &o, "not served afterwards");
    o.status = post_status(&b->scene.s, "/kv/set", "{\"key\":[\"later\"],\"value\":1}");
    char *live = scene_state(&b->scene), *lost = lasting_state(b, DISK_LOSE_ALL);
    if (o.status != 200)
        complain(tally, t, c, p, &o, "a write is not served afterwards");
    else if (strcmp(live, lost))
        complain(tally, t, c, p, &o, "what was done afterwards does not last");
    free(o.body);
    free(live);
    free(lost);
}

/* False where there was no call left to fail. */
static bool run_one(struct bench *b, const struct trial *t, const struct course *c, const struct point *p,
                    struct tally *tally)
{
    bool reached;

    begin(b, c);
    struct outcome o = run_trial(&b->scene.s, t, p, &reached);
    if (reached) {
        judge(b, tally, t, c, p, &o);
        judge_afterwards(b, tally, t, c, p, &o);
    }
    free(o.body);
    end(b);
    return reached;
}

/* What the request does where nothing fails. */
static void reference(struct bench *b, const struct trial *t, struct course *c, struct tally *tally)
{
    static const struct point none = {SHIM_IO, -1, false};
    bool reached;

    begin(b, c);
    c->before = scene_state(&b->scene);
    end(b);
    begin(b, c);
    struct outcome o = run_trial(&b->scene.s, t, NULL, &reached);
    c->after = scene_state(&b->scene);
    if (o.status != 200)
        complain(tally, t, c, &none, &o, "not served without a fault");
    free(o.body);
    end(b);
}

static long test_course(struct bench *b, const struct trial *t, struct course *c, struct tally *tally, long stride)
{
    long points = 0;

    reference(b, t, c, tally);
    for (int fault = 0; fault < SHIM_FAULTS; fault++) {
        struct point p = {(enum shim_fault)fault, (long)(t - trials) % stride, true};
        for (; run_one(b, t, c, &p, tally); p.n += stride) {
            struct point once = {p.fault, p.n, false};
            run_one(b, t, c, &once, tally);
            points++;
        }
    }
    free(c->before);
    free(c->after);
    return points;
}

static void test_trial(struct bench *b, const struct trial *t, struct tally *all, long stride)
{
    struct tally tally = {.good = true};
    long points = 0;

    for (int warm = 0; warm < 2; warm++) {
        struct course c = {.warm = warm};
        points += test_course(b, t, &c, &tally, stride);
    }
    ok(tally.good, "%s %.40s: %ld calls", t->path, t->body ? t->body : "", points);
    all->runs += tally.runs;
    all->served += tally.served;
    all->refused += tally.refused;
    all->unsure += tally.unsure;
}

/* --- Opening --- */

/* A handle that works, or none and a reason; afterwards it opens. */
static bool open_once(struct bench *b, bool fresh, const struct point *p, bool *reached)
{
    struct service *s = &b->scene.s;
    char message[400] = "";

    scene_restore(&b->scene);
    if (fresh)
        temp_dir_empty(s->dir, "kv.db");
    shim_fail(p->fault, p->n, p->forever);
    s->kvs = kvs_open(&s->config, KVS_FASTCGI, message, sizeof message);
    *reached = shim_heal();
    bool good = s->kvs ? post_status(s, "/kv/get", "{\"key\":[\"a\"]}") == 200 : message[0] != '\0';
    kvs_close(s->kvs);
    s->kvs = kvs_open(&s->config, KVS_FASTCGI, message, sizeof message);
    good = good && s->kvs && post_status(s, "/kv/set", "{\"key\":[\"later\"],\"value\":1}") == 200;
    if (!good)
        printf("# %s, call %ld%s (%s): %s\n", fault_names[p->fault], p->n, p->forever ? " and all after it" : "",
               shim_failed_call(), message[0] ? message : "a handle that does not serve");
    kvs_close(s->kvs);
    s->kvs = NULL;
    return good;
}

static void test_open(struct bench *b, bool fresh)
{
    bool good = true;
    long points = 0;

    for (int fault = 0; fault < SHIM_FAULTS; fault++) {
        bool reached = true;
        for (long n = 0; reached; n++, points++) {
            struct point once = {(enum shim_fault)fault, n, false}, all = {(enum shim_fault)fault, n, true};
            good &= open_once(b, fresh, &once, &reached);
            good &= open_once(b, fresh, &all, &reached);
        }
    }
    ok(good && points > 20, "opening %s: %ld calls", fresh ? "a new database" : "a database", points);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct tally all = {.good = true};
    const char *wide = getenv("KVS_LONG"), *only = argc > 1 ? argv[1] : NULL;
    long stride = wide && wide[0] ? 1 : STRIDE;

    shim_install();
    db_global_init();
    silence_log();
    temp_dir(b.image_dir, sizeof b.image_dir);
    snprintf(b.image_path, sizeof b.image_path, "%s/kv.db", b.image_dir);
    scene_make(&b.scene, "full");
    service_configure(&b.scene.s, "busy_timeout", "10");
    test_complete();
    if (!only) {
        test_open(&b, false);
        test_open(&b, true);
    }
    for (size_t i = 0; i < TRIALS; i++)
        if (!only || strcmp(only, trials[i].path) == 0)
            test_trial(&b, &trials[i], &all, stride);
    printf("# %ld runs: %ld served, %ld refused, %ld of unknown outcome\n", all.runs, all.served, all.refused,
           all.unsure);
    scene_close(&b.scene);
    temp_dir_remove(b.image_dir, "kv.db");
    return done_testing();
}
