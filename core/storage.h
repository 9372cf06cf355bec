/*
 * Which store a bucket lies in.  The durable file holds the definition of every bucket and the data of those with storage
 * "file"; a second file, on a memory file system, the data of those with storage "memory".
 *
 * Revisions of a memory bucket must not go back when a reboot has taken its data: with each start from nothing the durable
 * file reserves a range of revisions far above what the last one can have reached.
 */
#ifndef KVS_STORAGE_H
#define KVS_STORAGE_H

#include "call.h"
#include "error.h"
#include "service.h"

/*
 * Sets call->store to the store of call->bucket, making the second file and the bucket's row in it where they are
 * missing.  ERR_NO_BUCKET; ERR_INTERNAL where the memory file cannot be opened.
 */
enum error_code storage_find(struct call *call);

/* The second store where it exists or, with `make`, can be made; NULL otherwise. */
enum error_code storage_memory(struct kvs *kvs, bool make, struct store **store);

/* Reads a bucket's row in the second store; *store is NULL where there is no such store or no such row in it. */
enum error_code storage_look(struct kvs *kvs, const char *name, struct store **store, struct bucket *b,
                             struct arena *arena);

/* Removes the row and data of a memory bucket whose definition is gone. */
enum error_code storage_forget(struct kvs *kvs, const char *name);

#endif
