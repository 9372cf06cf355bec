/*
 * What a read connection remembers of the bucket it last read: its id and the store's time.  That holds as long as the
 * connection sees the same state of the database, so that while nobody commits, reading a key takes one look-up and not
 * three.
 */
#ifndef KVS_PEEK_H
#define KVS_PEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "error.h"

struct peek {
    int64_t id;   /* of the bucket's rows; 0: there is no such bucket */
    int64_t time; /* of the store's last commit */
};

/* What was remembered, which may be out of date; false where nothing was. */
bool peek_remembered(struct db *db, const char *bucket, struct peek *peek);

/*
 * Whether what peek_remembered gave is true in the state that the connection reads now: to be asked behind the first
 * db_step of a statement, and then true for all that this statement reads.
 */
bool peek_holds(struct db *db);

/*
 * Reads it, in the snapshot of the statement or transaction under way if there is one, and remembers it.  The statement
 * stays open, and with it the snapshot for others: end it with db_end, which tells of a failure too.
 */
struct db_query *peek_look(struct db *db, const char *bucket, struct peek *peek);

#endif
