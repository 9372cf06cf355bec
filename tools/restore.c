#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arena.h"
#include "bucket.h"
#include "clock.h"
#include "db.h"
#include "hostfs.h"
#include "log.h"
#include "progress.h"
#include "schema.h"
#include "tempfile.h"
#include "tool.h"
#include "txn.h"
#include "writelock.h"

enum { RETRY_MS = 100 };

/* Where the counters of what is replaced cannot be read: farther than they can have come. */
static const int64_t leap = INT64_C(1) << 32;

struct restore {
    const struct tool *tool;
    char real[PATH_MAX];
    const char *path; /* the database's one name, which is `real` */
    struct progress progress;
    struct error err;
    struct writelock *lock;
    struct tempfile copy;  /* the backup, made fit to take the database's place */
    bool exists, readable; /* the database that is replaced */
    int64_t raised;        /* buckets whose revision went on */
};

static void nap(void)
{
    struct timespec t = {.tv_nsec = RETRY_MS * 1000000L};
    nanosleep(&t, NULL);
}

/* A CGI process comes and goes; one that stays is in the way. */
static bool is_unused(const struct restore *r)
{
    int64_t until = clock_mono() + r->tool->config.busy_timeout, user;

    while ((user = hostfs_user(r->path)) != 0 && clock_mono() < until)
        nap();
    if (user > 0)
        log_line(LOG_ERROR, "process %" PRId64 " is using the database %s: stop it first", user, r->path);
    else if (user < 0)
        log_line(LOG_ERROR, "a process is using the database %s: stop it first", r->path);
    return user == 0;
}

static bool take_lock(struct restore *r)
{
    char name[PATH_MAX];

    snprintf(name, sizeof name, "%s.lock", r->path);
    enum error_code rc = hostfs_create(name, r->exists ? r->path : NULL, &r->err);
    if (!rc)
        rc = writelock_open(&r->lock, name, &r->err);
    if (!rc)
        rc = writelock_take(r->lock, clock_mono() + r->tool->config.busy_timeout);
    if (rc)
        tool_failed("the database's writer lock cannot be had", rc, &r->err);
    return rc == ERR_OK;
}

static void count_line(void *context, const char *line)
{
    (void)line;
    ++*(int *)context;
}

/* Is it a database of ours, and whole? */
static bool is_sound(const struct restore *r, struct db *db)
{
    int64_t version = 0;
    int wrong = 0;
    enum error_code rc = db_user_version(db, &version);

    if (!rc && version > SCHEMA_VERSION)
        log_line(LOG_ERROR, "%s has format %lld, this program knows up to %d: use a newer kvs", r->tool->file,
                 (long long)version, (int)SCHEMA_VERSION);
    else if (rc || version < 1)
        log_line(LOG_ERROR, "%s is no backup of a kvs database", r->tool->file);
    else if (db_integrity(db, count_line, &wrong) || wrong)
        log_line(LOG_ERROR, "%s is damaged", r->tool->file);
    else
        return true;
    return false;
}

static bool copy_backup(struct restore *r)
{
    struct db *db = NULL;
    enum error_code rc = db_open(&db, r->tool->file, DB_READ_ONLY, &r->err);

    if (rc) {
        tool_failed("the backup cannot be read", rc, &r->err);
        return false;
    }
    bool ok = is_sound(r, db) && tempfile_make(&r->copy, r->path);
    if (ok) {
        rc = db_backup(db, r->copy.path, progress_at, &r->progress, &r->err);
        ok = rc == ERR_OK;
        if (!ok)
            tool_failed("the backup cannot be read", rc, &r->err);
    }
    db_close(db);
    return ok;
}

/*
 * The bucket goes on above the higher of both revisions, and as if everything up to there were compacted: a watcher that
 * has seen what is lost must learn that it has to begin anew.
 */
