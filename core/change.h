/*
 * The changes of a bucket in the order of their revisions.
 */
#ifndef KVS_CHANGE_H
#define KVS_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "entry.h"
#include "error.h"
#include "selector.h"

/* Which of what is retained. */
enum change_depth {
    CHANGE_LATEST, /* the newest state of each key */
    CHANGE_ALL     /* its history too */
};

/* Called for each matching change, in order; its pointers live during the call.  Anything but ERR_OK ends the read. */
typedef enum error_code change_visit(void *context, struct entry *e);

struct change_page {
    int64_t limit;   /* matching entries after which the page ends, at the end of a revision */
    int64_t scan;    /* rows to look at, matching or not; likewise.  0: no bound */
    int64_t last;    /* out: the page covers everything up to this revision */
    bool more;       /* out: there are rows behind it */
    int64_t matched; /* out */
};

/*
 * Reads the changes after revision `since` in db's present snapshot.  last is the revision of the last row looked at where
 * more, else stays as it was given.
 */
enum error_code change_read(struct db *db, int64_t bucket, int64_t since, enum change_depth depth,
                            const struct selector *selector, int64_t now, struct change_page *page, change_visit *visit,
                            void *context);

/* The same for a selector of one key, by its own rows: however many others have changed. */
enum error_code change_read_key(struct db *db, int64_t bucket, int64_t since, const struct selector *selector,
                                int64_t now, struct change_page *page, change_visit *visit, void *context);

/* How many matching changes there are after `since`. */
enum error_code change_count(struct db *db, int64_t bucket, int64_t since, enum change_depth depth,
                             const struct selector *selector, int64_t now, int64_t *count);

#endif
