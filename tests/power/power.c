/*
 * Power loss: a service works, and at every moment of its trace the power fails.  What a machine may find then (disk.h) is opened
 * with the real core, which must find nothing wrong in it: the engine's integrity, the store's own invariants, and the state of
 * one of the commits made so far, whole: with durability "full" the last one acknowledged or one behind it, with "relaxed" the last
 * one that a sync reached or one behind it.  A backup that was acknowledged is there and whole, and so is one that is there
 * without.  Many episodes begin with what a power loss of the one before them left.
 */
#include <inttypes.h>
#include <time.h>

#include "check.h"
#include "older.h"
#include "service.h"
#include "store.h"
#include "tests/unit/state.h"
#include "tests/vfs/shim.h"
#include "workload.h"

/* tests/unit/service.h, which has the same name as the core's own. */
#include "tests/unit/service.h"

enum { POINTS = 2000, POINTS_LONG = 100000, LOG_HEAD = 32, FRAME_HEAD = 24, FRAME = FRAME_HEAD + 4096, COMMITS = 512 };

/* A walk along one trace. */
struct walk {
    const struct workload *w;
    unsigned settings;
    struct rng *rng;
    struct service *s; /* where images are opened */
    struct disk *disk;
    struct disk_image image;  /* the one at hand */
    char *states[COMMITS];    /* after each commit; [0] is what it began with */
    size_t whole;             /* commits that the log has whole */
    size_t floor;             /* those that must be there */
    size_t begun;             /* as whole, when the step under way began */
    bool one;                 /* the step commits once at most */
    int64_t commit_end;       /* of the frame that ends the commit under way; 0: not known yet */
    char *backup;             /* the state in the backup that was acknowledged */
    size_t ends;              /* steps that are over */
    size_t model_at[COMMITS]; /* the step after which the model holds for this commit, counted from 1; 0: none */
    struct disk_image next;   /* where the next episode may begin */
    struct model next_model;
    bool has_next;
    long points;
    bool good;
};

static void complain(struct walk *k, size_t event, const char *what)
{
    if (k->good)
        printf("# event %zu (step %zu, commit %zu, acknowledged %zu): %s\n", event, k->ends, k->whole, k->floor, what);
    k->good = false;
}

/* --- One image --- */

static void on_finding(void *context, enum check_kind kind, const char *what)
{
    printf("# %s: %s\n", check_name(kind), what);
    *(bool *)context = false;
}

/* The core's own opinion. */
static bool is_sound(struct kvs *kvs)
{
    bool good = true;
    struct check_sink sink = {.finding = on_finding, .context = &good};
    struct check_counts counts = {0};
    struct db *db;
    enum error_code rc = store_reader(kvs->file, &db);

    if (rc)
        return false;
    rc = check_engine(db, &sink, &counts);
    if (!rc)
        rc = check_contents(db, &sink, &counts);
    store_reader_done(kvs->file, db, rc != ERR_OK);
    return !rc && good;
}

/* What the power loss left of files that nobody promises anything about: the lock file, the log's index. */
static void add_noise(const struct walk *k)
{
    static const char *const names[] = {"kv.db.lock", "kv.db-shm"};
    unsigned char noise[2048];
    char path[400];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", k->s->dir, names[i]);
        unsigned kind = rng_below(k->rng, 3);
        if (kind == 0) {
            unlink(path);
            continue;
        }
        for (size_t n = 0; n < sizeof noise; n++)
            noise[n] = (unsigned char)rng_next(k->rng);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0660);
        if (fd < 0 || write(fd, noise, kind == 1 ? 0 : sizeof noise) < 0)
            abort();
        close(fd);
    }
}

/* The commit whose state this is, of those that may be there; COMMITS where it is none of them. */
static size_t find_commit(const struct walk *k, const char *state)
{
    for (size_t i = k->whole + 1; i-- > k->floor;)
        if (strcmp(k->states[i], state) == 0)
            return i;
    return COMMITS;
}

static void say_why(const struct walk *k, const char *state)
{
    for (size_t i = 0; i < k->floor; i++)
        if (k->states[i] && strcmp(k->states[i], state) == 0)
            printf("# it is the state of commit %zu\n", i);
}

static void check_backup(struct walk *k, size_t event)
{
    char path[400];
    bool there = disk_image_file(&k->image, "backup.db") != NULL, known = false;

    if (!there) {
        if (k->backup)
            complain(k, event, "the backup is lost");
        return;
    }
    snprintf(path, sizeof path, "%s/backup.db", k->s->dir);
    char *state = state_read(path, true);
    for (size_t i = 0; state && !known && i <= k->whole; i++)
        known = strcmp(state, k->states[i]) == 0;
    if (!known && !(state && k->backup && strcmp(state, k->backup) == 0))
        complain(k, event, "the backup is not whole");
    free(state);
}