static enum error_code raise_bucket(struct restore *r, struct db *to, struct arena *arena, const char *name,
                                    int64_t revision)
{
    struct bucket b;
    enum error_code rc = bucket_find(to, name, true, &b, arena, NULL);

    if (rc && rc != ERR_NO_BUCKET)
        return rc;
    if (rc == ERR_NO_BUCKET)
        b = (struct bucket){.name = name, .options = bucket_defaults};
    b.revision = (revision > b.revision ? revision : b.revision) + 1;
    b.compacted = b.revision;
    r->raised++;
    return bucket_put(to, &b);
}

/* Goes through the buckets of `from`; with a leap, from is the copy itself. */
static enum error_code raise_buckets(struct restore *r, struct db *from, struct db *to, int64_t by)
{
    struct arena arena = ARENA_INIT;
    struct bucket b = {.name = ""};
    enum error_code rc = ERR_OK;

    for (bool more = true; !rc && more;) {
        struct db_query *q = db_start(from, SQL_BUCKET_AFTER, DB_TEXT(b.name, strlen(b.name)));
        more = db_step(q);
        if (more)
            rc = bucket_read(q, &b, &arena);
        enum error_code end = db_end(q);
        rc = rc ? rc : end;
        if (!rc && more)
            rc = raise_bucket(r, to, &arena, b.name, b.revision + by);
    }
    arena_free(&arena);
    return rc;
}

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Ids of messages and buckets, fences and the time go on, too. */
static enum error_code raise_state(struct db *from, struct db *to, int64_t by)
{
    struct txn old = {0}, new = {0};
    enum error_code rc = txn_load(&old, from);

    if (!rc)
        rc = txn_load(&new, to);
    if (rc)
        return rc;
    new.last_message = higher(new.last_message, old.last_message + by);
    new.last_fence = higher(new.last_fence, old.last_fence + by);
    new.last_bucket = higher(new.last_bucket, old.last_bucket);
    new.commits = higher(new.commits, old.commits + by);
    new.now = higher(new.now, old.now);
    return txn_flush(&new);
}

static enum error_code raise(struct restore *r, struct db *from, struct db *to, int64_t by)
{
    enum error_code rc = db_write_begin(to);

    if (rc)
        return rc;
    rc = raise_buckets(r, from, to, by);
    if (!rc)
        rc = raise_state(from, to, by);
    if (!rc)
        return db_commit(to);
    db_rollback(to);
    return rc;
}

/* Opens the database that is replaced; without it its counters are not known.  An error where it is not one of ours. */
static enum error_code open_old(struct restore *r, struct db **old)
{
    struct error err = ERROR_INIT;
    int64_t version = 0;
    enum error_code rc = db_open(old, r->path, 0, &err);

    if (!rc)
        rc = db_user_version(*old, &version);
    return !rc && (version < 1 || version > SCHEMA_VERSION) ? ERR_CORRUPT : rc;
}

/* Carries the counters on from what is replaced, or far beyond them where that cannot be read. */
static enum error_code carry_on(struct restore *r, struct db *copy)
{
    struct db *old = NULL;
    enum error_code rc = open_old(r, &old);

    if (!rc)
        rc = raise(r, old, copy, 0);
    db_close(old);
    r->readable = rc == ERR_OK;
    if (!rc || rc == ERR_NO_MEMORY) /* it may well be sound */
        return rc;
    r->raised = 0;
    return raise(r, copy, copy, leap);
}

/* Brings the copy to this program's format, and its counters beyond those of what it replaces. */
static enum error_code prepare_copy(struct restore *r)
{
    struct db *copy = NULL;
    enum error_code rc = db_open(&copy, r->copy.path, 0, &r->err);

    if (!rc)
        rc = schema_prepare(copy, &r->err);
    if (!rc && r->exists)
        rc = carry_on(r, copy);
    db_close(copy);
    return rc;
}

