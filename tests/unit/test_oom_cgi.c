/*
 * The CGI program's request without memory: once for each allocation on its way, which fails, alone or with all that follow it.
 * It is answered with its own answer, or with 503 and nothing changed; or not at all, and the exit status says so.
 */
#include <sys/mman.h>

#include "cgi/serve.h"
#include "oom_scene.h"

enum { ANSWER = 1 << 16 };

struct trial {
    const char *name, *method, *path, *query, *body;
    bool unknown; /* the body's length is not declared */
};

static const struct trial trials[] = {
    {"a read", "POST", "/kv/get", "", "{\"key\":[\"a\"]}", false},
    {"a write", "POST", "/kv/set", "", "{\"key\":[\"new\"],\"value\":[1,2,3]}", false},
    {"a write of unknown length", "POST", "/kv/set", "", "{\"key\":[\"new\"],\"value\":1}", true},
    {"a watch that has ended", "GET", "/kv/watch", "bucket=nowhere", NULL, false},
    {"health", "GET", "/health", "", NULL, false},
};

/* A file in memory that holds the text and stands at its beginning. */
static int memory_file(const char *text)
{
    int fd = memfd_create("cgi", MFD_CLOEXEC);
    size_t len = text ? strlen(text) : 0;
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

static void set_variables(const struct trial *t)
{
    char length[24];
    snprintf(length, sizeof length, "%zu", t->body ? strlen(t->body) : 0);
    setenv("REQUEST_METHOD", t->method, 1);
    setenv("PATH_INFO", t->path, 1);
    setenv("REQUEST_URI", t->path, 1);
    setenv("QUERY_STRING", t->query, 1);
    setenv("CONTENT_TYPE", "application/json", 1);
    setenv("HTTP_AUTHORIZATION", "Bearer " SERVICE_TOKEN, 1);
    unsetenv("CONTENT_LENGTH");
    if (!t->unknown)
        setenv("CONTENT_LENGTH", length, 1);
}

struct outcome {
    int status; /* 0: no whole answer */
    int exit;
    bool reached;
};

/* Whether the head is there, and as much of a body as it says. */
static bool is_whole(const char *answer)
{
    const char *blank = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "Content-Length: ");
    return blank && (!length || strlen(blank + 4) == (size_t)strtoul(length + 16, NULL, 10));
}

static struct outcome run_trial(struct service *s, const struct trial *t, bool in_engine, long n, int forever)
{
    char answer[ANSWER];
    struct cgi_sink sink;
    struct outcome o = {0};
    int in = memory_file(t->body), out = memory_file(""), keep = dup(STDIN_FILENO);

    service_reopen(s);
    set_variables(t);
    dup2(in, STDIN_FILENO);
    cgi_sink_init(&sink, out);
    fail_after(in_engine, n, forever);
    o.exit = cgi_serve(s->kvs, &s->config, &sink);
    o.reached = fails_now();
    fail_after(false, -1, 0);
    cgi_sink_free(&sink);
    dup2(keep, STDIN_FILENO);
    ssize_t len = pread(out, answer, sizeof answer - 1, 0);
    answer[len > 0 ? len : 0] = '\0';
    if (is_whole(answer))
        sscanf(answer, "Status: %d", &o.status);
    close(in);
    close(out);
    close(keep);
    kvs_close(s->kvs);
    s->kvs = NULL;
    return o;
}

struct tally {
    long runs, refused, silent;
    bool good;
};

static bool run_one(struct scene *scene, const struct trial *t, struct tally *tally, bool in_engine, long n,
                    int forever, int own)
{
    scene_restore(scene);
    struct outcome o = run_trial(&scene->s, t, in_engine, n, forever);
    char *state = scene_state(scene);
    bool before = strcmp(state, scene->state) == 0;
    free(state);

    tally->runs++;
    tally->refused += o.status == 503;
    tally->silent += o.status == 0;
    bool good = o.status == own || (o.status == 503 && before) || (o.status == 0 && o.exit == EXIT_FAILURE);
    if (!good && tally->good)
        printf("# %s allocation %ld%s: status %d, exit %d\n", in_engine ? "SQLite's" : "our", n,
               forever ? " and all after it" : "", o.status, o.exit);
    tally->good = tally->good && good;
    return o.reached;
}

static void test_trial(struct scene *scene, const struct trial *t, long stride)
{
    struct tally tally = {.good = true};
    long n[2] = {0, 0};

    scene_restore(scene);
    const int own = run_trial(&scene->s, t, false, -1, 0).status;
    for (int in_engine = 0; in_engine < 2; in_engine++)
        for (; run_one(scene, t, &tally, in_engine, n[in_engine], 1, own); n[in_engine] += in_engine ? stride : 1)
            run_one(scene, t, &tally, in_engine, n[in_engine], 0, own);
    ok(tally.good && own > 0 && n[0] > 2, "%s (%d): %ld runs, %ld refused, %ld without an answer", t->name, own,
       tally.runs, tally.refused, tally.silent);
}

int main(void)
{
    struct scene scene;

    engine_wrap();
    engine_fail_after(-1, 0);
    silence_log();
    scene_make(&scene, "relaxed");
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        test_trial(&scene, &trials[i], engine_stride(61));
    scene_close(&scene);
    return done_testing();
}
