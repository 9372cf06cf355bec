/*
 * A request that did not come in one piece: its bytes are taken off the socket as they come and kept here (in memory
 * while they are few, then in an anonymous file), so that neither a worker nor the socket's buffer waits for the rest.
 * libfcgi reads them from a descriptor as it would have from the connection.
 */
#ifndef KVS_SPOOL_H
#define KVS_SPOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "inspect.h"

enum { SPOOL_MEMORY = 65536 };

/* Bytes that large requests may take together, in all connections of the process. */
struct spool_budget {
    atomic_llong left;
};

struct spool {
    struct inspect in;
    struct buf data;  /* records for libfcgi, not yet in the file */
    int fd;           /* the file; -1 while memory suffices */
    size_t in_file;   /* bytes in it */
    int64_t started;  /* clock_mono of the first byte */
    int64_t reserved; /* taken from the budget */
};

/* NULL where there is no memory. */
struct spool *spool_new(int64_t now);

/* Gives back what it holds; NULL does nothing. */
void spool_free(struct spool *s, struct spool_budget *budget);

/* Sets bytes aside for a body; small ones need none.  False: not now. */
bool spool_reserve(struct spool *s, struct spool_budget *budget, int64_t bytes);

/* After bytes were added to data.  False: no memory, no space or no descriptor, or over limit bytes in all. */
bool spool_keep(struct spool *s, size_t limit);

/* Begins anew: the next request of the connection. */
void spool_restart(struct spool *s, struct spool_budget *budget, int64_t now);

/* A descriptor that gives the bytes from the first one on, then end of file.  The caller closes it.  -1 on failure. */
int spool_open(struct spool *s);

#endif
