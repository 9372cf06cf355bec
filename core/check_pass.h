/*
 * For the check_*.c files alone: the check under way, and the pages it is made of.
 */
#ifndef KVS_CHECK_PASS_H
#define KVS_CHECK_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "check.h"
#include "db.h"
#include "error.h"
#include "value.h"

enum { CHECK_PAGE = 1000 }; /* rows read in one snapshot */

/* The bucket that rows of a page belong to; read once where many rows follow each other. */
struct owner {
    int64_t id; /* 0: none was read yet */
    char name[80];
    int64_t revision, history;
    bool known, doomed;
};

struct check {
    struct db *db;
    const struct check_sink *sink;
    struct check_counts *counts;
    int64_t done, total;
    /* Of the snapshot under way: */
    int64_t time, last_message, last_fence, last_bucket;
    struct owner owner;
    /* Where the next page begins: behind these. */
    int64_t id, revision;
    struct buf name, part;
    /* A run of rows of one key in the history. */
    int64_t run;
    struct arena arena; /* one row's */
    struct buf shown;
};

/* Tells of a finding. */
__attribute__((format(printf, 3, 4))) void check_found(struct check *c, enum check_kind kind, const char *fmt, ...);

/* Remembers where a page ended. */
void check_place(struct buf *b, const void *data, size_t len);

/* What is wrong with a value's bytes; NULL for nothing.  *rc: it could not be found out. */
const char *check_wrong_value(struct check *c, struct value *v, enum error_code *rc);

/* One page in a snapshot of its own; *more: there is another. */
typedef enum error_code check_page(struct check *c, bool *more);

/* check_queue.c */
check_page check_message_page, check_payload_page, check_dedupe_page, check_lock_page;

#endif
