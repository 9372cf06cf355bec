/*
 * What interrupts a wait: this process's own commits, and, while somebody waits, a watch on the writer lock's file
 * for those of other processes: every commit sets its time once it can be seen, while the log is written well before.
 */
#ifndef KVS_WAKE_H
#define KVS_WAKE_H

#include <stdbool.h>

#include "error.h"

struct wake;

enum { WAKE_STORES = 2 };

enum error_code wake_new(struct wake **wake);
/* A database file whose commits are to be watched; at most WAKE_STORES.  Without memory, the slow poll remains. */
void wake_add_store(struct wake *wake, const char *db_path);
void wake_free(struct wake *wake);

/* Readable when there is news; -1 where there are no descriptors left.  The first call by one thread alone. */
int wake_fd(struct wake *wake);

/* Makes it readable, where somebody waits.  Any thread. */
void wake_now(struct wake *wake);

/* Somebody waits, or nobody does any more.  Not by two threads at once. */
void wake_watch(struct wake *wake, bool on);

/* Takes all signals that are there. */
void wake_drain(struct wake *wake);

#endif
