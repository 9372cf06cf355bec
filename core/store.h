/*
 * One database file as the operations see it: snapshots to read, a queue of commits to write.
 */
#ifndef KVS_STORE_H
#define KVS_STORE_H

#include "commit.h"
#include "db.h"
#include "error.h"

struct store;

/* What to do about a database that has lost commits which were acknowledged, since its log was damaged, say. */
enum store_loss {
    STORE_REFUSES, /* it is not opened; but with `relaxed`, where the last commits may go with the power */
    STORE_TELLS,   /* opened to be looked at: store_lost tells; writes are refused */
    STORE_ACCEPTS  /* from now on it is as if they had never been */
};

struct store_options {
    const char *path;
    bool relaxed;
    int64_t busy_timeout;
    int64_t wal_limit; /* bytes of log after which a write checkpoints */
    bool wal_cut;      /* and cuts the log to nothing */
    bool alone;        /* the process has one thread, and may do with one connection */
    enum store_loss loss;
    void (*on_commit)(void *context);
    void (*on_lead)(void *context);
    void *context;
};

/*
 * Opens, creates (mode 0660) or migrates the database.  Refuses, with what is wrong and what would be right: a directory
 * that is missing, not writable or open to others; a network file system; a file of a newer format, another program's, or
 * with a second name; one that has lost commits.
 */
enum error_code store_open(struct store **store, const struct store_options *options, struct error *err);
void store_close(struct store *store);

/* A read connection, for one thread until store_reader_done; broken: do not use it again. */
enum error_code store_reader(struct store *store, struct db **db);
void store_reader_done(struct store *store, struct db *db, bool broken);

/* What a database tells of itself. */
struct store_state {
    int64_t version; /* of its format; 0: it has no tables yet */
    int64_t time;    /* of its last commit */
};

/* ERR_CORRUPT where it has a format, but not the row that goes with it. */
enum error_code store_state(struct db *db, struct store_state *state);

/* Wall time as reads on db take it: at least its last commit's, even where the clock was put back since. */
enum error_code store_now(struct db *db, int64_t *now);

/* The queue of commits. */
struct commit *store_commit(struct store *store);

/* The database file's one name. */
const char *store_path(const struct store *store);

/* Bytes of the log beside the database file; 0 where there is none. */
int64_t store_log_bytes(const struct store *store);

/* How many acknowledged commits were missing when it was opened. */
int64_t store_lost(const struct store *store);

#endif
