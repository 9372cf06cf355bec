#include "hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Magic numbers of file systems, from statfs(2). */
static const struct kind {
    unsigned long magic;
    const char *name;
    bool network;
} kinds[] = {
    {0x6969, "NFS", true},
    {0x517b, "SMB", true},
    {0xff534d42, "CIFS", true},
    {0xfe534d42, "SMB2", true},
    {0x5346414f, "AFS", true},
    {0x73757245, "Coda", true},
    {0x564c, "NCP", true},
    {0x01021997, "9P", true},
    {0x00c36400, "Ceph", true},
    {0x0bd00bd0, "Lustre", true},
    {0xef53, "ext4", false},
    {0x58465342, "XFS", false},
    {0x9123683e, "Btrfs", false},
    {0x2fc12fc1, "ZFS", false},
    {0x01021994, "tmpfs", false},
    {0x794c7630, "overlay", false},
    {0xf2f52010, "F2FS", false},
    {0x3153464a, "JFS", false},
    {0x52654973, "ReiserFS", false},
    {0x65735546, "FUSE", false},
    {0x4d44, "FAT", false},
    {0x19830326, "BeeGFS", true},
    {0x47504653, "GPFS", true},
    {0x786f4256, "a shared folder of VirtualBox", true},
    {0xbacbacbc, "a shared folder of VMware", true},
};

static enum error_code refuse(struct error *err, const char *dir, const char *why)
{
    return error_set(err, ERR_INTERNAL, NULL, "the database's directory %s %s", dir, why);
}

static enum error_code too_long(struct error *err)
{
    return error_set(err, ERR_INTERNAL, NULL, "the database's path is too long");
}

static const struct kind *kind_of(const struct statfs *fs)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (((unsigned long)fs->f_type & 0xffffffffUL) == kinds[i].magic)
            return &kinds[i];
    return NULL;
}

void hostfs_kind_name(const char *path, char *text, size_t size)
{
    struct statfs fs = {0};
    bool known = statfs(path, &fs) == 0;
    const struct kind *kind = known ? kind_of(&fs) : NULL;

    if (kind)
        snprintf(text, size, "%s", kind->name);
    else
        snprintf(text, size, "of kind 0x%lx", (unsigned long)fs.f_type & 0xffffffffUL);
}

enum error_code hostfs_kind(const char *path, struct error *err)
{
    char dir[PATH_MAX];
    struct statfs fs;

    if (!hostfs_directory_of(path, dir))
        return too_long(err);
    if (statfs(dir, &fs))
        return refuse(err, dir, strerror(errno));
    const struct kind *kind = kind_of(&fs);
    if (!kind || !kind->network)
        return ERR_OK;
    return error_set(err, ERR_INTERNAL, NULL,
                     "the database's directory %s is on a network file system (%s), where its log cannot be "
                     "shared safely: set KV_DB_PATH or db_path to a local disk",
                     dir, kind->name);
}

enum hostfs_place hostfs_place(const char *dir)
{
    const char *root = getenv("DOCUMENT_ROOT");
    char real_root[PATH_MAX], real_dir[PATH_MAX];

    if (!root || !root[0] || !realpath(root, real_root) || !realpath(dir, real_dir) || !strcmp(real_root, "/"))
        return HOSTFS_UNKNOWN;
    size_t n = strlen(real_root);
    bool outside = strncmp(real_dir, real_root, n) || (real_dir[n] && real_dir[n] != '/');
    return outside ? HOSTFS_OUTSIDE : HOSTFS_BELOW;
}

/* Whatever lies below the document root could be downloaded. */
enum error_code hostfs_root(const char *path, struct error *err)
{
    char dir[PATH_MAX];

    if (!hostfs_directory_of(path, dir))
        return too_long(err);
    if (hostfs_place(dir) != HOSTFS_BELOW)
        return ERR_OK;
    return refuse(err, dir,
                  "is below the web server's document root, where anyone could download the database: set "
                  "KV_DB_PATH or db_path to a place outside of it");
}

enum error_code hostfs_directory(const char *path, struct error *err)
{
    char dir[PATH_MAX];
    struct stat st;

