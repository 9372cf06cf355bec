/*
 * kvs-maint without memory: each subcommand is run once for each allocation on its way, which fails, alone or with all that
 * follow it; the program's, cJSON's and SQLite's.  It does and prints exactly what it does with memory, or it fails: then
 * it has printed no report, and has left no file behind and the database as it was.
 */
#include <dirent.h>
#include <sys/mman.h>

#include "db.h"
#include "oom_scene.h"
#include "tools/tool.h"

enum { OUTPUT = 1 << 16, ENGINE_STRIDE = 401, FOREVER_STRIDE = 4 };

static const char dump_text[] =
    "{\"type\":\"dump\",\"format\":1,\"lastMessage\":1,\"lastFence\":0}\n"
    "{\"type\":\"bucket\",\"name\":\"l\",\"revision\":5,\"compacted\":0,\"created\":5,\"options\":{\"history\":2}}\n"
    "{\"type\":\"entry\",\"bucket\":\"l\",\"key\":[\"k\"],\"revision\":2,\"created\":1,\"version\":2,\"valueText\":"
    "\"[[]]\"}\n"
    "{\"type\":\"history\",\"bucket\":\"l\",\"key\":[\"k\"],\"revision\":1,\"created\":1,\"version\":1,\"value\":1}\n"
    "{\"type\":\"message\",\"id\":1,\"topic\":\"t\",\"state\":\"ready\",\"enqueuedAt\":1,\"deliverAt\":1,\"attempts\":"
    "0,"
    "\"maxAttempts\":3,\"payload\":{\"a\":1}}\n"
    "{\"type\":\"end\",\"lines\":5}\n";

struct trial {
    const char *name;
    tool_command *run;
    bool json;
    const char *file; /* in the service's directory */
    bool changes;     /* the database; where it fails, what was done step by step stays */
    bool random;      /* the output differs from run to run, but not in length */
    bool closed;      /* opens the database itself */
    bool force;
};

static const struct trial trials[] = {
    {"run", command_run, true, NULL, true, false, false, false},
    {"check", command_check, false, NULL, false, false, false, false},
    {"check --json", command_check, true, NULL, false, false, false, false},
    {"stats", command_stats, false, NULL, false, false, false, false},
    {"stats --json", command_stats, true, NULL, false, false, false, false},
    {"backup --json", command_backup, true, "copy", false, false, false, false},
    {"restore --force --json", command_restore, true, "backup", true, false, true, true},
    {"dump", command_dump, false, NULL, false, false, false, false},
    {"dump --json to a file", command_dump, true, "copy", false, false, false, false},
    {"load --json", command_load, true, "dump", true, false, false, false},
    {"compact --force --json", command_compact, true, NULL, false, false, false, true},
    {"tail", command_tail, false, NULL, false, false, false, false},
    {"token new --json", command_token, true, "name", false, true, true, false},
};

/* --- One run --- */

struct outcome {
    int status;
    bool reached;
    char out[OUTPUT]; /* what it printed, with a NUL */
};

static void write_file(const struct service *s, const char *name, const void *data, size_t len)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    close(fd);
}

/* Removes every file that does not belong to the scene; whether there was one. */
static bool sweep(const struct service *s)
{
    static const char *const own[] = {"kv.db", "kv.db-wal", "kv.db-shm",  "kv.db.lock",
                                      "dump",  "backup",    "backup-wal", "backup-shm"};
    char path[600];
    bool found = false;
    DIR *dir = opendir(s->dir);
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        bool known = e->d_name[0] == '.';
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            known |= strcmp(e->d_name, own[i]) == 0;
        if (known)
            continue;
        snprintf(path, sizeof path, "%s/%s", s->dir, e->d_name);
        unlink(path);
        found = true;
    }
    closedir(dir);
    return found;
}

/* The command, its standard output caught. */
static int run_caught(struct tool *tool, const struct trial *t, struct outcome *o, bool in_engine, long n, int forever)
{
    int out = memfd_create("output", MFD_CLOEXEC), keep;

    fflush(stdout);
    keep = dup(STDOUT_FILENO);
    dup2(out, STDOUT_FILENO);
    fail_after(in_engine, n, forever);
    int status = t->run(tool);
    o->reached = fails_now();
    fail_after(false, -1, 0);
    fflush(stdout);
    dup2(keep, STDOUT_FILENO);
    close(keep);
    ssize_t len = pread(out, o->out, sizeof o->out - 1, 0);
    o->out[len > 0 ? len : 0] = '\0';
    close(out);
    return status;
}

static void run_trial(struct scene *scene, const struct trial *t, struct outcome *o, bool in_engine, long n,
                      int forever)
{
    char path[400];
    struct tool tool = {.config = scene->s.config, .json = t->json, .force = t->force, .since = -1, .scope = "read"};

    scene_restore(scene);
    snprintf(path, sizeof path, "%s/%s", scene->s.dir, t->file ? t->file : "");
    tool.file = t->run == command_token ? t->file : t->file ? path : NULL;
    if (!t->closed)
        service_reopen(&scene->s);
    tool.kvs = scene->s.kvs;
    tool_json_init();
    o->status = run_caught(&tool, t, o, in_engine, n, forever);
    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
}

