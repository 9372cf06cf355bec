#include "db_log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>
#include <string.h>

#include "mem.h"

/* Some 15 pages: larger ones save little more, and every process has one. */
enum { GATHER = 65536 };

/* An open log.  The file below follows in memory. */
struct log_file {
    sqlite3_file base;
    sqlite3_int64 at;    /* where in the file the gathered bytes belong */
    size_t len;          /* bytes gathered */
    unsigned char *data; /* GATHER bytes, owned; NULL before the first write */
};

_Static_assert(sizeof(struct log_file) % 8 == 0, "the file below is aligned behind a log_file");

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)file;
}

static sqlite3_file *below(sqlite3_file *file)
{
    return (sqlite3_file *)(log_of(file) + 1);
}

/*
 * Writes what was gathered.  Where that fails it is dropped: the transaction it belongs to is rolled back, and what a log
 * has behind its last commit is nobody's.
 */
static int put(sqlite3_file *file)
{
    struct log_file *f = log_of(file);
    size_t len = f->len;

    f->len = 0;
    return len ? below(file)->pMethods->xWrite(below(file), f->data, (int)len, f->at) : SQLITE_OK;
}

static int log_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
    struct log_file *f = log_of(file);
    size_t len = (size_t)amount;
    int rc = SQLITE_OK;

    if (f->len && (offset != f->at + (sqlite3_int64)f->len || len > GATHER - f->len))
        rc = put(file);
    if (!f->data)
        f->data = mem_alloc(GATHER);
    if (rc != SQLITE_OK || !f->data || len > GATHER)
        return rc != SQLITE_OK ? rc : below(file)->pMethods->xWrite(below(file), data, amount, offset);
    if (!f->len)
        f->at = offset;
    memcpy(f->data + f->len, data, len);
    f->len += len;
    return SQLITE_OK;
}

static int log_read(sqlite3_file *file, void *data, int amount, sqlite3_int64 offset)
{
    int rc = put(file);
    return rc ? rc : below(file)->pMethods->xRead(below(file), data, amount, offset);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = put(file);
    return rc ? rc : below(file)->pMethods->xTruncate(below(file), size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    int rc = put(file);
    return rc ? rc : below(file)->pMethods->xSync(below(file), flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int rc = put(file);
    return rc ? rc : below(file)->pMethods->xFileSize(below(file), size);
}

static int log_close(sqlite3_file *file)
{
    mem_free(log_of(file)->data);
    return below(file)->pMethods->xClose(below(file));
}

static int log_lock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xLock(below(file), level);
}

static int log_unlock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int log_check_lock(sqlite3_file *file, int *held)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), held);
}

static int log_control(sqlite3_file *file, int op, void *argument)
{
    return below(file)->pMethods->xFileControl(below(file), op, argument);
}

static int log_sector(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

static int log_device(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file));
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
};

/* --- The layer: opens logs itself, and leaves everything else to the one below --- */

static sqlite3_vfs *layer_below(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/*
 * Without "powersafe overwrite" SQLite fills a commit up to the end of a sector and publishes frames that it wrote behind the
 * last sync: such logs are not gathered.
 */
static int layer_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    sqlite3_vfs *lower = layer_below(vfs);
    int rc;

    if (!(flags & SQLITE_OPEN_WAL))
        return lower->xOpen(lower, name, file, flags, got);
    *log_of(file) = (struct log_file){.base = {NULL}};
    rc = lower->xOpen(lower, name, below(file), flags, got);
    if (rc != SQLITE_OK) {
        if (below(file)->pMethods)
            below(file)->pMethods->xClose(below(file));
        return rc;
    }
    if (below(file)->pMethods->xDeviceCharacteristics(below(file)) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) {
        file->pMethods = &log_methods;
        return SQLITE_OK;
    }
    below(file)->pMethods->xClose(below(file));
    return lower->xOpen(lower, name, file, flags, got);
}

static int layer_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    return layer_below(vfs)->xDelete(layer_below(vfs), name, sync_directory);
}

static int layer_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    return layer_below(vfs)->xAccess(layer_below(vfs), name, flags, result);
}

static int layer_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    return layer_below(vfs)->xFullPathname(layer_below(vfs), name, size, out);
}

static int layer_random(sqlite3_vfs *vfs, int size, char *out)
{
    return layer_below(vfs)->xRandomness(layer_below(vfs), size, out);
}

static int layer_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return layer_below(vfs)->xSleep(layer_below(vfs), microseconds);
}

static int layer_time(sqlite3_vfs *vfs, sqlite3_int64 *now)
{
    return layer_below(vfs)->xCurrentTimeInt64(layer_below(vfs), now);
}

static int layer_error(sqlite3_vfs *vfs, int size, char *out)
{
    return layer_below(vfs)->xGetLastError(layer_below(vfs), size, out);
}

/* SQLite keeps a list of these for the process. */
static sqlite3_vfs layer;
static pthread_once_t layer_once = PTHREAD_ONCE_INIT;

static void make_layer(void)
{
    sqlite3_vfs *lower = sqlite3_vfs_find(NULL);

    if (!lower || lower->iVersion < 2)
        return;
    layer = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct log_file) + lower->szOsFile,
        .mxPathname = lower->mxPathname,
        .zName = "kvs",
        .pAppData = lower,
        .xOpen = layer_open,
        .xDelete = layer_delete,
        .xAccess = layer_access,
        .xFullPathname = layer_path,
        .xRandomness = layer_random,
        .xSleep = layer_sleep,
        .xGetLastError = layer_error,
        .xCurrentTimeInt64 = layer_time,
    };
    if (sqlite3_vfs_register(&layer, 0) != SQLITE_OK)
        layer.zName = NULL;
}

const char *db_log_layer(void)
{
    pthread_once(&layer_once, make_layer);
    return layer.zName;
}
