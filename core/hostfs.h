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

#endif
