/*
 * Is the place where the database lies fit for it?
 */
#ifndef KVS_HOSTFS_H
#define KVS_HOSTFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/*
 * The database's one name: without symbolic links, since the engine's log and our lock are named after it, and whoever comes
 * by another name must find the same ones.  A file that is not there yet gets the name that it will have.  ERR_INTERNAL
 * where it cannot be reached, or lies below DOCUMENT_ROOT by the name given.
 */
enum error_code hostfs_resolve(const char *path, char real[PATH_MAX], struct error *err);

/*
 * What has to hold of the place of the database file at path.  Each is ERR_OK, or ERR_INTERNAL with a message that says what
 * is wrong and what to do.  Each assumes that the one before it holds.
 */

/* Its directory is there, writable and not open to others. */
enum error_code hostfs_directory(const char *path, struct error *err);
/* It is not on a network file system, where the log's shared memory does not work. */
enum error_code hostfs_kind(const char *path, struct error *err);
/* It is not below DOCUMENT_ROOT, where the web server tells it. */
enum error_code hostfs_root(const char *path, struct error *err);
/* The file, where it exists, can be read and written, and not by everyone. */
enum error_code hostfs_file(const char *path, struct error *err);

/* All of these. */
enum error_code hostfs_check(const char *path, struct error *err);

/* The directory part of path, "." where it has none.  False where the path is too long. */
bool hostfs_directory_of(const char *path, char dir[PATH_MAX]);

/* Whether the place lies in the web server's document root or below it, where the server tells it. */
enum hostfs_place { HOSTFS_OUTSIDE, HOSTFS_BELOW, HOSTFS_UNKNOWN };
enum hostfs_place hostfs_place(const char *dir);

/* The name of the kind of file system that path lies on, "ext4"; "of kind 0x…" where it is a rare one. */
void hostfs_kind_name(const char *path, char *text, size_t size);

/*
 * Makes an empty file of the database's, mode 0660 whatever the umask; where there is one it stays.  What root makes (a
 * maintenance job, say) gets the owner of the file `like`, or of its directory where that is NULL, lest the others be shut
 * out.
 */
enum error_code hostfs_create(const char *path, const char *like, struct error *err);

/*
 * A process that has the database file at path open: its id, -1 where that is not known; 0 where there is none but this
 * one.  Not while this process has it open itself.
 */
int64_t hostfs_user(const char *path);

#endif
