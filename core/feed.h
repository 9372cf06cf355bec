/*
 * The changes of one bucket on their way to those who watch it.
 */
#ifndef KVS_FEED_H
#define KVS_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"
#include "watcher.h"

struct feed {
    struct store *store;
    char *bucket; /* name; owned */
    struct watcher *watchers;
    int64_t position; /* the live watchers have seen everything up to here; -1 before the first look */
    bool unread;      /* there is more to read without news */
    struct feed *next;
};

struct feed *feed_new(struct store *store, const char *bucket);
bool feed_is(const struct feed *f, const struct store *store, const char *bucket);
/* It must have no watchers left. */
void feed_free(struct feed *f);

void feed_join(struct feed *f, struct watcher *w);

/*
 * With news (something was committed since the last look), or where a watcher is still reading what was there before it,
 * reads in one snapshot of db and hands on.  In any case heartbeats, departures, ends.  Lowers *next as watches_tick.
 */
void feed_tick(struct feed *f, struct db *db, bool news, int64_t mono, int64_t *next);

/* Ends all its watchers. */
void feed_stop(struct feed *f, const char *reason);

#endif
