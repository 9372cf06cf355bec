/*
 * One watch, as its feed sees it.
 */
#ifndef KVS_WATCHER_H
#define KVS_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "change.h"
#include "selector.h"
#include "stream.h"

/* In its call's arena; it ends with the call. */
struct watcher {
    struct stream stream;
    struct selector selector;
    enum change_depth depth; /* of the initial entries */
    bool updates_only;
    bool has_since;
    int64_t since;
    int64_t created;    /* of the bucket: another one by the same name is not what was asked for */
    int64_t position;   /* everything up to this revision was handed on */
    int64_t total;      /* initial entries still to come, as counted at the start; -1: not yet counted */
    bool ready;         /* the initial entries are over */
    bool live;          /* it takes what its feed reads; before, it reads its own pages */
    long behind;        /* bytes that its client has still to take */
    const char *reason; /* it is over; NULL: it is not */
    struct watcher *next;
};

#endif
