#include "storage.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bucket.h"
#include "hub.h"
#include "log.h"
#include "mem.h"
#include "txn.h"

enum { PATH_SIZE = 4096, WAL_LIMIT = 8 << 20 };

/* Revisions set aside at each start from nothing: more than a year of ten thousand commits a second. */
static const int64_t reserve = INT64_C(1) << 38;

/* On /dev/shm, named after the durable file itself, so that every process that serves it finds the same one. */
static bool memory_path(const struct kvs *kvs, char path[PATH_SIZE])
{
    struct stat st;

    if (kvs->config->memory_path && kvs->config->memory_path[0])
        return snprintf(path, PATH_SIZE, "%s", kvs->config->memory_path) < PATH_SIZE;
    if (stat(store_path(kvs->file), &st))
        return false;
    snprintf(path, PATH_SIZE, "/dev/shm/kvs-%llx-%llx.db", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return true;
}

/* Anyone can make files on /dev/shm: it must be ours, and closed to others. */
static bool is_ours(const struct kvs *kvs, const char *path)
{
    struct stat memory, file;

    if (lstat(path, &memory) || stat(store_path(kvs->file), &file))
        return true;
    return S_ISREG(memory.st_mode) && memory.st_uid == file.st_uid && !(memory.st_mode & S_IWOTH);
}

static enum error_code open_memory(struct kvs *kvs, bool make, struct store **store)
{
    struct error err = ERROR_INIT;
    char path[PATH_SIZE];
    struct stat st;

    if (!memory_path(kvs, path))
        return ERR_INTERNAL;
    if (!make && stat(path, &st))
        return ERR_OK;
    if (!is_ours(kvs, path)) {
        log_line(LOG_ERROR, "%s is not this database's: remove it, or set memory_path", path);
        return ERR_INTERNAL;
    }
    struct store_options options = {
        .path = path,
        .relaxed = true, /* there is no disk to sync to */
        .busy_timeout = kvs->config->busy_timeout,
        .wal_limit = WAL_LIMIT,
        .on_commit = service_on_commit,
        .on_lead = service_on_lead,
        .context = kvs,
    };
    enum error_code rc = store_open(store, &options, &err);
    if (rc)
        log_line(LOG_ERROR, "storage \"memory\": %s", err.message);
    return rc;
}

enum error_code storage_memory(struct kvs *kvs, bool make, struct store **store)
{
    enum error_code rc = ERR_OK;

    pthread_mutex_lock(&kvs->memory_mutex);
    if (!kvs->memory) {
        rc = open_memory(kvs, make, &kvs->memory);
        if (!rc && kvs->memory)
            hub_add_store(kvs->hub, kvs->memory);
    }
    *store = kvs->memory;
    pthread_mutex_unlock(&kvs->memory_mutex);
    return rc;
}

static enum error_code lookup(struct store *store, const char *name, struct bucket *b, struct arena *arena,
                              struct error *err)
{
    struct db *db;
    enum error_code rc = store_reader(store, &db);
    if (rc)
        return rc;
    rc = bucket_find(db, name, false, b, arena, err);
    store_reader_done(store, db, rc == ERR_INTERNAL || rc == ERR_CORRUPT);
    return rc;
}

enum error_code storage_look(struct kvs *kvs, const char *name, struct store **store, struct bucket *b,
                             struct arena *arena)
{
    enum error_code rc = storage_memory(kvs, false, store);

    if (rc || !*store)
        return rc;
    rc = lookup(*store, name, b, arena, NULL);
    if (rc == ERR_NO_BUCKET)
        *store = NULL;
    return rc == ERR_NO_BUCKET ? ERR_OK : rc;
}

struct import {
    struct commit_job job;
    const char *name;
    struct bucket bucket; /* the definition, strings in the call's arena */
};

/* Sets a range of revisions aside in the durable file. */
static enum error_code apply_reserve(struct commit_job *job, struct txn *t)
{
    struct import *import = (struct import *)job;
    struct bucket *b;
    enum error_code rc = txn_bucket(t, import->name, &b, NULL);
    if (rc)
        return rc;
    import->bucket.revision = b->revision;
    b->revision += reserve;
    b->dirty = true;
    t->touched = true;
    return ERR_OK;
}

/* Makes the bucket's row in the memory store, unless another process was faster. */
static enum error_code apply_import(struct commit_job *job, struct txn *t)
{
    struct import *import = (struct import *)job;
    struct bucket there;

    enum error_code rc = bucket_find(t->db, import->name, false, &there, &t->arena, NULL);
    if (rc && rc != ERR_NO_BUCKET)
        return rc;
    if (!rc && there.created == import->bucket.created)
        return ERR_OK;
    if (!rc)
        rc = db_run(t->db, SQL_DOOMED_ADD, DB_INT(there.id));
    if (rc && rc != ERR_NO_BUCKET)
        return rc;
    struct bucket b = import->bucket;
    b.id = txn_next_bucket(t);
    b.compacted = b.revision;
    b.keys = b.held = b.bytes = 0;
    return bucket_put(t->db, &b);
}

static enum error_code import_bucket(struct call *call, const struct bucket *definition, struct store *memory)
{
    struct import import = {.job = {.apply = apply_reserve}, .name = call->bucket, .bucket = *definition};
    enum error_code rc = commit_wait(store_commit(call->kvs->file), &import.job);
    if (rc)
        return rc;
    import.job = (struct commit_job){.apply = apply_import};
    return commit_wait(store_commit(memory), &import.job);
}

enum error_code storage_find(struct call *call)
{
    struct store *memory;
    struct bucket b, there;

    if (strcmp(call->bucket, BUCKET_DEFAULT) == 0)
        return ERR_OK;
    enum error_code rc = lookup(call->kvs->file, call->bucket, &b, &call->arena, &call->err);
    if (rc || b.options.storage == BUCKET_FILE)
        return rc;
    rc = storage_memory(call->kvs, true, &memory);
    if (!rc)
        rc = lookup(memory, call->bucket, &there, &call->arena, NULL);
    /* Data of an earlier bucket by this name is not this one's. */
    if (rc == ERR_NO_BUCKET || (!rc && there.created != b.created))
        rc = import_bucket(call, &b, memory);
    call->store = memory;
    return rc;
}

struct forget {
    struct commit_job job;
    const char *name;
};

static enum error_code apply_forget(struct commit_job *job, struct txn *t)
{
    struct bucket *b;
    enum error_code rc = txn_bucket(t, ((struct forget *)job)->name, &b, NULL);
    if (rc)
        return rc == ERR_NO_BUCKET ? ERR_OK : rc;
    return bucket_drop(t, b);
}

enum error_code storage_forget(struct kvs *kvs, const char *name)
{
    struct forget forget = {.job = {.apply = apply_forget}, .name = name};
    struct store *memory;
    enum error_code rc = storage_memory(kvs, false, &memory);

    return rc || !memory ? rc : commit_wait(store_commit(memory), &forget.job);
}
