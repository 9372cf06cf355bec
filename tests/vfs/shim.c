#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct shim_file {
    sqlite3_file base;
    char name[TRACE_NAME]; /* "" where what happens to it is not written down */
    bool sync_directory;   /* with the next sync, as the engine's own VFS does for a log or a journal */
    bool passing;          /* goes with the last connection */
    sqlite3_file *real;    /* lies behind */
};

static struct {
    pthread_mutex_t mutex; /* guards the rest but for real */
    sqlite3_vfs *real;
    char directory[512];
    struct trace *trace;
    bool armed, forever, reached;
    enum shim_fault fault;
    long after;
    enum shim_call first;
} shim = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    const char *name;
    int failure[SHIM_FAULTS];
} calls[CALLS] = {
#define SHIM_ROW(e, text, io, full, half, busy) [e] = {text, {io, full, half, busy}},
    SHIM_CALLS(SHIM_ROW)
#undef SHIM_ROW
};

/* --- What is written down --- */

void shim_watch(const char *directory, struct trace *trace)
{
    pthread_mutex_lock(&shim.mutex);
    snprintf(shim.directory, sizeof shim.directory, "%s", directory ? directory : "");
    shim.trace = trace;
    pthread_mutex_unlock(&shim.mutex);
}

const char *shim_name(const char *path)
{
    size_t n = strlen(shim.directory);

    if (!shim.trace || !path || strncmp(path, shim.directory, n) != 0 || path[n] != '/')
        return NULL;
    return path + n + 1;
}

void shim_record(enum event_type type, const char *name, const char *to, int64_t offset, const void *data, size_t len)
{
    pthread_mutex_lock(&shim.mutex);
    if (shim.trace)
        trace_add(shim.trace, type, name, to, offset, data, len);
    pthread_mutex_unlock(&shim.mutex);
}

void shim_mark(int64_t what, const char *text)
{
    shim_record(EVENT_MARK, "", NULL, what, text, text ? strlen(text) + 1 : 0);
}

static void file_record(const struct shim_file *f, enum event_type type, int64_t offset, const void *data, size_t len)
{
    if (f->name[0])
        shim_record(type, f->name, NULL, offset, data, len);
}

/* --- What fails --- */

void shim_fail(enum shim_fault fault, long after, bool forever)
{
    pthread_mutex_lock(&shim.mutex);
    shim.armed = true;
    shim.reached = false;
    shim.forever = forever;
    shim.fault = fault;
    shim.after = after;
    pthread_mutex_unlock(&shim.mutex);
}

bool shim_heal(void)
{
    pthread_mutex_lock(&shim.mutex);
    shim.armed = false;
    bool reached = shim.reached;
    pthread_mutex_unlock(&shim.mutex);
    return reached;
}

const char *shim_failed_call(void)
{
    return shim.reached ? calls[shim.first].name : "nothing";
}

int shim_fails(enum shim_call call, bool *is_short)
{
    int failure = 0;

    pthread_mutex_lock(&shim.mutex);
    if (shim.armed)
        failure = calls[call].failure[shim.fault];
    if (failure && shim.after > 0) {
        shim.after--;
        failure = 0;
    }
    if (failure) {
        if (!shim.reached)
            shim.first = call;
        shim.reached = true;
        shim.armed = shim.forever;
    }
    if (is_short)
        *is_short = failure && shim.fault == SHIM_SHORT;
    pthread_mutex_unlock(&shim.mutex);
    return failure;
}

/* --- Files --- */

static struct shim_file *of(sqlite3_file *file)
{
    return (struct shim_file *)file;
}

static int file_close(sqlite3_file *file)
{
    struct shim_file *f = of(file);
    int rc = f->real->pMethods->xClose(f->real);

    if (f->passing)
        file_record(f, EVENT_UNLINK, 0, NULL, 0);
    return rc;
}

static int file_read(sqlite3_file *file, void *data, int n, sqlite3_int64 offset)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_READ, NULL);

    return failure ? failure : f->real->pMethods->xRead(f->real, data, n, offset);
}

static int file_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
    struct shim_file *f = of(file);
    bool half;
    int failure = shim_fails(CALL_WRITE, &half);

    if (failure && !half)
        return failure;
    if (half)
        n /= 2;
    int rc = f->real->pMethods->xWrite(f->real, data, n, offset);
    if (rc == SQLITE_OK)
        file_record(f, EVENT_WRITE, offset, data, (size_t)n);
    return failure ? failure : rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_TRUNCATE, NULL);

    if (failure)
        return failure;
    int rc = f->real->pMethods->xTruncate(f->real, size);
    if (rc == SQLITE_OK)
        file_record(f, EVENT_TRUNCATE, size, NULL, 0);
    return rc;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_SYNC, NULL);

    (void)flags;
    file_record(f, failure ? EVENT_SYNC_FAILED : EVENT_SYNC, 0, NULL, 0);
    if (failure)
        return failure;
    if (f->sync_directory)
        file_record(f, EVENT_SYNC_DIRECTORY, 0, NULL, 0);
    f->sync_directory = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_SIZE, NULL);

    return failure ? failure : f->real->pMethods->xFileSize(f->real, size);
}

