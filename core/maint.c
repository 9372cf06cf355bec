#include "maint.h"

#include <string.h>

#include "clock.h"
#include "entry.h"
#include "message.h"
#include "storage.h"

/* Keys of one step, collected before anything is written to the table that they are read from. */
struct found {
    int64_t bucket;
    struct key key;
};

static enum error_code collect_expired(struct txn *t, int64_t limit, struct found **list, size_t *count)
{
    struct db_query *q = db_start(t->db, SQL_ENTRY_EXPIRED, DB_INT(t->now), DB_INT(limit));
    enum error_code rc = ERR_OK;

    *count = 0;
    *list = NULL;
    while (!rc && db_step(q)) {
        if (!*list && !(*list = arena_alloc(&t->arena, (size_t)limit * sizeof **list))) {
            rc = ERR_NO_MEMORY;
            break;
        }
        struct found *f = &(*list)[(*count)++];
        f->bucket = db_int(q, 0);
        const void *data = db_blob(q, 1, &f->key.len);
        f->key.data = (const unsigned char *)arena_dup(&t->arena, data, f->key.len);
        rc = f->key.data ? ERR_OK : ERR_NO_MEMORY;
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

/* The bucket whose rows have this id; NULL where it was destroyed or reset, maybe in this very transaction. */
static enum error_code bucket_by_id(struct txn *t, int64_t id, struct bucket **b)
{
    struct db_query *q = db_start(t->db, SQL_BUCKET_BY_ID, DB_INT(id));
    const char *name = NULL;
    size_t len;
    enum error_code rc = ERR_OK;

    *b = NULL;
    if (db_step(q)) {
        const char *text = db_text(q, 0, &len);
        name = arena_dup(&t->arena, text, len);
        if (!name)
            rc = ERR_NO_MEMORY;
    }
    enum error_code end = db_end(q);
    if (rc || end || !name)
        return rc ? rc : end;
    rc = txn_bucket(t, name, b, NULL);
    if (rc == ERR_NO_BUCKET || (!rc && (*b)->id != id)) {
        *b = NULL;
        return ERR_OK;
    }
    return rc;
}

static enum error_code expire_one(struct txn *t, struct bucket *b, const struct key *key, int64_t *revision)
{
    struct entry e;

    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, key, &e, &t->scratch);
    return rc ? rc : entry_expire(t, b, &e, revision);
}

enum error_code maint_expire(struct txn *t, int64_t limit, int64_t *count, bool *more)
{
    struct found *list;
    size_t n;
    struct bucket *b = NULL;
    int64_t revision = 0, id = 0;
    enum error_code rc = collect_expired(t, limit, &list, &n);

    *count = 0;
    *more = (int64_t)n == limit;
    for (size_t i = 0; !rc && i < n; i++) {
        if (i == 0 || list[i].bucket != id) {
            id = list[i].bucket;
            revision = 0;
            rc = bucket_by_id(t, id, &b);
        }
        if (!rc && b) {
            rc = expire_one(t, b, &list[i].key, &revision);
            ++*count;
        } else if (!rc) {
            rc = db_run(t->db, SQL_ENTRY_DROP, DB_INT(id), DB_BLOB(list[i].key.data, list[i].key.len));
        }
    }
    return rc;
}

struct step {
    struct commit_job job;
    enum error_code (*run)(struct step *step, struct txn *t);
    int64_t count;   /* done by the last transaction */
    char after[264]; /* topic or bucket that was last visited, as of the last commit */
    size_t after_len;
    /* What the transaction under way came to: */
    char next[264];
    size_t next_len;
    bool over;
};

static enum error_code apply_step(struct commit_job *job, struct txn *t)
{
    struct step *s = (struct step *)job;
    s->count = 0;
    s->over = false;
    memcpy(s->next, s->after, sizeof s->after);
    s->next_len = s->after_len;
    return s->run(s, t);
}

static enum error_code expire_step(struct step *s, struct txn *t)
{
    bool more;
    enum error_code rc = maint_expire(t, MAINT_STEP, &s->count, &more);
    s->over = !more;
    return rc;
}

/* Goes on to the next name, or to the end. */
static void advance(struct step *s, const char *name, size_t len)
{
    s->over = !name || len >= sizeof s->next;
    if (s->over)
        return;
    memcpy(s->next, name, len);
    s->next[len] = '\0';
    s->next_len = len;
}

static enum error_code lapse_step(struct step *s, struct txn *t)
{
    const char *topic;
    size_t len;
    enum error_code rc;