static void check_service(struct walk *k, size_t event)
{
    if (!is_sound(k->s->kvs))
        complain(k, event, "what was found is not sound");
    if (rng_chance(k->rng, 10) && post_status(k->s, "/kv/set", "{\"key\":[\"after\"],\"value\":1}") != 200)
        complain(k, event, "a write is not served");
}

static void clear_image(const struct walk *k)
{
    for (size_t i = 0; i < k->image.count; i++)
        temp_dir_empty(k->s->dir, k->image.files[i].name);
    temp_dir_empty(k->s->dir, "kv.db");
}

/* Opens the image; the state of the core that found it, which the caller frees, or NULL. */
static char *open_image(struct walk *k, size_t event)
{
    char message[400] = "";

    disk_image_write(&k->image, k->s->dir);
    add_noise(k);
    k->s->kvs = kvs_open(&k->s->config, rng_chance(k->rng, 50) ? KVS_CGI : KVS_FASTCGI, message, sizeof message);
    k->points++;
    if (k->s->kvs)
        return state_read(k->s->path, true);
    printf("# %s\n", message);
    complain(k, event, "the core does not open it");
    return NULL;
}

static void close_image(struct walk *k)
{
    kvs_close(k->s->kvs);
    k->s->kvs = NULL;
    clear_image(k);
}

/* One of the images found so far is where the next episode begins. */
static void keep_image(struct walk *k, size_t commit)
{
    if (!k->model_at[commit] || disk_image_file(&k->image, "backup.db") || !rng_chance(k->rng, 4))
        return;
    disk_image_copy(&k->next, &k->image);
    k->next_model = k->w->models[k->model_at[commit] - 1];
    k->has_next = true;
}

static void check_image(struct walk *k, size_t event, enum disk_loss loss)
{
    disk_image(k->disk, loss, k->rng, &k->image);
    char *state = open_image(k, event);
    if (state) {
        size_t commit = find_commit(k, state);
        if (commit == COMMITS) {
            complain(k, event, "what was found is the state of no commit that may be there");
            say_why(k, state);
        } else {
            keep_image(k, commit);
        }
        check_backup(k, event);
        check_service(k, event);
    }
    free(state);
    close_image(k);
}

/* --- The walk --- */

/* The state with all that was written so far. */
static char *whole_state(struct walk *k, size_t event)
{
    disk_image(k->disk, DISK_KEEP_ALL, k->rng, &k->image);
    char *state = open_image(k, event);
    close_image(k);
    return state;
}

static void add_commit(struct walk *k, size_t event)
{
    if (++k->whole == COMMITS)
        abort();
    k->states[k->whole] = whole_state(k, event);
    if (!k->states[k->whole])
        k->states[k->whole] = strdup("");
}

/*
 * A frame of the log is its head and then its page, in one write or in several; the head of a commit's last frame says how large
 * the database is.
 */
static bool ends_commit(struct walk *k, const struct event *e)
{
    static const unsigned char none[4];
    int64_t end = e->offset + (int64_t)e->len, at = LOG_HEAD;

    if (e->type != EVENT_WRITE || strcmp(e->name, "kv.db-wal"))
        return false;
    if (e->offset > LOG_HEAD)
        at += (e->offset - LOG_HEAD + FRAME - 1) / FRAME * FRAME;
    for (; at + FRAME_HEAD <= end; at += FRAME)
        if (memcmp(e->data + (at - e->offset) + 4, none, sizeof none))
            k->commit_end = at + FRAME;
    if (!k->commit_end || end < k->commit_end)
        return false;
    k->commit_end = 0;
    return true;
}

static void end_step(struct walk *k, size_t event, const struct event *e)
{
    k->ends++;
    if (k->one && k->whole > k->begun + 1)
        complain(k, event, "one operation was committed in parts");
    if (strcmp(k->states[k->whole], (const char *)e->data))
        complain(k, event, "what was written is not what could be read");
    k->model_at[k->whole] = k->ends;
}

static void read_mark(struct walk *k, size_t event, const struct event *e)
{
    switch ((enum workload_mark)e->offset) {
    case MARK_ACKNOWLEDGED:
        if (!(k->settings & WORKLOAD_RELAXED))
            k->floor = k->whole;
        break;
    case MARK_BEGIN_ONE:
    case MARK_BEGIN_MANY:
        k->begun = k->whole;
        k->one = e->offset == MARK_BEGIN_ONE;
        break;
    case MARK_END:
        end_step(k, event, e);
        break;
    case MARK_BACKUP:
        free(k->backup);
        k->backup = strdup((const char *)e->data);
        break;
    }
}

