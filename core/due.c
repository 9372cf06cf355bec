#include "due.h"

#include <string.h>

#include "mem.h"
#include "message.h"

enum { THINGS = 64, STORES = 2 };

/* How many of those that wait for one thing are tried at once. */
static const int turns[] = {[WAIT_TOPIC] = 16, [WAIT_CHANGES] = 1 << 30, [WAIT_LOCK] = 1};

struct thing {
    struct wait wait;
    struct store *store;
    int64_t now;    /* the store's */
    int64_t answer; /* topic, lock: wall time when it can be had, 0 never; changes: the bucket's revision */
    int woken;
};

struct reader {
    struct store *store;
    struct db *db;
    int64_t now; /* the store's */
    bool broken;
};

struct due {
    int64_t mono;
    struct reader readers[STORES];
    struct thing things[THINGS];
    size_t count;
};

struct due *due_begin(int64_t mono)
{
    struct due *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->mono = mono;
    return d;
}

void due_end(struct due *d)
{
    for (size_t i = 0; d && i < STORES; i++)
        if (d->readers[i].db)
            store_reader_done(d->readers[i].store, d->readers[i].db, d->readers[i].broken);
    mem_free(d);
}

static struct reader *reader_of(struct due *d, struct store *store)
{
    for (size_t i = 0; i < STORES; i++) {
        struct reader *r = &d->readers[i];
        if (r->store && r->store != store)
            continue;
        r->store = store;
        if (!r->db && store_reader(store, &r->db))
            r->db = NULL;
        else if (!r->now)
            r->broken = store_now(r->db, &r->now) != ERR_OK;
        return r->db && !r->broken ? r : NULL;
    }
    return NULL;
}

static enum error_code lock_free_at(struct db *db, const struct wait *w, int64_t now, int64_t *when)
{
    struct db_query *q = db_start(db, SQL_LOCK_FIND, DB_TEXT(w->name, w->len));
    *when = db_step(q) ? db_int(q, 3) : now;
    return db_end(q);
}

/* A bucket that is gone is news too: the call is to learn of it. */
static enum error_code bucket_revision(struct db *db, const struct wait *w, int64_t *revision)
{
    struct db_query *q = db_start(db, SQL_BUCKET_REVISION, DB_TEXT(w->name, w->len));
    *revision = db_step(q) && !db_is_null(q, 1) ? db_int(q, 0) : INT64_MAX;
    return db_end(q);
}

static void ask(struct due *d, struct thing *t)
{
    struct reader *r = reader_of(d, t->store);
    enum error_code rc = ERR_OK;

    t->answer = 0;
    if (!r)
        return;
    t->now = r->now;
    if (t->wait.kind == WAIT_TOPIC)
        rc = message_next_due(r->db, t->wait.name, t->wait.len, &t->answer);
    else if (t->wait.kind == WAIT_LOCK)
        rc = lock_free_at(r->db, &t->wait, t->now, &t->answer);
    else
        rc = bucket_revision(r->db, &t->wait, &t->answer);
    if (rc)
        r->broken = true;
}

static bool is_same(const struct thing *t, const struct call *call)
{
    return t->wait.kind == call->wait.kind && t->store == call->store && t->wait.len == call->wait.len &&
           memcmp(t->wait.name, call->wait.name, call->wait.len) == 0;
}

static struct thing *thing_of(struct due *d, const struct call *call)
{
    for (size_t i = 0; i < d->count; i++)
        if (is_same(&d->things[i], call))
            return &d->things[i];
    /* More things than slots: the last slot is used again, which costs a query but nothing else. */
    struct thing *t = &d->things[d->count < THINGS ? d->count++ : THINGS - 1];
    *t = (struct thing){.wait = call->wait, .store = call->store};
    ask(d, t);
    return t;
}

bool due_is(struct due *d, const struct call *call, int64_t *next)
{
    struct thing *t = thing_of(d, call);

    if (call->wait.kind == WAIT_CHANGES)
        return t->answer > call->wait.since;
    if (t->answer == 0)
        return false;
    if (t->answer > t->now) {
        int64_t mono = d->mono + (t->answer - t->now);
        *next = mono < *next ? mono : *next;
        return false;
    }
    return t->woken++ < turns[call->wait.kind];
}
