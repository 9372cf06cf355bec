/*
 * A SQLite VFS between the engine and the file system, and the same for the system calls that the program makes itself (host.c,
 * linked with --wrap).  All calls are passed on, so that the files are those that a running machine would show; syncs are taken
 * for done.  On the way the shim writes down what happens to the files of one directory, and makes calls fail.
 *
 * The state is the process's, as the VFS is.  Calls may come from any thread.
 */
#ifndef KVS_TEST_SHIM_H
#define KVS_TEST_SHIM_H

#include <stdbool.h>

#include "trace.h"

/* Becomes the default VFS, below the layers of the core: once, before db_global_init. */
void shim_install(void);

/* From now on what happens in the directory goes into the trace; NULL, NULL: nothing does. */
void shim_watch(const char *directory, struct trace *trace);

/* Adds a mark to the trace that is being written; text (may be NULL) goes with it, with its NUL. */
void shim_mark(int64_t what, const char *text);

enum shim_fault {
    SHIM_IO,    /* every call: the device, or whatever the call needs, does not work */
    SHIM_FULL,  /* calls that take room: there is none */
    SHIM_SHORT, /* writes: half of it is done, then there is no room */
    SHIM_BUSY,  /* locks: somebody else has it */
    SHIM_FAULTS
};

/* Of the calls that the fault concerns, the one after `after` others fails; with forever, all behind it too. */
void shim_fail(enum shim_fault fault, long after, bool forever);
/* Nothing fails any more.  Returns whether something did. */
bool shim_heal(void);
/* What failed first since shim_fail, for messages. */
const char *shim_failed_call(void);

/* For host.c: what the shim's own calls go by. */

/* X(enumerator, name, failure under SHIM_IO, SHIM_FULL, SHIM_SHORT, SHIM_BUSY; 0: not concerned).  The engine's are its result
   codes, the host's values of errno. */
#define SHIM_CALLS(X)                                                                                                  \
    X(CALL_OPEN, "xOpen", SQLITE_CANTOPEN, 0, 0, 0)                                                                    \
    X(CALL_READ, "xRead", SQLITE_IOERR_READ, 0, 0, 0)                                                                  \
    X(CALL_WRITE, "xWrite", SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_FULL, 0)                                           \
    X(CALL_TRUNCATE, "xTruncate", SQLITE_IOERR_TRUNCATE, 0, 0, 0)                                                      \
    X(CALL_SYNC, "xSync", SQLITE_IOERR_FSYNC, SQLITE_IOERR_FSYNC, 0, 0)                                                \
    X(CALL_SIZE, "xFileSize", SQLITE_IOERR_FSTAT, 0, 0, 0)                                                             \
    X(CALL_LOCK, "xLock", SQLITE_IOERR_LOCK, 0, 0, SQLITE_BUSY)                                                        \
    X(CALL_RESERVED, "xCheckReservedLock", SQLITE_IOERR_CHECKRESERVEDLOCK, 0, 0, 0)                                    \
    X(CALL_SHM_MAP, "xShmMap", SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE, 0, 0)                                        \
    X(CALL_SHM_LOCK, "xShmLock", SQLITE_IOERR_SHMLOCK, 0, 0, SQLITE_BUSY)                                              \
    X(CALL_DELETE, "xDelete", SQLITE_IOERR_DELETE, 0, 0, 0)                                                            \
    X(CALL_ACCESS, "xAccess", SQLITE_IOERR_ACCESS, 0, 0, 0)                                                            \
    X(CALL_PATH, "xFullPathname", SQLITE_CANTOPEN, 0, 0, 0)                                                            \
    X(CALL_HOST_OPEN, "open", EMFILE, 0, 0, 0)                                                                         \
    X(CALL_HOST_CREATE, "open to create", EMFILE, ENOSPC, 0, 0)                                                        \
    X(CALL_HOST_FSYNC, "fsync", EIO, ENOSPC, 0, 0)                                                                     \
    X(CALL_HOST_PREAD, "pread", EIO, 0, 0, 0)                                                                          \
    X(CALL_HOST_PWRITE, "pwrite", EIO, ENOSPC, ENOSPC, 0)                                                              \
    X(CALL_HOST_FCNTL, "fcntl", ENOLCK, 0, 0, EAGAIN)                                                                  \
    X(CALL_HOST_STAT, "stat", EIO, 0, 0, 0)                                                                            \
    X(CALL_HOST_LSTAT, "lstat", EIO, 0, 0, 0)                                                                          \
    X(CALL_HOST_FUTIMENS, "futimens", EIO, 0, 0, 0)                                                                    \
    X(CALL_HOST_RENAME, "rename", EIO, ENOSPC, 0, 0)                                                                   \
    X(CALL_HOST_LINK, "link", EIO, ENOSPC, 0, 0)                                                                       \
    X(CALL_HOST_UNLINK, "unlink", EIO, 0, 0, 0)                                                                        \
    X(CALL_HOST_MKSTEMP, "mkstemp", EIO, ENOSPC, 0, 0)

enum shim_call {
#define SHIM_ENUM(e, ...) e,
    SHIM_CALLS(SHIM_ENUM)
#undef SHIM_ENUM
        CALLS
};

/* 0, or what this call is to fail with; *is_short (may be NULL): after half of its work. */
int shim_fails(enum shim_call call, bool *is_short);

/* The name within the directory that is watched; NULL where the path is elsewhere or nothing is watched. */
const char *shim_name(const char *path);
/* Adds an event for a name that shim_name gave. */
void shim_record(enum event_type type, const char *name, const char *to, int64_t offset, const void *data, size_t len);

#endif
