/*
 * The store's own invariants, beside the engine's: checksums of rows, well-formed keys and values, counters that agree with
 * what is there, numbers that never went back, messages with their payloads.  Nothing is changed.
 */
#ifndef KVS_CHECK_H
#define KVS_CHECK_H

#include <stdint.h>

#include "db.h"
#include "error.h"

/* X(enumerator, name, what to do about it) */
#define CHECK_MAP(X)                                                                                                   \
    X(CHECK_ENGINE, "engine",                                                                                          \
      "keep a copy of the file, then restore a backup (kvs-maint restore), or dump what can still be read (kvs-maint " \
      "dump) and load it into a new database")                                                                         \
    X(CHECK_LOG, "log",                                                                                                \
      "restore a backup (kvs-maint restore); or, to go on without them, kvs-maint run --force: revisions and ids "     \
      "that they had are given out again")                                                                             \
    X(CHECK_STATE, "state", "restore a backup (kvs-maint restore)")                                                    \
    X(CHECK_CLOCK, "clock", "set the machine's clock; until then nothing expires and no delay ends")                   \
    X(CHECK_BUCKET, "bucket", "set the bucket's options with /bucket/update, or restore a backup")                     \
    X(CHECK_COUNTERS, "counters",                                                                                      \
      "limits and status of the bucket are off; dump and load into a new database counts anew")                        \
    X(CHECK_ENTRY, "entry",                                                                                            \
      "this key cannot be served; restore a backup, or dump (which leaves it out) and load into a new database")       \
    X(CHECK_HISTORY, "history",                                                                                        \
      "an older value is not to be trusted; purge the key's history, or dump (which leaves it out) and load")          \
    X(CHECK_KEPT, "kept", "kvs-maint run trims it")                                                                    \
    X(CHECK_MESSAGE, "message",                                                                                        \
      "this message cannot be delivered; restore a backup, or dump (which leaves it out) and load into a new "         \
      "database")                                                                                                      \
    X(CHECK_PAYLOAD, "payload", "it is dead weight; dump and load into a new database leaves it out")                  \
    X(CHECK_DEDUPE, "dedupe", "an enqueue with this dedupeId may be taken wrongly for a duplicate; purge the topic")   \
    X(CHECK_DOOMED, "doomed", "do not run kvs-maint; restore a backup: the bucket would be emptied")                   \
    X(CHECK_LOCK, "lock", "let the lock's time run out, and acquire it anew")

enum check_kind {
#define CHECK_ENUM(e, name, advice) e,
    CHECK_MAP(CHECK_ENUM)
#undef CHECK_ENUM
        CHECK_KINDS
};

const char *check_name(enum check_kind kind);
const char *check_advice(enum check_kind kind);

struct check_sink {
    /* One line a finding; what lives during the call.  It may name buckets, keys, topics, never values. */
    void (*finding)(void *context, enum check_kind kind, const char *what);
    void (*progress)(void *context, int64_t done, int64_t total); /* NULL: none is wanted */
    void *context;
};

struct check_counts {
    int64_t buckets;
    int64_t entries; /* markers included */
    int64_t history;
    int64_t messages;
    int64_t findings;
};

/* What was found when the store was opened: so many commits are missing. */
void check_loss(int64_t commits, const struct check_sink *sink, struct check_counts *counts);

/* The engine's own check, in one snapshot. */
enum error_code check_engine(struct db *db, const struct check_sink *sink, struct check_counts *counts);

/*
 * The invariants, in snapshots of one page each, so that neither memory nor the log grow with the database; what writers do
 * meanwhile is no finding.  counts is added to.  An error is a check that could not be made, not a finding.
 */
enum error_code check_contents(struct db *db, const struct check_sink *sink, struct check_counts *counts);

#endif
