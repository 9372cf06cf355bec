#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "diagnose_check.h"
#include "hostfs.h"
#include "user.h"

enum { USER_TEXT = 64, MIB = 1 << 20, SPACE_WRONG = 1, SPACE_WARNING = 64 /* MiB */ };

static const char *db_path(const struct diagnose *d)
{
    return d->config->db_path;
}

/* The directory; "." where the path is too long, which diagnose_directory has told then. */
static void directory(const struct diagnose *d, char dir[PATH_MAX])
{
    if (!hostfs_directory_of(db_path(d), dir))
        snprintf(dir, PATH_MAX, ".");
}

/* A path with its mode and owner. */
static void describe(struct diagnose_finding *f, const char *path, const struct stat *st)
{
    char owner[USER_TEXT];

    user_show(st->st_uid, owner, sizeof owner);
    diagnose_say(f, DIAGNOSE_GOOD, "%s, mode %04o, of %s, group %lu", path, (unsigned)st->st_mode & 07777, owner,
                 (unsigned long)st->st_gid);
}

void diagnose_directory(const struct diagnose *d, struct diagnose_finding *f)
{
    struct error err = ERROR_INIT;
    char dir[PATH_MAX], me[USER_TEXT], owner[USER_TEXT];
    struct stat st = {0};
    enum error_code rc = hostfs_directory(db_path(d), &err);

    directory(d, dir);
    bool there = stat(dir, &st) == 0;
    if (!rc && there) {
        describe(f, dir, &st);
        return;
    }
    user_show(geteuid(), me, sizeof me);
    user_show(st.st_uid, owner, sizeof owner);
    if (there)
        diagnose_say(f, DIAGNOSE_WRONG, "%s.  It has mode %04o and belongs to %s; this program runs as %s", err.message,
                     (unsigned)st.st_mode & 07777, owner, me);
    else
        diagnose_say(f, DIAGNOSE_WRONG, "%s.  This program runs as %s", err.message, me);
}

void diagnose_file_system(const struct diagnose *d, struct diagnose_finding *f)
{
    struct error err = ERROR_INIT;
    char dir[PATH_MAX], kind[32];

    directory(d, dir);
    hostfs_kind_name(dir, kind, sizeof kind);
    if (hostfs_kind(db_path(d), &err))
        diagnose_say(f, DIAGNOSE_WRONG, "%s", err.message);
    else if (strcmp(kind, "tmpfs") == 0)
        diagnose_say(f, DIAGNOSE_WARNING, "%s is on a file system in memory (tmpfs): a reboot takes the database away",
                     dir);
    else
        diagnose_say(f, DIAGNOSE_GOOD, "%s", kind);
}

void diagnose_root(const struct diagnose *d, struct diagnose_finding *f)
{
    struct error err = ERROR_INIT;
    char dir[PATH_MAX];

    directory(d, dir);
    if (hostfs_root(db_path(d), &err))
        diagnose_say(f, DIAGNOSE_WRONG, "%s", err.message);
    else if (hostfs_place(dir) == HOSTFS_UNKNOWN)
        diagnose_say(
            f, DIAGNOSE_UNKNOWN,
            "the document root is not known here (DOCUMENT_ROOT is not set); the database has to lie outside of "
            "it");
    else
        diagnose_say(f, DIAGNOSE_GOOD, "the database lies outside of it");
}

/* One of the files that belong to the database, where it is there: whether it can be used.  False: finding says why not. */
static bool is_usable(const char *path, struct diagnose_finding *f)
{
    char me[USER_TEXT], owner[USER_TEXT];
    struct stat st;

    if (stat(path, &st) || access(path, R_OK | W_OK) == 0)
        return true;
    int why = errno;
    user_show(geteuid(), me, sizeof me);
    user_show(st.st_uid, owner, sizeof owner);
    diagnose_say(
        f, DIAGNOSE_WRONG,
        "%s has mode %04o and belongs to %s; this program runs as %s and cannot read and write it (%s): have the "
        "one user use the database, or chown or chmod the file",
        path, (unsigned)st.st_mode & 07777, owner, me, strerror(why));
    return false;
}

void diagnose_database(const struct diagnose *d, struct diagnose_finding *f)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    struct error err = ERROR_INIT;
    char real[PATH_MAX], path[PATH_MAX + 16];
    struct stat st;

    if (hostfs_resolve(db_path(d), real, &err)) {
        diagnose_say(f, DIAGNOSE_WRONG, "%s", err.message);
        return;
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", real, ends[i]);
        if (!is_usable(path, f))
            return;
    }
    if (hostfs_file(real, &err))
        diagnose_say(f, DIAGNOSE_WRONG, "%s", err.message);
    else if (d->store && stat(db_path(d), &st))
        diagnose_say(f, DIAGNOSE_WRONG, "%s is gone, though it is in use: put it back where it was", db_path(d));
    else if (stat(db_path(d), &st))
        diagnose_say(f, DIAGNOSE_GOOD, "%s is not there yet; the first request makes it", db_path(d));
    else
        describe(f, db_path(d), &st);
}

void diagnose_space(const struct diagnose *d, struct diagnose_finding *f)
{
    struct statvfs fs;
    char dir[PATH_MAX];

    directory(d, dir);
    if (statvfs(dir, &fs)) {
        diagnose_say(f, DIAGNOSE_UNKNOWN, "the file system of %s does not tell: %s", dir, strerror(errno));
        return;
    }
    unsigned long long unit = fs.f_frsize ? fs.f_frsize : 1;
    unsigned long long free = unit < MIB ? fs.f_bavail / (MIB / unit) : fs.f_bavail * (unit / MIB);
    bool no_files = fs.f_files > 0 && fs.f_favail == 0;
    if (no_files)
        diagnose_say(f, DIAGNOSE_WRONG, "the file system of %s has no room for further files (inodes): delete some",
                     dir);
    else if (free < SPACE_WARNING)
        diagnose_say(f, free < SPACE_WRONG ? DIAGNOSE_WRONG : DIAGNOSE_WARNING,
                     "%llu MiB are free where the database lies, %s: writes are refused when nothing is", free, dir);
    else
        diagnose_say(f, DIAGNOSE_GOOD, "%llu MiB are free", free);
}

void diagnose_memory(const struct diagnose *d, struct diagnose_finding *f)
{
    const char *path = d->config->memory_path ? d->config->memory_path : "/dev/shm/kvs.db";
    char dir[PATH_MAX];

    if (hostfs_directory_of(path, dir) && access(dir, W_OK | X_OK) == 0)
        diagnose_say(f, DIAGNOSE_GOOD, "buckets with storage \"memory\" can lie in %s", dir);
    else
        diagnose_say(
            f, DIAGNOSE_WARNING,
            "buckets with storage \"memory\" cannot be used, since %s cannot be written (%s): set memory_path if "
            "they are needed",
            dir, strerror(errno));
}
