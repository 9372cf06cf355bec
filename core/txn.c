#include "txn.h"

#include <string.h>

#include "clock.h"

enum error_code txn_load(struct txn *t, struct db *db)
{
    int64_t now = clock_now();
    struct db_query *q = db_start_n(db, SQL_STATE_LOAD, NULL, 0);
    bool found = db_step(q);

    if (found) {
        int64_t last = db_int(q, 0);
        t->now = now > last ? now : last;
        t->last_message = db_int(q, 1);
        t->last_fence = db_int(q, 2);
        t->last_bucket = db_int(q, 3);
        t->commits = db_int(q, 4);
    }
    enum error_code rc = db_end(q);
    t->db = db;
    t->touched = false;
    return rc ? rc : found ? ERR_OK : ERR_CORRUPT;
}

void txn_forget(struct txn *t)
{
    t->buckets = NULL;
    t->touched = false;
    t->wrote = false;
    t->job = 0;
    arena_reset(&t->arena);
    arena_reset(&t->scratch);
}

enum error_code txn_flush(struct txn *t)
{
    enum error_code rc = db_run(t->db, SQL_STATE_SAVE, DB_INT(t->now), DB_INT(t->last_message), DB_INT(t->last_fence),
                                DB_INT(t->last_bucket), DB_INT(t->commits + 1));
    for (struct bucket *b = t->buckets; !rc && b; b = b->next) {
        if (!b->dirty)
            continue;
        rc = bucket_save(t->db, b);
        b->dirty = false;
    }
    return rc;
}

void txn_next_job(struct txn *t)
{
    t->job++;
    t->touched = false;
}

enum error_code txn_bucket(struct txn *t, const char *name, struct bucket **out, struct error *err)
{
    for (struct bucket *b = t->buckets; b; b = b->next) {
        if (strcmp(b->name, name) == 0 && b->id) {
            *out = b;
            return ERR_OK;
        }
    }
    struct bucket *b = arena_alloc(&t->arena, sizeof *b);
    if (!b)
        return ERR_NO_MEMORY;
    enum error_code rc = bucket_find(t->db, name, false, b, &t->arena, err);
    if (rc)
        return rc;
    b->next = t->buckets;
    t->buckets = b;
    *out = b;
    return ERR_OK;
}

int64_t txn_revision(struct txn *t, struct bucket *b)
{
    if (b->job != t->job) {
        b->job = t->job;
        txn_revision_apart(t, b);
    }
    return b->revision;
}

int64_t txn_revision_apart(struct txn *t, struct bucket *b)
{
    b->dirty = true;
    t->touched = true;
    return ++b->revision;
}

int64_t txn_next_message(struct txn *t)
{
    t->touched = true;
    return ++t->last_message;
}

int64_t txn_next_fence(struct txn *t)
{
    t->touched = true;
    return ++t->last_fence;
}

int64_t txn_next_bucket(struct txn *t)
{
    t->touched = true;
    return ++t->last_bucket;
}