    if (!message_next_topic(t->db, s->after, s->after_len, &topic, &len, &t->arena, &rc)) {
        s->over = true;
        return rc;
    }
    rc = message_settle_lapsed(t, topic, len, MAINT_STEP, &s->count);
    if (!rc && s->count < MAINT_STEP)
        advance(s, topic, len);
    return rc;
}

static enum error_code next_bucket(struct txn *t, const struct step *s, struct bucket **b)
{
    struct db_query *q = db_start(t->db, SQL_BUCKET_LIST, DB_TEXT(s->after, s->after_len));
    const char *name = NULL;
    size_t len;

    if (db_step(q)) {
        const char *text = db_text(q, 0, &len);
        name = arena_dup(&t->arena, text, len);
    }
    enum error_code rc = db_end(q);
    *b = NULL;
    return rc || !name ? rc : txn_bucket(t, name, b, NULL);
}

static enum error_code marker_step(struct step *s, struct txn *t)
{
    struct bucket *b;
    enum error_code rc = next_bucket(t, s, &b);
    if (rc || !b) {
        s->over = true;
        return rc;
    }
    rc = entry_drop_markers(t, b, t->now - b->options.marker_ttl, MAINT_STEP, &s->count);
    if (!rc && s->count < MAINT_STEP)
        advance(s, b->name, strlen(b->name));
    return rc;
}

static enum error_code doomed_step(struct step *s, struct txn *t)
{
    struct db_query *q = db_start_n(t->db, SQL_DOOMED_NEXT, NULL, 0);
    int64_t id = db_step(q) ? db_int(q, 0) : 0, entries = 0, rows = 0;
    enum error_code rc = db_end(q);

    s->over = id == 0;
    if (rc || !id)
        return rc;
    rc = db_run_count(t->db, &entries, SQL_DOOMED_ENTRIES, DB_INT(id), DB_INT(MAINT_STEP));
    if (!rc)
        rc = db_run_count(t->db, &rows, SQL_DOOMED_HISTORY, DB_INT(id), DB_INT(MAINT_STEP));
    if (!rc && entries + rows == 0)
        rc = db_run(t->db, SQL_DOOMED_DROP, DB_INT(id));
    s->count = entries + rows;
    return rc;
}

static enum error_code dedupe_step(struct step *s, struct txn *t)
{
    enum error_code rc = db_run_count(t->db, &s->count, SQL_DEDUPE_DROP_OLD, DB_INT(t->now), DB_INT(MAINT_STEP));
    s->over = s->count < MAINT_STEP;
    return rc;
}

/* Locks whose time is over are free already; the fences of the store go on. */
static enum error_code lock_step(struct step *s, struct txn *t)
{
    s->over = true;
    return db_run_count(t->db, &s->count, SQL_LOCK_DROP_OLD, DB_INT(t->now));
}

/* Runs one kind of step to its end; *total is added to. */
static enum error_code run_steps(struct store *store, enum error_code (*run)(struct step *, struct txn *),
                                 int64_t *total)
{
    struct step s = {.job = {.apply = apply_step}, .run = run};
    enum error_code rc = ERR_OK;

    while (!rc && !s.over) {
        rc = commit_wait(store_commit(store), &s.job);
        if (rc)
            break;
        *total += s.count;
        memcpy(s.after, s.next, sizeof s.after);
        s.after_len = s.next_len;
    }
    return rc;
}

struct checkpoint_job {
    struct commit_job job;
    bool truncate;
};

static enum error_code run_checkpoint(struct commit_job *job, struct db *db)
{
    int64_t left;
    return db_checkpoint(db, ((struct checkpoint_job *)job)->truncate, &left);
}

enum error_code maint_checkpoint(struct store *store, bool truncate)
{
    struct checkpoint_job c = {.job = {.outside = run_checkpoint}, .truncate = truncate};
    return commit_wait(store_commit(store), &c.job);
}

static enum error_code run_store(struct store *store, struct maint_report *r)
{
    int64_t dedupe = 0, locks = 0;
    enum error_code rc = run_steps(store, expire_step, &r->expired);
    if (!rc)
        rc = run_steps(store, lapse_step, &r->lapsed);
    if (!rc)
        rc = run_steps(store, marker_step, &r->markers);
    if (!rc)
        rc = run_steps(store, doomed_step, &r->rows);
    if (!rc)
        rc = run_steps(store, dedupe_step, &dedupe);
    if (!rc)
        rc = run_steps(store, lock_step, &locks);
    return rc ? rc : maint_checkpoint(store, false);
}

enum error_code maint_run(struct kvs *kvs, struct maint_report *report)
{
    struct maint_report own = {0}, *r = report ? report : &own;
    struct store *memory;
    enum error_code rc = run_store(kvs->file, r);

    if (!rc)
        rc = storage_memory(kvs, false, &memory);
    return rc || !memory ? rc : run_store(memory, r);
}
