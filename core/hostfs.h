/*
 * Is the place where the database lies fit for it?
 */
#ifndef KVS_HOSTFS_H
#define KVS_HOSTFS_H

#include "error.h"

/*
 * Checks the directory of the database file (and the file, where it exists): there, writable, not open to others, not on
 * a network file system (the log's shared memory does not work there), not below DOCUMENT_ROOT.  ERR_INTERNAL with a
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
