/*
 * Is the place where the database lies fit for it?
 */
#ifndef KVS_HOSTFS_H
#define KVS_HOSTFS_H

#include <limits.h>

#include "error.h"

/*
 * The database's one name: without symbolic links, since the engine's log and our lock are named after it, and whoever comes
 * by another name must find the same ones.  A file that is not there yet gets the name that it will have.  ERR_INTERNAL
 * where it cannot be reached, or lies below DOCUMENT_ROOT by the name given.
 */
enum error_code hostfs_resolve(const char *path, char real[PATH_MAX], struct error *err);

/*
 * Checks the directory of the database file (and the file, where it exists), by its one name: there, writable, not open to
 * others, not on a network file system (the log's shared memory does not work there), not below DOCUMENT_ROOT; the file
 * regular and without a second name.  ERR_INTERNAL with a
 * message that says what is wrong and what to do.
 */
enum error_code hostfs_check(const char *path, struct error *err);

/*
 * Makes an empty file of the database's, mode 0660 whatever the umask; where there is one it stays.  What root makes (a
 * maintenance job, say) gets the owner of the file `like`, or of its directory where that is NULL, lest the others be shut
 * out.
 */
enum error_code hostfs_create(const char *path, const char *like, struct error *err);

#endif