static int file_lock(sqlite3_file *file, int level)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_LOCK, NULL);

    return failure ? failure : f->real->pMethods->xLock(f->real, level);
}

/* To unlock never fails: the kernel needs nothing for it. */
static int file_unlock(sqlite3_file *file, int level)
{
    struct shim_file *f = of(file);
    return f->real->pMethods->xUnlock(f->real, level);
}

static int file_check_reserved(sqlite3_file *file, int *held)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_RESERVED, NULL);

    return failure ? failure : f->real->pMethods->xCheckReservedLock(f->real, held);
}

/* Hints only, or answered by the file system's own VFS from memory: none can fail in a way that matters. */
static int file_control(sqlite3_file *file, int op, void *arg)
{
    struct shim_file *f = of(file);
    return f->real->pMethods->xFileControl(f->real, op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
    struct shim_file *f = of(file);
    return f->real->pMethods->xSectorSize(f->real);
}

static int file_characteristics(sqlite3_file *file)
{
    struct shim_file *f = of(file);
    return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static int file_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory)
{
    struct shim_file *f = of(file);
    int failure = shim_fails(CALL_SHM_MAP, NULL);

    if (!failure)
        return f->real->pMethods->xShmMap(f->real, region, size, extend, memory);
    *memory = NULL;
    return failure;
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    struct shim_file *f = of(file);
    int failure = flags & SQLITE_SHM_LOCK ? shim_fails(CALL_SHM_LOCK, NULL) : 0;

    return failure ? failure : f->real->pMethods->xShmLock(f->real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    struct shim_file *f = of(file);
    f->real->pMethods->xShmBarrier(f->real);
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    struct shim_file *f = of(file);
    return f->real->pMethods->xShmUnmap(f->real, delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* with shared memory, without files mapped into memory: the core uses none */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* --- The VFS --- */

/* Not xAccess: for that an empty file is none. */
static bool exists(const char *path)
{
    return path && access(path, F_OK) == 0;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
    static const int synced_by_name = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;
    struct shim_file *f = of(file);
    const char *name = shim_name(path);
    int failure = shim_fails(CALL_OPEN, NULL);

    (void)vfs;
    memset(f, 0, sizeof *f);
    if (failure)
        return failure;
    bool made = name && !exists(path);
    f->real = (sqlite3_file *)(void *)(f + 1);
    int rc = shim.real->xOpen(shim.real, path, f->real, flags, out_flags);
    if (rc != SQLITE_OK)
        return rc;
    if (made)
        shim_record(EVENT_CREATE, name, NULL, 0, NULL, 0);
    if (name)
        snprintf(f->name, sizeof f->name, "%s", name);
    f->sync_directory = (flags & SQLITE_OPEN_CREATE) && (flags & synced_by_name);
    f->passing = flags & SQLITE_OPEN_DELETEONCLOSE;
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    const char *name = shim_name(path);
    int failure = shim_fails(CALL_DELETE, NULL);

    (void)vfs;
    if (failure)
        return failure;
    bool there = exists(path);
    int rc = shim.real->xDelete(shim.real, path, 0);
    if (rc == SQLITE_OK && there && name)
        shim_record(EVENT_UNLINK, name, NULL, 0, NULL, 0);
    if (rc == SQLITE_OK && sync_directory && name)
        shim_record(EVENT_SYNC_DIRECTORY, "", NULL, 0, NULL, 0);
    return rc;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
    int failure = shim_fails(CALL_ACCESS, NULL);

    (void)vfs;
    return failure ? failure : shim.real->xAccess(shim.real, path, flags, result);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    int failure = shim_fails(CALL_PATH, NULL);

    (void)vfs;
    return failure ? failure : shim.real->xFullPathname(shim.real, path, size, out);
}

/* The engine counts how long it has slept: no need to do it. */
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

void shim_install(void)
{
    static sqlite3_vfs vfs;

    sqlite3_config(SQLITE_CONFIG_MULTITHREAD); /* as the core would, for which it is too late then */
    shim.real = sqlite3_vfs_find(NULL);
    vfs = *shim.real; /* what is not replaced: randomness, the clock, extensions */
    vfs.pNext = NULL;
    vfs.zName = "shim";
    vfs.szOsFile = (int)sizeof(struct shim_file) + shim.real->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    vfs.xFullPathname = vfs_full_path;
    vfs.xSleep = vfs_sleep;
    sqlite3_vfs_register(&vfs, 1);
}
