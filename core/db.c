#include "db.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db_log.h"
#include "db_sums.h"
#include "log.h"
#include "mem.h"

enum { CACHE_KIB = 4096, LOG_LIMIT = 16 << 20, BUSY_MS = 5000, COPY_PAGES = 1024, MEND_BYTES = 16384 };

struct db_query {
    sqlite3_stmt *stmt;
    struct db *db;
    enum error_code rc;
};

struct db {
    sqlite3 *handle;
    struct db_query queries[SQL_COUNT];
    int64_t wal_bytes;
    bool doubtful; /* a sync has failed */
    _Alignas(max_align_t) unsigned char note[DB_NOTE];
};

static const char *const sql_text[SQL_COUNT] = {
#define SQL_ROW(id, text) [id] = text,
    SQL_TABLE(SQL_ROW)
#undef SQL_ROW
};

void db_global_init(void)
{
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_initialize();
    db_sums_register();
}

static enum error_code code_of(int rc)
{
    /* The only I/O errors that say what is missing: room for the log's index. */
    if (rc == SQLITE_IOERR_SHMSIZE)
        return ERR_FULL;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a snapshot could not be had in a hundred tries */
        return ERR_BUSY;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_NOMEM:
        return ERR_NO_MEMORY;
    case SQLITE_TOOBIG:
        return ERR_TOO_LARGE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    default:
        return ERR_INTERNAL;
    }
}

static enum error_code failed(struct db *db, int rc, const char *what)
{
    enum error_code code = code_of(rc);

    db->doubtful |= rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
    if (code != ERR_BUSY && code != ERR_OK)
        log_line(LOG_ERROR, "database: %s: %s (%d)", what, sqlite3_errstr(rc), sqlite3_extended_errcode(db->handle));
    return code;
}

static int on_wal(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct db *db = context;
    (void)handle;
    (void)name;
    db->wal_bytes = (int64_t)pages * DB_SUMS_FRAME;
    return SQLITE_OK;
}

static int pragma(struct db *db, const char *sql)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
}

static int control(sqlite3 *handle, int op, int argument)
{
    return sqlite3_file_control(handle, "main", op, &argument);
}

/* What only counts for a file that is yet to be made. */
static int shape(struct db *db)
{
    char text[40];

    snprintf(text, sizeof text, "PRAGMA page_size=%d", DB_SUMS_PAGE);
    int rc = pragma(db, text);
    return rc ? rc : control(db->handle, SQLITE_FCNTL_RESERVE_BYTES, DB_SUMS_RESERVE);
}

static int wal_mode(struct db *db)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            rc = strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") ? SQLITE_CANTOPEN : SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc;
}

static int set_up(struct db *db, unsigned flags)
{
    char text[80];
    int on = 1;

    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    int rc = SQLITE_OK;
    if ((flags & DB_CREATE) && !(flags & DB_BRIEF))
        rc = shape(db);
    if (rc == SQLITE_OK && (flags & DB_CREATE))
        rc = wal_mode(db);
    if (rc == SQLITE_OK)
        rc = pragma(db, flags & DB_RELAXED ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
    if (rc == SQLITE_OK && (flags & DB_READ_ONLY))
        rc = pragma(db, "PRAGMA query_only=1");
    snprintf(text, sizeof text, "PRAGMA cache_size=-%d", CACHE_KIB);
    if (rc == SQLITE_OK && !(flags & DB_BRIEF))
        rc = pragma(db, text);
    snprintf(text, sizeof text, "PRAGMA journal_size_limit=%d", LOG_LIMIT);
    if (rc == SQLITE_OK && !(flags & DB_BRIEF))
        rc = pragma(db, text);
    sqlite3_wal_hook(db->handle, on_wal, db);
    return rc;
}

static int prepare(struct db *db, enum sql_id id)
{
    return sqlite3_prepare_v3(db->handle, sql_text[id], -1, SQLITE_PREPARE_PERSISTENT, &db->queries[id].stmt, NULL);
}

/* What would be right. */
static const char *advice(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
        return ": keep a copy of it, then restore a backup (kvs-maint restore)";
    case SQLITE_NOTADB:
        return ": set KV_DB_PATH to a database or a new file, or restore a backup (kvs-maint restore)";
    default:
        return "";
    }
}

