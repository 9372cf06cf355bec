#include "maint.h"

#include <stddef.h>
#include <string.h>

#include "clock.h"
#include "entry.h"
#include "mem.h"
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

/* A bucket, topic or key that a step has come to. */
enum { PLACE_MAX = KEY_MAX + 1 };

struct step {
    struct commit_job job;
    enum error_code (*run)(struct step *step, struct txn *t);
    const struct config *config;
    int64_t count;         /* done by the last transaction */
    char after[PLACE_MAX]; /* what was last visited, as of the last commit */
    size_t after_len;
    /* What the transaction under way came to: */
    char next[PLACE_MAX];
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

/* Dead letters of an age that the configuration sets an end to. */
static enum error_code dead_step(struct step *s, struct txn *t)
{
    int64_t ttl = s->config->dead_ttl * 1000;
    const char *topic;
    size_t len;
    enum error_code rc = ERR_OK;

    if (!ttl || !message_next_topic(t->db, s->after, s->after_len, &topic, &len, &t->arena, &rc)) {
        s->over = true;
        return rc;
    }
    rc = message_drop_dead(t, topic, len, t->now - ttl, MAINT_STEP, &s->count);
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

/* What an update of the history option that was cut short has left. */
static enum error_code trim_step(struct step *s, struct txn *t)
{
    struct key place = {(const unsigned char *)s->after, s->after_len};
    struct bucket *b = NULL;
    size_t count = 0;
    struct db_query *q = db_start_n(t->db, SQL_LOWERED_NEXT, NULL, 0);
    int64_t id = db_step(q) ? db_int(q, 0) : 0;
    enum error_code rc = db_end(q);

    s->over = id == 0;
    if (!rc && id)
        rc = bucket_by_id(t, id, &b);
    if (!rc && b)
        rc = entry_trim_keys(t, b, MAINT_STEP, &place, &count, &t->arena);
    s->count = (int64_t)count;
    if (rc || !id)
        return rc;
    if (count == MAINT_STEP) {
        advance(s, (const char *)place.data, place.len);
        return ERR_OK;
    }
    s->next_len = 0;
    return db_run(t->db, SQL_LOWERED_DROP, DB_INT(id));
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

/* What a run does in each store, in order, and where it is counted. */
static const struct phase {
    enum error_code (*run)(struct step *, struct txn *);
    size_t total; /* offset in struct maint_report */
} phases[] = {
    {expire_step, offsetof(struct maint_report, expired)}, {lapse_step, offsetof(struct maint_report, lapsed)},
    {dead_step, offsetof(struct maint_report, dead)},      {marker_step, offsetof(struct maint_report, markers)},
    {doomed_step, offsetof(struct maint_report, rows)},    {trim_step, offsetof(struct maint_report, trimmed)},
    {dedupe_step, offsetof(struct maint_report, names)},   {lock_step, offsetof(struct maint_report, locks)},
};

enum { PHASES = sizeof phases / sizeof phases[0] };

struct maint {
    struct kvs *kvs;
    struct store *store; /* the one at work; NULL between runs */
    size_t phase;
    struct step step;
    struct maint_report report;
};

struct maint *maint_new(struct kvs *kvs)
{
    struct maint *m = mem_zalloc(1, sizeof *m);
    if (m)
        m->kvs = kvs;
    return m;
}

void maint_free(struct maint *m)
{
    mem_free(m);
}

static void begin_store(struct maint *m, struct store *store)
{
    m->store = store;
    m->phase = 0;
    m->step = (struct step){.job = {.apply = apply_step}, .config = m->kvs->config};
}

/* One transaction of the phase at work. */
static enum error_code run_step(struct maint *m)
{
    const struct phase *phase = &phases[m->phase];
    int64_t *total = (int64_t *)(void *)((char *)&m->report + phase->total);

    m->step.run = phase->run;
    enum error_code rc = commit_wait(store_commit(m->store), &m->step.job);
    if (rc)
        return rc;
    *total += m->step.count;
    memcpy(m->step.after, m->step.next, sizeof m->step.after);
    m->step.after_len = m->step.next_len;
    if (m->step.over) {
        m->phase++;
        m->step = (struct step){.job = {.apply = apply_step}, .config = m->kvs->config};
    }
    return ERR_OK;
}

/* The store's phases are over: its log goes into the database, then comes the other store. */
static enum error_code end_store(struct maint *m)
{
    struct store *memory = NULL;
    enum error_code rc = maint_checkpoint(m->store, false);

    if (!rc && m->store == m->kvs->file)
        rc = storage_memory(m->kvs, false, &memory);
    begin_store(m, memory);
    return rc;
}

enum error_code maint_slice(struct maint *m, int64_t until, bool *over)
{
    enum error_code rc = ERR_OK;

    if (!m->store) {
        m->report = (struct maint_report){0};
        begin_store(m, m->kvs->file);
    }
    do
        rc = m->phase < PHASES ? run_step(m) : end_store(m);
    while (!rc && m->store && clock_mono() < until);
    if (rc)
        m->store = NULL;
    *over = !m->store;
    return rc;
}

enum error_code maint_run(struct kvs *kvs, struct maint_report *report)
{
    struct maint m = {.kvs = kvs};
    bool over;
    enum error_code rc = maint_slice(&m, INT64_MAX, &over);

    if (report)
        *report = m.report;
    return rc;
}
