/*
 * The writer lock: an advisory lock on a file of its own beside the database, held for every write transaction and every
 * checkpoint by every program of the project.  Waiters get it in the order in which they came, so that a process that
 * writes all the time cannot starve another, and give up at a deadline.
 *
 * Open file description locks are used: they belong to the descriptor, so that closing some other descriptor of the file
 * does not drop them (as POSIX record locks would), and they vanish with the process.
 */
#ifndef KVS_WRITELOCK_H
#define KVS_WRITELOCK_H

#include <stdint.h>

#include "error.h"

struct writelock;

/* Opens (creating, mode 0660) the lock file. */
enum error_code writelock_open(struct writelock **lock, const char *path, struct error *err);
void writelock_close(struct writelock *lock);

/*
 * Takes the lock; one thread of a process at a time.  deadline is in clock_mono() milliseconds.  ERR_BUSY when it passes,
 * ERR_INTERNAL where locks do not work on this file system.
 */
enum error_code writelock_take(struct writelock *lock, int64_t deadline);
void writelock_release(struct writelock *lock);

/* From now on nobody waits past `until` (clock_mono), who waits already included.  Any thread may say so. */
void writelock_hurry(struct writelock *lock, int64_t until);
/* The deadline that counts, of one that was given. */
int64_t writelock_deadline(const struct writelock *lock, int64_t deadline);

/*
 * The number of the last commit known to be in the database: kept beside the log, so that commits which a damaged log has lost
 * are missed.  file tells databases apart.  Under the lock.
 */
void writelock_note(struct writelock *lock, uint64_t file, int64_t commits);
/* 0 where nothing is noted of that file. */
int64_t writelock_noted(const struct writelock *lock, uint64_t file);
/* Notes nothing any more: the content is another's. */
void writelock_forget(struct writelock *lock);

/* Tells whoever watches the lock file's attributes (wake.h) that something was committed. */
void writelock_signal(struct writelock *lock);

#endif