    if (!hostfs_directory_of(path, dir))
        return too_long(err);
    if (stat(dir, &st))
        return error_set(err, ERR_INTERNAL, NULL,
                         "the database's directory %s cannot be used: %s (make it, or set "
                         "KV_DB_PATH or db_path)",
                         dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return refuse(err, dir, "is no directory: set KV_DB_PATH or db_path to a file in a directory");
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        return refuse(err, dir, "can be written by everyone: chmod o-w it");
    if (access(dir, W_OK | X_OK))
        return refuse(err, dir,
                      errno == EROFS ? "is on a read-only file system: set KV_DB_PATH or db_path elsewhere"
                                     : "cannot be written by this user: chown or chmod it");
    return ERR_OK;
}

enum error_code hostfs_file(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st))
        return ERR_OK;
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INTERNAL, NULL, "the database %s is no regular file: set KV_DB_PATH or db_path",
                         path);
    /* Its log and lock are named after it: who comes by another name does not see them. */
    if (st.st_nlink > 1)
        return error_set(err, ERR_INTERNAL, NULL,
                         "the database %s has a second name (a hard link): remove that, or make it a symbolic link",
                         path);
    if (st.st_mode & S_IWOTH)
        return error_set(err, ERR_INTERNAL, NULL, "the database %s can be written by everyone: chmod o-rwx it", path);
    if (access(path, R_OK | W_OK))
        return error_set(err, ERR_INTERNAL, NULL,
                         "the database %s cannot be read and written by this user (%s): chown "
                         "or chmod it",
                         path, strerror(errno));
    return ERR_OK;
}

bool hostfs_directory_of(const char *path, char dir[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 1;

    if (strlen(path) + 16 >= PATH_MAX)
        return false;
    memcpy(dir, slash ? path : ".", n);
    dir[n] = '\0';
    if (!dir[0])
        memcpy(dir, "/", 2);
    return true;
}

/* The name of a file that is yet to be made; as it was given where its directory is not there, for hostfs_check to say so. */
static enum error_code resolve_new(const char *path, char real[PATH_MAX], struct error *err)
{
    char dir[PATH_MAX], real_dir[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct stat st;

    if (lstat(path, &st) == 0)
        return error_set(err, ERR_INTERNAL, NULL,
                         "the database %s is a symbolic link to nothing: make the directory it leads to, or remove it",
                         path);
    if (!hostfs_directory_of(path, dir))
        return too_long(err);
    int n = realpath(dir, real_dir) ? snprintf(real, PATH_MAX, "%s/%s", real_dir[1] ? real_dir : "", name)
                                    : snprintf(real, PATH_MAX, "%s", path);
    return n < PATH_MAX ? ERR_OK : too_long(err);
}

enum error_code hostfs_resolve(const char *path, char real[PATH_MAX], struct error *err)
{
    enum error_code rc = hostfs_root(path, err);
    if (rc || realpath(path, real))
        return rc;
    if (errno == ENOENT)
        return resolve_new(path, real, err);
    return error_set(err, ERR_INTERNAL, NULL, "the database %s cannot be reached: %s (set KV_DB_PATH)", path,
                     strerror(errno));
}

enum error_code hostfs_check(const char *path, struct error *err)
{
    enum error_code rc = hostfs_directory(path, err);
    if (!rc)
        rc = hostfs_kind(path, err);
    if (!rc)
        rc = hostfs_root(path, err);
    return rc ? rc : hostfs_file(path, err);
}

static int take_owner(int fd, const char *path, const char *like)
{
    char dir[PATH_MAX];
    struct stat st;

    if (geteuid() != 0)
        return 0;
    if (!like && hostfs_directory_of(path, dir))
        like = dir;
    if (!like || stat(like, &st))
        return -1;
    return fchown(fd, st.st_uid, st.st_gid);
}

enum error_code hostfs_create(const char *path, const char *like, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);

    if (fd < 0 && errno == EEXIST)
        return ERR_OK;
    bool made = fd >= 0 && take_owner(fd, path, like) == 0 && fchmod(fd, 0660) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    return made ? ERR_OK : error_set(err, ERR_INTERNAL, NULL, "cannot create %s: %s", path, strerror(why));
}

int64_t hostfs_user(const char *path)
{
    /* The bytes that SQLite locks (its file format says which): a connection in WAL mode has a shared lock while it is open. */
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512};
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return 0;
    bool held = fcntl(fd, F_GETLK, &range) == 0 && range.l_type != F_UNLCK;
    close(fd);
    return held ? range.l_pid > 0 ? range.l_pid : -1 : 0;
}
