/*
 * The configuration file: where it is looked for, whom it may belong to, what its lines mean.  Used by config.c and tests.
 */
#ifndef KVS_CONFIG_FILE_H
#define KVS_CONFIG_FILE_H

#include <limits.h>

#include "config.h"

/* The places where a file is looked for, unless KVS_CONFIG names one. */
enum { CONFIG_FILE_PLACES = 4 };

/* The i-th of them, for a program started as argv0; false where this host has no such place. */
bool config_file_place(unsigned i, const char *argv0, char path[PATH_MAX]);

/*
 * Reads the first file of those that config_load names into c, and sets c->file.  None at all is fine.  False with one line
 * in message: which file and line is wrong and why; c is then partly filled.
 */
bool config_file_load(struct config *c, const char *argv0, char *message, size_t message_size);

/*
 * Reads one file, wherever it is; paths in it that are relative are meant from its own directory.  *found says whether there is one; a missing one is no failure.
 */
bool config_file_read(struct config *c, const char *path, bool *found, char *message, size_t message_size);

/* Place of a name in config.c's table, at most CONFIG_NAMES_MAX - 1; -1 where there is no such name. */
enum { CONFIG_NAMES_MAX = 64 };
int config_index(const char *name);

#endif