enum error_code db_open(struct db **out, const char *path, unsigned flags, struct error *err)
{
    struct db *db = mem_zalloc(1, sizeof *db);
    if (!db)
        return error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    int open_flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const char *layer = flags & (DB_RELAXED | DB_READ_ONLY) ? NULL : db_log_layer();
    int rc = sqlite3_open_v2(path, &db->handle, open_flags | (flags & DB_CREATE ? SQLITE_OPEN_CREATE : 0), layer);
    if (rc == SQLITE_OK)
        rc = set_up(db, flags);
    /* Ready beforehand, so that a transaction can be left when there is no memory. */
    if (rc == SQLITE_OK)
        rc = prepare(db, SQL_ROLLBACK);
    if (rc != SQLITE_OK) {
        const char *why =
            db->handle && sqlite3_errcode(db->handle) != SQLITE_OK ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
        enum error_code code = code_of(rc) ? code_of(rc) : ERR_INTERNAL;
        error_set(err, code, NULL, "cannot open the database %s: %s%s", path, why, advice(rc));
        db_close(db);
        return code;
    }
    for (size_t i = 0; i < SQL_COUNT; i++)
        db->queries[i].db = db;
    *out = db;
    return ERR_OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(db->queries[i].stmt);
    sqlite3_close(db->handle);
    mem_free(db);
}

static int bind(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
    switch (v->type) {
    case DB_TYPE_INT:
        return sqlite3_bind_int64(stmt, at, v->i);
    case DB_TYPE_BLOB:
        return v->p && v->len ? sqlite3_bind_blob64(stmt, at, v->p, v->len, SQLITE_STATIC)
                              : sqlite3_bind_zeroblob(stmt, at, 0);
    case DB_TYPE_TEXT:
        return sqlite3_bind_text64(stmt, at, v->p ? v->p : "", v->len, SQLITE_STATIC, SQLITE_UTF8);
    default:
        return sqlite3_bind_null(stmt, at);
    }
}

struct db_query *db_start_n(struct db *db, enum sql_id id, const struct db_value *values, size_t count)
{
    struct db_query *q = &db->queries[id];
    int rc = SQLITE_OK;

    q->rc = ERR_OK;
    if (!q->stmt)
        rc = prepare(db, id);
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++)
        rc = bind(q->stmt, (int)i + 1, &values[i]);
    if (rc != SQLITE_OK)
        q->rc = failed(db, rc, sql_text[id]);
    return q;
}

bool db_step(struct db_query *q)
{
    if (q->rc)
        return false;
    int rc = sqlite3_step(q->stmt);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        q->rc = failed(q->db, rc, sqlite3_sql(q->stmt));
    return false;
}

int64_t db_int(struct db_query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

bool db_is_null(struct db_query *q, int column)
{
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

const void *db_blob(struct db_query *q, int column, size_t *len)
{
    const void *p = sqlite3_column_blob(q->stmt, column);
    *len = (size_t)sqlite3_column_bytes(q->stmt, column);
    if (!p && *len == 0 && sqlite3_column_type(q->stmt, column) != SQLITE_NULL &&
        sqlite3_errcode(q->db->handle) == SQLITE_NOMEM)
        q->rc = ERR_NO_MEMORY;
    return p ? p : "";
}

const char *db_text(struct db_query *q, int column, size_t *len)
{
    const char *p = (const char *)sqlite3_column_text(q->stmt, column);
    *len = (size_t)sqlite3_column_bytes(q->stmt, column);
    return p ? p : "";
}

enum error_code db_end(struct db_query *q)
{
    if (q->stmt)
        sqlite3_reset(q->stmt);
    return q->rc;
}

enum error_code db_run_n(struct db *db, enum sql_id id, const struct db_value *values, size_t count, int64_t *changes)
{
    struct db_query *q = db_start_n(db, id, values, count);
    while (db_step(q))
        ;
    if (changes)
        *changes = sqlite3_changes64(db->handle);
    return db_end(q);
}

enum error_code db_script(struct db *db, const char *sql, struct error *err)
{
    char *why = NULL;
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, &why);
    enum error_code code = code_of(rc);
    if (code)
        error_set(err, code, NULL, "the database refused a statement: %s", why ? why : sqlite3_errstr(rc));
    sqlite3_free(why);
    return code;
}

enum error_code db_read_begin(struct db *db)
{
    enum error_code rc = db_run_n(db, SQL_READ_BEGIN, NULL, 0, NULL);
    return rc;
}

void db_read_end(struct db *db)
{
    if (!sqlite3_get_autocommit(db->handle))
        db_run_n(db, SQL_COMMIT, NULL, 0, NULL);
    if (!sqlite3_get_autocommit(db->handle))
        db_rollback(db);
}

enum error_code db_write_begin(struct db *db)
{
    return db_run_n(db, SQL_WRITE_BEGIN, NULL, 0, NULL);
}

enum error_code db_commit(struct db *db)
{
    enum error_code rc = db_run_n(db, SQL_COMMIT, NULL, 0, NULL);
    if (!rc)
        return ERR_OK;
    /* Out of room is refused before the commit frame is written; anything else may have reached the disk. */
    bool whole = sqlite3_get_autocommit(db->handle);
    db_rollback(db);
    if (rc == ERR_FULL || rc == ERR_BUSY || (rc == ERR_NO_MEMORY && !whole))
        return rc;
    return ERR_UNKNOWN_OUTCOME;
}

void db_rollback(struct db *db)
{
    if (!sqlite3_get_autocommit(db->handle))
        db_run_n(db, SQL_ROLLBACK, NULL, 0, NULL);
}

bool db_is_doubtful(const struct db *db)
{
    return db->doubtful;
}

/* Reads n bytes and writes them to the same place. */
static int rewrite(sqlite3_file *file, int64_t at, int n)
{
    unsigned char bytes[MEND_BYTES];
    int rc = file->pMethods->xRead(file, bytes, n, at);
    return rc == SQLITE_OK ? file->pMethods->xWrite(file, bytes, n, at) : rc;
}

enum error_code db_mend_log(struct db *db)
{
    sqlite3_file *log = NULL;
    sqlite3_int64 size = 0;
    int rc = SQLITE_OK;

    if (!db->doubtful)
        return ERR_OK;
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods)
        rc = log->pMethods->xFileSize(log, &size);
    for (int64_t at = 0; rc == SQLITE_OK && at < size; at += MEND_BYTES)
        rc = rewrite(log, at, size - at < MEND_BYTES ? (int)(size - at) : MEND_BYTES);
    /* Whatever is gathered on the way (db_log.h) is written before a size is told. */
    if (rc == SQLITE_OK && size > 0)
        rc = log->pMethods->xFileSize(log, &size);
    db->doubtful = rc != SQLITE_OK;
    return rc == SQLITE_OK ? ERR_OK : failed(db, rc, "writing the log anew after a failed sync");
}

