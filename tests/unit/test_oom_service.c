/*
 * Out of memory at every place: each endpoint's request is made once for each allocation on its way, which fails, alone or
 * with all that follow it; those of the program and those of SQLite in turn.  Every run begins from the same database and
 * must end in the request's own answer or in 503 with nothing changed; the same request is then made again in the same
 * process and must succeed.
 */
#include "oom_scene.h"
#include "trials.h"

/* --- Requests --- */

struct outcome {
    int status;
    int calls; /* of the sink's final functions */
    bool
        reached; /* the allocation that was to fail; with forever only, and true also where it would have been the next */
    char *body; /* owned */
};

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
    char *state = scene_state(scene);
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
    *after = scene_state(scene);
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

int main(int argc, char **argv)
{
    struct scene scene;
    struct tally all = {.good = true};
    const char *only = argc > 1 ? argv[1] : NULL;
    const long stride = engine_stride(61);

    engine_wrap();
    engine_fail_after(-1, 0);
    silence_log();
    scene_make(&scene, "relaxed");
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
