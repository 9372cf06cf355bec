#include "tempfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* The file and what SQLite may put beside it: a rollback journal, or a log where the copy is verified. */
static const char *const endings[] = {"", "-journal", "-wal", "-shm"};

enum { FILES = sizeof endings / sizeof endings[0] };

/* For the signal handler, which gets nothing else. */
static char unfinished[FILES][PATH_MAX + 16];

static void remove_unfinished(void)
{
    for (size_t i = 0; i < FILES; i++)
        unlink(unfinished[i]);
}

static void on_signal(int signal_number)
{
    remove_unfinished();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

static void handle_signals(bool on)
{
    struct sigaction action = {.sa_handler = on ? on_signal : SIG_DFL}, old;

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

/* Makes the file; a signal in between would find it without a name to remove. */
static int make(struct tempfile *t)
{
    sigset_t set, before;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, &before);
    int fd = mkstemp(t->path), why = errno;
    if (fd >= 0) {
        for (size_t i = 0; i < FILES; i++)
            snprintf(unfinished[i], sizeof unfinished[i], "%s%s", t->path, endings[i]);
        handle_signals(true);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return fd;
}

bool tempfile_make(struct tempfile *t, const char *final)
{
    static const char suffix[] = ".tmp-XXXXXX";

    *t = (struct tempfile){.final = final};
    if (strlen(final) + sizeof suffix > sizeof t->path) {
        errno = ENAMETOOLONG;
        tool_failed_errno("cannot create", final);
        return false;
    }
    sprintf(t->path, "%s%s", final, suffix);
    int fd = make(t);
    if (fd < 0) {
        sprintf(t->path, "%s", final);
        tool_failed_errno("cannot create", t->path);
        return false;
    }
    close(fd);
    t->there = true;
    return true;
}

static bool sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int why = errno;

    if (fd >= 0)
        close(fd);
    errno = why;
    return ok;
}

bool tempfile_sync_directory(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash)
        return sync_path(".", O_RDONLY | O_DIRECTORY);
    snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return sync_path(dir, O_RDONLY | O_DIRECTORY);
}

/* Without replace a file that has appeared meanwhile stays; file systems that have no links cannot promise that. */
static bool put_in_place(const struct tempfile *t, bool replace)
{
    if (!replace && link(t->path, t->final) == 0) {
        unlink(t->path);
        return true;
    }
    if (!replace && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return false;
    return rename(t->path, t->final) == 0;
}

bool tempfile_keep(struct tempfile *t, bool replace)
{
    if (!sync_path(t->path, O_RDWR)) {
        tool_failed_errno("cannot sync", t->path);
        return false;
    }
    if (!put_in_place(t, replace)) {
        tool_failed_errno("cannot create", t->final);
        return false;
    }
    t->there = false;
    handle_signals(false);
    if (tempfile_sync_directory(t->final))
        return true;
    tool_failed_errno("cannot sync the directory of", t->final);
    return false;
}

void tempfile_drop(struct tempfile *t)
{
    if (!t->there)
        return;
    remove_unfinished();
    t->there = false;
    handle_signals(false);
}