/* What was written but not synced can be found in many ways: where commits are synced, few events have all of it. */
static void check_losses(struct walk *k, size_t event)
{
    unsigned images = k->settings & WORKLOAD_RELAXED ? 1 : 4;

    for (unsigned i = 0; i < images; i++)
        check_image(k, event, i == 0 && rng_chance(k->rng, 10) ? DISK_KEEP_ALL : DISK_LOSE_SOME);
}

/* Brings the walk behind event number i and lets the power fail there. */
static void pass(struct walk *k, size_t i)
{
    const struct event *e = &k->w->trace.events[i];
    bool promises = e->type == EVENT_SYNC || e->type == EVENT_SYNC_DIRECTORY ||
                    (e->type == EVENT_MARK && (e->offset == MARK_ACKNOWLEDGED || e->offset == MARK_BACKUP));

    disk_apply(k->disk, e);
    if (ends_commit(k, e))
        add_commit(k, i);
    if (e->type == EVENT_SYNC && strcmp(e->name, "kv.db-wal") == 0)
        k->floor = k->whole;
    if (e->type == EVENT_MARK)
        read_mark(k, i, e);
    if (promises)
        check_image(k, i, DISK_LOSE_ALL);
    if (e->type != EVENT_MARK && disk_is_open(k->disk))
        check_losses(k, i);
}

static void walk_trace(struct walk *k, const struct disk_image *from, long limit)
{
    k->disk = disk_new();
    for (size_t i = 0; from && i < from->count; i++)
        disk_put(k->disk, from->files[i].name, from->files[i].content.data, from->files[i].content.len);
    k->states[0] = whole_state(k, 0);
    if (!k->states[0])
        k->states[0] = strdup("");
    for (size_t i = 0; i < k->w->trace.count && k->good && k->points < limit; i++)
        pass(k, i);
    disk_free(k->disk);
    disk_image_free(&k->image);
    for (size_t i = 0; i <= k->whole; i++)
        free(k->states[i]);
    free(k->backup);
}

/* --- Episodes --- */

struct sum {
    long episodes, points, relaxed, commits, steps, later, older;
    struct disk_image old; /* a database of the oldest format */
    struct disk_image next;
    struct model model;
    bool has_next;
};

/* One service's life and all its deaths; returns whether all was well. */
static bool episode(struct service *s, uint64_t seed, long limit, struct sum *sum)
{
    static struct workload w;
    struct rng rng = {seed};
    unsigned settings = (rng_chance(&rng, 30) ? WORKLOAD_RELAXED : 0) | (rng_chance(&rng, 40) ? WORKLOAD_CGI : 0);
    bool later = sum->has_next && rng_chance(&rng, 60);
    bool older = !later && rng_chance(&rng, 40);
    const struct disk_image *from = later ? &sum->next : older ? &sum->old : NULL;
    struct walk k = {.w = &w, .settings = settings, .rng = &rng, .s = s, .good = true};

    bool good = workload_run(&w, &rng, settings, 4 + rng_below(&rng, 20), from, later ? &sum->model : NULL);
    if (good)
        walk_trace(&k, from, limit);
    sum->episodes++;
    sum->points += k.points;
    sum->commits += (long)k.whole;
    sum->steps += (long)k.ends;
    sum->relaxed += settings & WORKLOAD_RELAXED ? k.points : 0;
    sum->later += later;
    sum->older += older;
    if (k.has_next) {
        disk_image_free(&sum->next);
        sum->next = k.next;
        sum->model = k.next_model;
        sum->has_next = true;
    }
    workload_free(&w);
    return good && k.good;
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && text[0] ? strtol(text, NULL, 10) : otherwise;
}

int main(void)
{
    struct service s;
    struct sum sum = {0};
    const char *wide = getenv("KVS_LONG");
    long seed = number("KVS_SEED", (long)(time(NULL) ^ getpid()) & 0x7fffffff);
    long points = number("KVS_POINTS", wide && wide[0] ? POINTS_LONG : POINTS);
    bool good = true;

    shim_install();
    db_global_init();
    service_prepare(&s);
    service_configure(&s, "durability", "full");
    good = older_image(&sum.old);
    printf("# seed %ld\n", seed);
    while (good && sum.points < points)
        good = episode(&s, (uint64_t)seed * 1000003 + (uint64_t)sum.episodes, points - sum.points, &sum);
    disk_image_free(&sum.next);
    disk_image_free(&sum.old);
    printf("# %ld episodes (%ld begin with what a power loss left, %ld with a database of the oldest format), %ld "
           "steps, %ld commits\n",
           sum.episodes, sum.later, sum.older, sum.steps, sum.commits);
    ok(good && sum.points >= points, "%ld power losses (%ld of them relaxed), seed %ld", sum.points, sum.relaxed, seed);
    config_free(&s.config);
    rmdir(s.dir);
    return done_testing();
}