/* What cannot be read is kept for whoever wants to try. */
static bool put_aside(const struct restore *r)
{
    static const char *const suffixes[] = {"", "-wal"};
    char from[PATH_MAX], to[PATH_MAX];
    long long now = (long long)clock_now();

    log_line(
        LOG_WARNING,
        "the database that is replaced cannot be read: it is kept as %s.damaged-%lld, and the revisions go on %lld "
        "above those of the backup",
        r->path, now, (long long)leap);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(from, sizeof from, "%s%s", r->path, suffixes[i]);
        snprintf(to, sizeof to, "%s.damaged-%lld%s", r->path, now, suffixes[i]);
        if (rename(from, to) && errno != ENOENT) {
            tool_failed_errno("cannot rename", from);
            return false;
        }
    }
    snprintf(from, sizeof from, "%s-shm", r->path);
    unlink(from);
    return true;
}

/*
 * The content changes within the file, in one transaction: whoever opens it meanwhile sees the old or the new, and nobody
 * goes on with a file that has no name any more.
 */
static enum error_code replace(struct restore *r)
{
    struct db *db = NULL;
    int64_t left;
    enum error_code rc = hostfs_create(r->path, NULL, &r->err);

    if (!rc)
        rc = db_open(&db, r->path, DB_CREATE, &r->err);
    if (!rc)
        rc = db_replace(db, r->copy.path, progress_at, &r->progress, &r->err);
    if (!rc)
        rc = db_checkpoint(db, true, &left);
    db_close(db);
    if (!rc)
        writelock_forget(r->lock);
    if (!rc && !tempfile_sync_directory(r->path))
        rc = ERR_INTERNAL;
    return rc;
}

static bool restore(struct restore *r)
{
    if (!copy_backup(r))
        return false;
    enum error_code rc = prepare_copy(r);
    if (rc) {
        tool_failed("the backup cannot be made fit", rc, &r->err);
        return false;
    }
    progress_clear(&r->progress);
    if (r->exists && !r->readable && !put_aside(r))
        return false;
    rc = replace(r);
    if (rc)
        tool_failed("nothing was restored", rc, &r->err);
    return rc == ERR_OK;
}

static bool may_begin(struct restore *r)
{
    struct stat st;
    enum error_code rc = hostfs_resolve(r->tool->config.db_path, r->real, &r->err);

    if (!rc)
        rc = hostfs_check(r->path, &r->err);
    if (rc) {
        tool_failed("nothing was restored", rc, &r->err);
        return false;
    }
    if (stat(r->tool->file, &st)) {
        tool_failed_errno("cannot read", r->tool->file);
        return false;
    }
    r->exists = stat(r->path, &st) == 0 && st.st_size > 0;
    if (r->exists && tool_same_file(r->path, r->tool->file)) {
        log_line(LOG_ERROR, "%s is the database itself", r->tool->file);
        return false;
    }
    if (r->exists && !r->tool->force) {
        log_line(LOG_ERROR, "the database %s exists: --force replaces its content", r->path);
        return false;
    }
    return true;
}

static int summary(const struct restore *r)
{
    const struct tool *tool = r->tool;

    if (tool->quiet)
        return TOOL_DONE;
    if (!tool->json) {
        tool_say(tool, "restored %s to %s%s", tool->file, r->path,
                 r->raised ? "; revisions go on above those of what was replaced" : "");
        return TOOL_DONE;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    cJSON_AddStringToObject(json, "file", tool->file);
    cJSON_AddStringToObject(json, "database", r->path);
    tool_json_int(json, "raised", r->raised);
    return tool_print_json(json);
}

int command_restore(struct tool *tool)
{
    struct restore r = {.tool = tool, .err = ERROR_INIT};

    r.path = r.real;

    if (sodium_init() < 0)
        return tool_failed("nothing was restored", ERR_INTERNAL, NULL);
    db_global_init();
    progress_start(&r.progress, tool, "restoring");
    bool ok = may_begin(&r) && take_lock(&r) && (!r.exists || is_unused(&r)) && restore(&r);
    progress_clear(&r.progress);
    tempfile_drop(&r.copy);
    if (r.lock) {
        writelock_release(r.lock);
        writelock_close(r.lock);
    }
    return ok ? summary(&r) : TOOL_PROBLEM;
}
