/*
 * The system calls that the program makes itself, not by way of the engine: the linker puts these in their place
 * (-Wl,--wrap).  They are passed on, written down and made to fail as the engine's are; a sync is taken for done.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

int __real_open(const char *path, int flags, ...);
int __real_fcntl(int fd, int command, ...);
int __real_mkstemp(char *path);
int __real_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_stat(const char *path, struct stat *st);
int __real_lstat(const char *path, struct stat *st);
int __real_futimens(int fd, const struct timespec times[2]);
ssize_t __real_pread(int fd, void *data, size_t n, off_t offset);
ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t offset);

int __wrap_open(const char *path, int flags, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fsync(int fd);
int __wrap_mkstemp(char *path);
int __wrap_rename(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_unlink(const char *path);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_futimens(int fd, const struct timespec times[2]);
ssize_t __wrap_pread(int fd, void *data, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset);

static bool fails(enum shim_call call)
{
    int why = shim_fails(call, NULL);

    if (why)
        errno = why;
    return why != 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    const char *name = shim_name(path);
    mode_t mode = 0;
    struct stat st;
    va_list ap;

    if (fails(flags & O_CREAT ? CALL_HOST_CREATE : CALL_HOST_OPEN))
        return -1;
    va_start(ap, flags);
    if (flags & O_CREAT)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    bool made = name && (flags & O_CREAT) && __real_stat(path, &st) != 0;
    int fd = __real_open(path, flags, mode);
    if (fd >= 0 && made)
        shim_record(EVENT_CREATE, name, NULL, 0, NULL, 0);
    return fd;
}

int __wrap_mkstemp(char *path)
{
    if (fails(CALL_HOST_MKSTEMP))
        return -1;
    int fd = __real_mkstemp(path);
    const char *name = shim_name(path);
    if (fd >= 0 && name)
        shim_record(EVENT_CREATE, name, NULL, 0, NULL, 0);
    return fd;
}

/* The name of the open file; NULL where it is not watched.  The directory's own is "". */
static const char *name_of_fd(int fd, char path[PATH_MAX])
{
    char link[64];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 2);
    if (n < 0)
        return NULL;
    path[n] = '\0';
    const char *name = shim_name(path);
    if (name)
        return name;
    path[n] = '/';
    path[n + 1] = '\0';
    name = shim_name(path);
    return name && !name[0] ? name : NULL;
}

int __wrap_fsync(int fd)
{
    char path[PATH_MAX];
    const char *name = name_of_fd(fd, path);
    bool failed = fails(CALL_HOST_FSYNC);

    if (name && name[0])
        shim_record(failed ? EVENT_SYNC_FAILED : EVENT_SYNC, name, NULL, 0, NULL, 0);
    else if (name && !failed)
        shim_record(EVENT_SYNC_DIRECTORY, "", NULL, 0, NULL, 0);
    return failed ? -1 : 0;
}

int __wrap_rename(const char *from, const char *to)
{
    const char *old = shim_name(from), *new = shim_name(to);

    if (fails(CALL_HOST_RENAME) || __real_rename(from, to))
        return -1;
    if (old && new)
        shim_record(EVENT_RENAME, old, new, 0, NULL, 0);
    return 0;
}

int __wrap_link(const char *from, const char *to)
{
    const char *old = shim_name(from), *new = shim_name(to);

    if (fails(CALL_HOST_LINK) || __real_link(from, to))
        return -1;
    if (old && new)
        shim_record(EVENT_LINK, old, new, 0, NULL, 0);
    return 0;
}

int __wrap_unlink(const char *path)
{
    const char *name = shim_name(path);

    if (fails(CALL_HOST_UNLINK) || __real_unlink(path))
        return -1;
    if (name)
        shim_record(EVENT_UNLINK, name, NULL, 0, NULL, 0);
    return 0;
}

int __wrap_stat(const char *path, struct stat *st)
{
    return fails(CALL_HOST_STAT) ? -1 : __real_stat(path, st);
}

int __wrap_lstat(const char *path, struct stat *st)
{
    return fails(CALL_HOST_LSTAT) ? -1 : __real_lstat(path, st);
}

int __wrap_futimens(int fd, const struct timespec times[2])
{
    return fails(CALL_HOST_FUTIMENS) ? -1 : __real_futimens(fd, times);
}

ssize_t __wrap_pread(int fd, void *data, size_t n, off_t offset)
{
    return fails(CALL_HOST_PREAD) ? -1 : __real_pread(fd, data, n, offset);
}

/* Of the lock file, which a power loss may take or spoil: not written down. */
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset)
{
    bool half;
    int why = shim_fails(CALL_HOST_PWRITE, &half);

    if (why && !half) {
        errno = why;
        return -1;
    }
    return __real_pwrite(fd, data, half ? n / 2 : n, offset);
}

/* A record lock that is waited for does not fail because somebody has it: it is interrupted. */
int __wrap_fcntl(int fd, int command, ...)
{
    va_list ap;

    va_start(ap, command);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    bool locks = command == F_OFD_SETLK || command == F_OFD_SETLKW;
    int why = locks && ((struct flock *)arg)->l_type != F_UNLCK ? shim_fails(CALL_HOST_FCNTL, NULL) : 0;
    if (!why)
        return __real_fcntl(fd, command, arg);
    errno = why == EAGAIN && command == F_OFD_SETLKW ? EINTR : why;
    return -1;
}
