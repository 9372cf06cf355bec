#include "store.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "hostfs.h"
#include "log.h"
#include "mem.h"
#include "pool.h"
#include "schema.h"

struct store {
    char *path;
    struct commit *commit;
    int64_t lost;
    bool alone;
    struct pool readers; /* of struct db */
};

static enum error_code open_lock(const char *path, struct writelock **lock, struct error *err)
{
    size_t len = strlen(path);
    char *name = mem_alloc(len + sizeof ".lock");

    if (!name)
        return error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    memcpy(name, path, len);
    memcpy(name + len, ".lock", sizeof ".lock");
    enum error_code rc = hostfs_create(name, path, err);
    if (!rc)
        rc = writelock_open(lock, name, err);
    mem_free(name);
    return rc;
}

static enum error_code take(struct writelock *lock, int64_t timeout, struct error *err)
{
    enum error_code rc = writelock_take(lock, clock_mono() + timeout);

    return rc ? error_set(err, rc, NULL, "the database's writer lock is held by another process; try again") : ERR_OK;
}

static enum error_code prepare(struct db *db, struct writelock *lock, int64_t timeout, struct error *err)
{
    if (schema_current(db))
        return ERR_OK;
    enum error_code rc = take(lock, timeout, err);
    if (rc)
        return rc;
    rc = schema_prepare(db, err);
    writelock_release(lock);
    return rc;
}

/* Tells database files apart. */
static uint64_t file_id(const char *path)
{
    struct stat st;

    return stat(path, &st) ? 0 : (uint64_t)st.st_dev * UINT64_C(0x100000001b3) ^ (uint64_t)st.st_ino;
}

static enum error_code count_commits(struct db *db, int64_t *commits)
{
    struct db_query *q = db_start_n(db, SQL_STATE_LOAD, NULL, 0);

    if (db_step(q))
        *commits = db_int(q, 4);
    return db_end(q);
}

/* From now on what is there is all that there ever was. */
static enum error_code note_anew(struct db *db, struct writelock *lock, const struct store_options *o, uint64_t file,
                                 struct error *err)
{
    int64_t commits = 0;
    enum error_code rc = take(lock, o->busy_timeout, err);

    if (rc)
        return rc;
    rc = count_commits(db, &commits);
    if (!rc)
        writelock_note(lock, file, commits);
    writelock_release(lock);
    return rc;
}

/*
 * SQLite ends a log at its first damaged page, and says nothing of the commits behind it.  The lock file knows how many there
 * were.
 */
static enum error_code find_loss(struct store *s, struct db *db, struct writelock *lock, const struct store_options *o,
                                 uint64_t file, struct error *err)
{
    int64_t noted = writelock_noted(lock, file), commits = noted;
    enum error_code rc = count_commits(db, &commits);

    s->lost = commits < noted ? noted - commits : 0;
    if (rc || !s->lost || o->loss == STORE_TELLS)
        return rc;
    if (!o->relaxed && o->loss == STORE_REFUSES)
        return error_set(
            err, ERR_CORRUPT, NULL,
            "the database %s has lost its last %lld commits: its log (-wal) is damaged or gone, or an old copy "
            "was put in its place; kvs-maint check says what to do",
            s->path, (long long)s->lost);
    log_line(LOG_WARNING, "the database %s has lost its last %lld commits", s->path, (long long)s->lost);
    return note_anew(db, lock, o, file, err);
}

/* A file that is not there yet is made, and prepared, by one process at a time. */
static enum error_code open_db(struct store *s, const struct store_options *o, bool fresh, struct writelock *lock,
                               struct db **db, struct error *err)
{
    unsigned flags = DB_CREATE | (o->relaxed ? DB_RELAXED : 0) | (o->alone && !fresh ? DB_BRIEF : 0);
    uint64_t file = file_id(s->path);
    enum error_code rc = fresh ? take(lock, o->busy_timeout, err) : ERR_OK;