bool db_is_idle(const struct db *db)
{
    return sqlite3_get_autocommit(db->handle);
}

enum error_code db_savepoint(struct db *db)
{
    return db_run_n(db, SQL_SAVEPOINT, NULL, 0, NULL);
}

enum error_code db_savepoint_end(struct db *db, bool undo)
{
    enum error_code rc = undo ? db_run_n(db, SQL_SAVEPOINT_UNDO, NULL, 0, NULL) : ERR_OK;
    enum error_code released = db_run_n(db, SQL_SAVEPOINT_END, NULL, 0, NULL);
    return rc ? rc : released;
}

int64_t db_total_changes(struct db *db)
{
    return sqlite3_total_changes64(db->handle);
}

static enum error_code one_int(struct db *db, enum sql_id id, int64_t *n)
{
    struct db_query *q = db_start_n(db, id, NULL, 0);
    if (db_step(q))
        *n = db_int(q, 0);
    return db_end(q);
}

enum error_code db_data_version(struct db *db, int64_t *version)
{
    return one_int(db, SQL_DATA_VERSION, version);
}

uint32_t db_state(struct db *db)
{
    unsigned state = 0;
    sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_DATA_VERSION, &state);
    return state;
}

void *db_note(struct db *db)
{
    return db->note;
}

enum error_code db_user_version(struct db *db, int64_t *version)
{
    return one_int(db, SQL_USER_VERSION, version);
}

enum error_code db_set_user_version(struct db *db, int64_t version)
{
    char text[80];
    snprintf(text, sizeof text, "PRAGMA user_version=%lld; PRAGMA application_id=%d", (long long)version,
             (int)DB_SUMS_APPLICATION);
    return code_of(pragma(db, text));
}

enum error_code db_is_ours(struct db *db, bool *ours)
{
    int64_t id = 0, objects = 0;
    enum error_code rc = one_int(db, SQL_APPLICATION_ID, &id);

    if (!rc && id != DB_SUMS_APPLICATION)
        rc = one_int(db, SQL_OUR_TABLES, &objects);
    *ours = objects > 0 || id == DB_SUMS_APPLICATION;
    return rc;
}

int64_t db_wal_bytes(const struct db *db)
{
    return db->wal_bytes;
}

enum error_code db_checkpoint(struct db *db, bool truncate, int64_t *left)
{
    int frames = 0, copied = 0;
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;

    if (truncate)
        sqlite3_busy_timeout(db->handle, 0);
    int rc = sqlite3_wal_checkpoint_v2(db->handle, "main", mode, &frames, &copied);
    if (truncate)
        sqlite3_busy_timeout(db->handle, BUSY_MS);
    *left = frames > copied ? frames - copied : 0;
    if ((rc & 0xff) == SQLITE_BUSY)
        return ERR_OK;
    if (rc == SQLITE_OK && *left == 0)
        db->wal_bytes = 0;
    return rc == SQLITE_OK ? ERR_OK : failed(db, rc, "checkpoint");
}

