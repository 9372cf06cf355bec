/*
 * A file that is written beside its final place, mode 0600, and put there whole or not at all.  One at a time: should a
 * signal end the program, the unfinished file goes too.
 */
#ifndef KVS_TEMPFILE_H
#define KVS_TEMPFILE_H

#include <limits.h>
#include <stdbool.h>

struct tempfile {
    char path[PATH_MAX]; /* where it is written */
    const char *final;   /* the caller's */
    bool there;
};

/* Makes the empty file; false with a logged message. */
bool tempfile_make(struct tempfile *t, const char *final);

/* Syncs it and puts it in its place, over what is there only with replace; false with a logged message. */
bool tempfile_keep(struct tempfile *t, bool replace);

/* Removes it, unless it was kept. */
void tempfile_drop(struct tempfile *t);

/* Syncs the directory that path lies in, so that the name is durable too. */
bool tempfile_sync_directory(const char *path);

#endif
