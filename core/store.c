#include "store.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "hostfs.h"
#include "mem.h"
#include "pool.h"
#include "schema.h"

struct store {
    char *path;
    struct commit *commit;
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

static enum error_code prepare(struct db *db, struct writelock *lock, int64_t timeout, struct error *err)
{
    if (schema_current(db))
        return ERR_OK;
    enum error_code rc = writelock_take(lock, clock_mono() + timeout);
    if (rc)
        return error_set(err, rc, NULL, "the database's writer lock is held by another process; try again");
    rc = schema_prepare(db, err);
    writelock_release(lock);
    return rc;
}

static enum error_code open_files(struct store *s, const struct store_options *o, struct error *err)
{
    struct writelock *lock = NULL;
    struct db *db = NULL;
    unsigned flags = o->relaxed ? DB_RELAXED : 0;
    struct stat st;
    bool fresh = stat(s->path, &st) != 0 || st.st_size == 0;

    enum error_code rc = hostfs_check(s->path, err);
    /* The engine creates its side files with mode and owner of the database file, so that is made first, with ours. */
    if (!rc && fresh)
        rc = hostfs_create(s->path, NULL, err);
    if (!rc)
        rc = open_lock(s->path, &lock, err);
    if (!rc && fresh) {
        rc = writelock_take(lock, clock_mono() + o->busy_timeout);
        if (rc)
            error_set(err, rc, NULL, "the database's writer lock is held by another process; try again");
    }
    if (!rc) {
        rc = db_open(&db, s->path, flags | DB_CREATE | (o->alone && !fresh ? DB_BRIEF : 0), err);
        if (fresh)
            writelock_release(lock);
    }
    if (!rc)
        rc = prepare(db, lock, o->busy_timeout, err);
    const struct commit_options options = {
        .path = s->path,
        .db_flags = flags,
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
    struct store *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    s->alone = options->alone;
    s->path = mem_dup(options->path, strlen(options->path));
    enum error_code rc = s->path ? open_files(s, options, err) : error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
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