bool db_has_sums(struct db *db)
{
    int has = 0;
    sqlite3_file_control(db->handle, "main", DB_SUMS_ARE_THERE, &has);
    return has;
}

enum error_code db_add_sums(struct db *db)
{
    int64_t left;

    control(db->handle, SQLITE_FCNTL_RESERVE_BYTES, DB_SUMS_RESERVE);
    control(db->handle, DB_SUMS_CONVERT, 1);
    enum error_code rc = db_compact(db);
    if (!rc)
        rc = db_checkpoint(db, true, &left);
    control(db->handle, DB_SUMS_CONVERT, 0);
    return rc || db_has_sums(db) ? rc : ERR_BUSY;
}

void db_be_lenient(struct db *db)
{
    control(db->handle, DB_SUMS_LENIENT, 1);
}

enum error_code db_size(struct db *db, int64_t *bytes, int64_t *free_bytes)
{
    int64_t pages = 0, spare = 0;
    enum error_code rc = one_int(db, SQL_PAGE_COUNT, &pages);
    if (!rc)
        rc = one_int(db, SQL_FREE_COUNT, &spare);
    *bytes = pages * DB_SUMS_PAGE;
    *free_bytes = spare * DB_SUMS_PAGE;
    return rc;
}

/* The engine takes a page that it had no memory for as damage. */
static bool lacks_memory(const char *line)
{
    const char *code = strstr(line, "error code=");
    int rc = 0;

    return code && sscanf(code, "error code=%d", &rc) == 1 && (rc == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM);
}

enum error_code db_integrity(struct db *db, void (*report)(void *, const char *), void *context)
{
    struct db_query *q = db_start_n(db, SQL_INTEGRITY, NULL, 0);
    bool lacking = false;
    char line[256];
    size_t len;

    /* A row may have several lines, the first of which is a heading. */
    while (db_step(q)) {
        for (const char *p = db_text(q, 0, &len), *end; *p; p = *end ? end + 1 : end) {
            end = p + strcspn(p, "\n");
            snprintf(line, sizeof line, "%.*s", (int)(end - p), p);
            lacking |= lacks_memory(line);
            if (!lacking && strcmp(line, "ok") && strncmp(line, "***", 3))
                report(context, line);
        }
    }
    enum error_code rc = db_end(q);
    return lacking && !rc ? ERR_NO_MEMORY : rc;
}

static enum error_code copy_pages(sqlite3 *from, sqlite3 *to, void (*progress)(void *, int64_t, int64_t), void *context)
{
    sqlite3_backup *job = sqlite3_backup_init(to, "main", from, "main");
    int rc = job ? SQLITE_OK : sqlite3_errcode(to);

    while (job && rc == SQLITE_OK) {
        rc = sqlite3_backup_step(job, COPY_PAGES);
        int total = sqlite3_backup_pagecount(job);
        if (progress)
            progress(context, total - sqlite3_backup_remaining(job), total);
    }
    if (job) {
        int end = sqlite3_backup_finish(job);
        rc = rc == SQLITE_DONE ? end : rc;
    }
    return code_of(rc);
}

enum error_code db_backup(struct db *db, const char *path, void (*progress)(void *, int64_t, int64_t), void *context,
                          struct error *err)
{
    sqlite3 *to = NULL;
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    /* One snapshot for the whole copy: without it, every commit in between would start the copy again. */
    enum error_code code = rc == SQLITE_OK ? db_read_begin(db) : code_of(rc);
    int64_t version;
    if (!code)
        code = db_user_version(db, &version);
    if (!code)
        code = code_of(control(to, DB_SUMS_STAMP, db_has_sums(db)));
    if (!code)
        code = copy_pages(db->handle, to, progress, context);
    db_read_end(db);
    if (!code)
        code = code_of(sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL));
    if (code)
        error_set(err, code, NULL, "backup to %s failed: %s", path, to ? sqlite3_errmsg(to) : "out of memory");
    sqlite3_close(to);
    return code;
}

enum error_code db_replace(struct db *db, const char *path, void (*progress)(void *, int64_t, int64_t), void *context,
                           struct error *err)
{
    sqlite3 *from = NULL;
    int rc = sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    enum error_code code = rc == SQLITE_OK ? copy_pages(from, db->handle, progress, context) : code_of(rc);

    if (code)
        error_set(err, code, NULL, "the content of %s could not be taken over: %s", path, sqlite3_errmsg(db->handle));
    sqlite3_close(from);
    return code;
}

enum error_code db_compact(struct db *db)
{
    return db_run_n(db, SQL_COMPACT, NULL, 0, NULL);
}