/* --- Judging --- */

struct tally {
    long runs, failed;
    bool good;
};

static bool same_output(const struct trial *t, const char *out, const char *want)
{
    return t->random ? strlen(out) == strlen(want) : strcmp(out, want) == 0;
}

/* What is wrong with it; NULL: nothing. */
static const char *judge(const struct scene *scene, const struct trial *t, const struct outcome *o,
                         const struct outcome *want, const char *after)
{
    const bool said = same_output(t, o->out, want->out), done = o->status == want->status && said;
    const bool makes = t->file && strcmp(t->file, "copy") == 0;
    char *state = scene_state(scene);
    const bool before = strcmp(state, scene->state) == 0, changed = strcmp(state, after) == 0;
    const bool left = sweep(&scene->s);
    free(state);

    if (done && !changed)
        return "done, but the database is not as it should be";
    if (done)
        return left == makes ? NULL : "done, but the files are not what they should be";
    if (o->status == TOOL_DONE)
        return "done, but the output is another";
    if (t->json && o->out[0])
        return "failed, and printed a report that is not whole";
    if (left && !makes)
        return "failed, and left a file behind";
    return before || t->changes ? NULL : "failed, and changed the database";
}

static bool run_one(struct scene *scene, const struct trial *t, struct tally *tally, bool in_engine, long n,
                    int forever, const struct outcome *want, const char *after)
{
    struct outcome o;
    run_trial(scene, t, &o, in_engine, n, forever);
    const char *wrong = judge(scene, t, &o, want, after);
    tally->runs++;
    tally->failed += !same_output(t, o.out, want->out);
    if (wrong && tally->good)
        printf("# %s allocation %ld%s: %s: %.300s\n", in_engine ? "SQLite's" : "our", n,
               forever ? " and all after it" : "", wrong, o.out);
    tally->good = tally->good && !wrong;
    return o.reached;
}

/*
 * Each allocation alone; in the small size only every FOREVER_STRIDE-th with all that follow it too.  Those also tell when
 * there are no more.
 */
static void test_trial(struct scene *scene, const struct trial *t)
{
    const long stride = engine_stride(ENGINE_STRIDE), rarely = stride == 1 ? 1 : FOREVER_STRIDE;
    struct outcome want;
    struct tally tally = {.good = true};
    long n[2] = {0, 0};

    run_trial(scene, t, &want, false, -1, 0);
    sweep(&scene->s);
    char *after = scene_state(scene);
    for (int in_engine = 0; in_engine < 2; in_engine++) {
        const long step = in_engine ? stride : 1;
        for (bool more = true; more; n[in_engine] += step) {
            if (n[in_engine] / step % rarely == 0)
                more = run_one(scene, t, &tally, in_engine, n[in_engine], 1, &want, after);
            if (more)
                run_one(scene, t, &tally, in_engine, n[in_engine], 0, &want, after);
        }
    }
    ok(tally.good && want.out[0] && n[0] > 1,
       "%s: up to %ld of our allocations, %ld of SQLite's; %ld runs, of which %ld failed", t->name, n[0], n[1],
       tally.runs, tally.failed);
    free(after);
}

static void count_line(void *context, const char *line)
{
    if ((*(long *)context)++ == 0)
        printf("# %s\n", line);
}

/* Memory that SQLite's own check does not get, each allocation of it, is no damage. */
static void test_engine_check(struct scene *scene)
{
    long lines = 0, runs = 0, failed = 0;
    bool reached = true;

    for (scene_restore(scene); reached; runs++) {
        struct db *db = NULL;
        if (db_open(&db, scene->s.path, DB_READ_ONLY, NULL))
            break;
        fail_after(true, runs, 0);
        enum error_code rc = db_integrity(db, count_line, &lines);
        reached = engine.after < 0;
        fail_after(false, -1, 0);
        failed += rc == ERR_NO_MEMORY;
        db_close(db);
    }
    ok(!reached && !lines && failed > 20, "the engine's check: %ld runs, of which %ld failed; %ld lines", runs, failed,
       lines);
}

int main(int argc, char **argv)
{
    struct scene scene;
    char path[400];

    engine_wrap();
    engine_fail_after(-1, 0);
    silence_log();
    scene_make(&scene, "relaxed");
    write_file(&scene.s, "dump", dump_text, sizeof dump_text - 1);
    write_file(&scene.s, "backup", scene.file, scene.len);
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        if (argc < 2 || strcmp(argv[1], trials[i].name) == 0)
            test_trial(&scene, &trials[i]);
    if (argc < 2)
        test_engine_check(&scene);
    snprintf(path, sizeof path, "%s/dump", scene.s.dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/backup", scene.s.dir);
    unlink(path);
    scene_close(&scene);
    return done_testing();
}