    if (rc)
        return rc;
    rc = db_open(db, s->path, flags, err);
    if (fresh)
        writelock_release(lock);
    if (!rc)
        rc = prepare(*db, lock, o->busy_timeout, err);
    if (rc)
        return rc;
    return fresh ? note_anew(*db, lock, o, file, err) : find_loss(s, *db, lock, o, file, err);
}

static enum error_code open_files(struct store *s, const struct store_options *o, struct error *err)
{
    struct writelock *lock = NULL;
    struct db *db = NULL;
    struct stat st;
    bool fresh = stat(s->path, &st) != 0 || st.st_size == 0;

    enum error_code rc = hostfs_check(s->path, err);
    /* The engine creates its side files with mode and owner of the database file, so that is made first, with ours. */
    if (!rc && fresh)
        rc = hostfs_create(s->path, NULL, err);
    if (!rc)
        rc = open_lock(s->path, &lock, err);
    if (!rc)
        rc = open_db(s, o, fresh, lock, &db, err);
    const struct commit_options options = {
        .path = s->path,
        .file = file_id(s->path),
        .db_flags = o->relaxed ? DB_RELAXED : 0,
        .busy_timeout = o->busy_timeout,
        .wal_limit = o->wal_limit,
        .on_commit = o->on_commit,
        .on_lead = o->on_lead,
        .context = o->context,
        .wal_cut = o->wal_cut,
    };
    if (!rc)
        rc = commit_new(&s->commit, &options, lock, db);
    if (rc) {
        db_close(db);
        writelock_close(lock);
    }
    return rc;
}

enum error_code store_open(struct store **out, const struct store_options *options, struct error *err)
{
    char real[PATH_MAX];
    struct store *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    s->alone = options->alone;
    enum error_code rc = hostfs_resolve(options->path, real, err);
    if (!rc) {
        s->path = mem_dup(real, strlen(real));
        rc = s->path ? open_files(s, options, err) : error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    }
    if (rc) {
        store_close(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (struct db *db = pool_take(&s->readers); db; db = pool_take(&s->readers))
        db_close(db);
    commit_free(s->commit);
    mem_free(s->path);
    mem_free(s);
}

enum error_code store_reader(struct store *s, struct db **db)
{
    *db = s->alone ? commit_borrow(s->commit) : pool_take(&s->readers);
    /* One that may be returned to the writer must be able to write. */
    return *db ? ERR_OK : db_open(db, s->path, s->alone ? 0 : DB_READ_ONLY, NULL);
}

void store_reader_done(struct store *s, struct db *db, bool broken)
{
    bool sound = !broken && db_is_idle(db);

    if (sound && s->alone)
        commit_return(s->commit, db);
    else if (!sound || !pool_give(&s->readers, db))
        db_close(db);
}

enum error_code store_state(struct db *db, struct store_state *state)
{
    *state = (struct store_state){.version = 0};
    enum error_code rc = db_user_version(db, &state->version);

    if (rc || state->version == 0)
        return rc;
    struct db_query *q = db_start_n(db, SQL_STATE_LOAD, NULL, 0);
    bool there = db_step(q);
    state->time = there ? db_int(q, 0) : 0;
    rc = db_end(q);
    return rc ? rc : there ? ERR_OK : ERR_CORRUPT;
}

enum error_code store_now(struct db *db, int64_t *now)
{
    struct db_query *q = db_start_n(db, SQL_STATE_LOAD, NULL, 0);

    *now = clock_now();
    if (db_step(q) && db_int(q, 0) > *now)
        *now = db_int(q, 0);
    return db_end(q);
}

struct commit *store_commit(struct store *s)
{
    return s->commit;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

int64_t store_log_bytes(const struct store *s)
{
    char name[PATH_MAX];
    struct stat st;

    snprintf(name, sizeof name, "%s-wal", s->path);
    return stat(name, &st) ? 0 : st.st_size;
}

int64_t store_lost(const struct store *s)
{
    return s->lost;
}
