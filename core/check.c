#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bucket.h"
#include "check_pass.h"
#include "clock.h"
#include "entry.h"
#include "fields.h"
#include "json_out.h"
#include "json_scan.h"
#include "key.h"
#include "utf8.h"

enum { CLOCK_SLACK_MS = 24 * 3600 * 1000, KEY_SHOWN = 300, HISTORY_MAX = 1000 };

static const char *const names[] = {
#define CHECK_NAME(e, name, advice) name,
    CHECK_MAP(CHECK_NAME)
#undef CHECK_NAME
};

static const char *const advices[] = {
#define CHECK_ADVICE(e, name, advice) advice,
    CHECK_MAP(CHECK_ADVICE)
#undef CHECK_ADVICE
};

const char *check_name(enum check_kind kind)
{
    return names[kind];
}

const char *check_advice(enum check_kind kind)
{
    return advices[kind];
}

void check_found(struct check *c, enum check_kind kind, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    utf8_clean(line, strlen(line));
    c->counts->findings++;
    c->sink->finding(c->sink->context, kind, line);
}

/* A key, topic or name as a person can read it, cut where it is long; valid until the next call. */
static const char *shown_key(struct check *c, const unsigned char *data, size_t len)
{
    struct json_out out;

    buf_clear(&c->shown);
    json_out_init(&out, &c->shown);
    if (!key_valid(data, len) || !key_to_json(&out, data, len)) {
        buf_clear(&c->shown);
        for (size_t i = 0; i < len && i < KEY_SHOWN / 4; i++)
            buf_printf(&c->shown, "%02x", data[i]);
    }
    if (c->shown.len > KEY_SHOWN) {
        c->shown.len = utf8_valid(c->shown.data, KEY_SHOWN);
        buf_lit(&c->shown, "…");
    }
    const char *text = buf_cstr(&c->shown);
    return text ? text : "?";
}

static enum error_code load_state(struct check *c)
{
    struct db_query *q = db_start_n(c->db, SQL_STATE_LOAD, NULL, 0);
    bool there = db_step(q);

    if (there) {
        c->time = db_int(q, 0);
        c->last_message = db_int(q, 1);
        c->last_fence = db_int(q, 2);
        c->last_bucket = db_int(q, 3);
    }
    enum error_code rc = db_end(q);
    return rc ? rc : there ? ERR_OK : ERR_NOT_FOUND;
}

static enum error_code run_page(struct check *c, check_page *page, bool *more)
{
    enum error_code rc = db_read_begin(c->db);

    c->owner.id = 0;
    *more = false;
    if (!rc)
        rc = load_state(c);
    if (!rc)
        rc = page(c, more);
    db_read_end(c->db);
    return rc;
}

/* All pages of one kind.  Where the engine cannot read on, that is a finding, and the end of this kind. */
static enum error_code run_pass(struct check *c, check_page *page, const char *what)
{
    bool more = true;
    enum error_code rc = ERR_OK;

    c->id = c->revision = INT64_MIN;
    c->run = 0;
    buf_clear(&c->name);
    buf_clear(&c->part);
    while (!rc && more) {
        rc = run_page(c, page, &more);
        arena_reset(&c->arena);
        if (c->sink->progress)
            c->sink->progress(c->sink->context, c->done, c->total > c->done ? c->total : c->done);
        if (!buf_ok(&c->name) || !buf_ok(&c->part))
            rc = ERR_NO_MEMORY;
    }
    if (rc != ERR_CORRUPT)
        return rc;
    check_found(c, CHECK_ENGINE, "%s cannot be read: the file is damaged", what);
    return ERR_OK;
}

void check_place(struct buf *b, const void *data, size_t len)
{
    buf_clear(b);
    buf_add(b, data, len);
}

/* state */

static enum error_code state_page(struct check *c, bool *more)
{
    int64_t ahead = c->time - clock_now();

    (void)more;
    if (c->time < 0 || c->last_message < 0 || c->last_fence < 0 || c->last_bucket < 1)
        check_found(c, CHECK_STATE, "the store's counters are negative");
    if (ahead > CLOCK_SLACK_MS)
        check_found(c, CHECK_CLOCK, "the last commit lies %lld hours ahead of the clock", (long long)(ahead / 3600000));
    struct db_query *q = db_start_n(c->db, SQL_CHECK_TOTAL, NULL, 0);
    if (db_step(q))
        c->total = db_int(q, 0);
    return db_end(q);
}

/* Buckets */

static bool is_json_object(struct check *c, const char *text)
{
    static const char *const none[] = {NULL};
    struct json_doc doc;
    return !json_scan(&doc, text, strlen(text), none, &c->arena, NULL) && doc.nodes[0].type == JSON_OBJECT;
}

static void judge_options(struct check *c, const struct bucket *b)
{
    const struct bucket_options *o = &b->options;

    if (o->history < 1 || o->history > HISTORY_MAX || o->ttl < 0 || o->marker_ttl < 0 || o->max_value < -1 ||
        o->max_bytes < -1 || o->max_keys < -1)
        check_found(c, CHECK_BUCKET, "bucket %s: an option is out of range", b->name);
    if (!is_json_object(c, o->metadata) || (o->republish && !is_json_object(c, o->republish)))
        check_found(c, CHECK_BUCKET, "bucket %s: its metadata or republish option is no JSON object", b->name);
    if (utf8_valid(o->description, strlen(o->description)) != strlen(o->description))
        check_found(c, CHECK_BUCKET, "bucket %s: its description is not UTF-8", b->name);
}

static enum error_code judge_counters(struct check *c, const struct bucket *b)
{
    int64_t held = 0, keys = 0, bytes = 0;
    struct db_query *q = db_start(c->db, SQL_CHECK_COUNTERS, DB_INT(b->id));

    if (db_step(q)) {
        held = db_int(q, 0);
        keys = db_int(q, 1);
        bytes = db_int(q, 2);
    }
    enum error_code rc = db_end(q);
    if (!rc && (held != b->held || keys != b->keys || bytes != b->bytes))
        check_found(
            c, CHECK_COUNTERS,
            "bucket %s: counts %lld keys, %lld values, %lld bytes; there are %lld keys, %lld values, %lld bytes",
            b->name, (long long)b->keys, (long long)b->held, (long long)b->bytes, (long long)keys, (long long)held,
            (long long)bytes);
    return rc;
}

static enum error_code is_doomed(struct check *c, int64_t id, bool *doomed)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_IS_DOOMED, DB_INT(id));
    *doomed = db_step(q);
    return db_end(q);
}

static enum error_code judge_bucket(struct check *c, const struct bucket *b)
{
    bool doomed = false;
    enum error_code rc = b->id ? is_doomed(c, b->id, &doomed) : ERR_OK;

    if (rc)
        return rc;
    c->counts->buckets += b->id != 0;
    if (!fields_is_bucket_name(b->name, strlen(b->name)))
        check_found(c, CHECK_BUCKET, "bucket %s: that is no bucket's name", b->name);
    if (b->revision < 0 || b->compacted < 0 || b->compacted > b->revision)
        check_found(c, CHECK_BUCKET, "bucket %s: compacted (%lld) is beyond its revision (%lld)", b->name,
                    (long long)b->compacted, (long long)b->revision);
    if (b->id < 0 || b->id > c->last_bucket)
        check_found(c, CHECK_BUCKET, "bucket %s: its id %lld was never given out", b->name, (long long)b->id);
    if (doomed)
        check_found(c, CHECK_DOOMED, "bucket %s: its entries are marked for removal", b->name);
    judge_options(c, b);
    return b->id ? judge_counters(c, b) : ERR_OK;
}

static enum error_code bucket_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_BUCKET_AFTER, DB_TEXT(c->name.data, c->name.len));
    struct bucket b;
    enum error_code rc = ERR_OK;

    *more = db_step(q);
    if (*more)
        rc = bucket_read(q, &b, &c->arena);
    enum error_code end = db_end(q);
    if (rc || end || !*more)
        return rc ? rc : end;
    check_place(&c->name, b.name, strlen(b.name));
    return judge_bucket(c, &b);
}

static enum error_code doomed_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_DOOMED, DB_INT(c->id), DB_INT(CHECK_PAGE));
    int rows = 0;

    while (db_step(q)) {
        rows++;
        c->id = db_int(q, 0);
        if (c->id < 1 || c->id > c->last_bucket)
            check_found(c, CHECK_DOOMED, "id %lld is marked for removal, but was never given out", (long long)c->id);
    }
    *more = rows == CHECK_PAGE;
    return db_end(q);
}

/* Entries and history */

static enum error_code find_owner(struct check *c, int64_t id)
{
    struct owner *o = &c->owner;
    size_t len;

    if (o->id == id && id != 0)
        return ERR_OK;
    *o = (struct owner){.id = id};
    struct db_query *q = db_start(c->db, SQL_CHECK_OWNER, DB_INT(id));
    o->known = db_step(q);
    if (o->known) {
        snprintf(o->name, sizeof o->name, "%s", db_text(q, 0, &len));
        o->revision = db_int(q, 1);
        o->history = db_int(q, 2);
    }
    enum error_code rc = db_end(q);
    return rc || o->known ? rc : is_doomed(c, id, &o->doomed);
}

/* What is wrong with the row by itself; NULL for nothing. */
static const char *wrong_row(const struct entry *e)
{
    bool put = e->op == ENTRY_PUT;

    if (e->key.len > KEY_MAX || !key_valid(e->key.data, e->key.len))
        return "its key is malformed";
    if ((int)e->op < ENTRY_PUT || e->op > ENTRY_EXPIRE)
        return "its operation is unknown";
    if ((e->value.encoding & ~VALUE_ZSTD) != VALUE_JSON && (e->value.encoding & ~VALUE_ZSTD) != VALUE_BYTES)
        return "its value's encoding is unknown";
    if (put ? e->version < 1 : e->version != 0 || e->value.size || e->expires)
        return put ? "its version is below 1" : "it is a marker, but has a version, value or expiry";
    if (e->revision < 1 || e->expires < 0 || e->created < 0)
        return "its revision or a time of it is negative";
    return NULL;
}

const char *check_wrong_value(struct check *c, struct value *v, enum error_code *rc)
{
    *rc = value_expand(v, &c->arena);
    if (*rc == ERR_CORRUPT) {
        *rc = ERR_OK;
        return "its value has not the size that it should have, or cannot be expanded";
    }
    bool text = !*rc && v->encoding == VALUE_JSON && v->len > 0;
    return text && utf8_valid((const char *)v->data, v->len) != v->len ? "its value is not UTF-8" : NULL;
}

static enum error_code judge_entry(struct check *c, struct entry *e, bool sound, enum check_kind kind)
{
    const struct owner *o = &c->owner;
    enum error_code rc = ERR_OK;
    const char *wrong = sound ? wrong_row(e) : "its checksum is wrong: the row is damaged";

    if (!wrong)
        wrong = check_wrong_value(c, &e->value, &rc);
    if (!wrong && !o->known && !o->doomed)
        wrong = "it belongs to no bucket";
    if (!wrong && o->known && e->revision > o->revision)
        wrong = "its revision is beyond its bucket's";
    if (!wrong && e->created > c->time)
        wrong = "it was written after the last commit";
    if (wrong)
        check_found(c, kind, "bucket %s, key %s, revision %lld: %s", o->known ? o->name : "?",
                    shown_key(c, e->key.data, e->key.len), (long long)e->revision, wrong);
    arena_reset(&c->arena);
    return rc;
}

/* Reads and judges the row of either table; *e is the row's. */
static enum error_code take_entry(struct check *c, struct db_query *q, struct entry *e, enum check_kind kind)
{
    int64_t bucket = db_int(q, 0);
    enum error_code sum = entry_read(q, 1, bucket, e);

    c->done++;
    if (sum && sum != ERR_CORRUPT)
        return sum;
    enum error_code rc = find_owner(c, bucket);
    return rc ? rc : judge_entry(c, e, sum == ERR_OK, kind);
}

static enum error_code entry_page(struct check *c, bool *more)
{
    struct db_query *q =
        db_start(c->db, SQL_CHECK_ENTRIES, DB_INT(c->id), DB_BLOB(c->part.data, c->part.len), DB_INT(CHECK_PAGE));
    struct entry e;
    int rows = 0;
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        rc = take_entry(c, q, &e, CHECK_ENTRY);
        c->counts->entries++;
        if (++rows == CHECK_PAGE) {
            c->id = db_int(q, 0);
            check_place(&c->part, e.key.data, e.key.len);
        }
    }
    *more = rows == CHECK_PAGE;
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

/* More rows of one key than the bucket keeps; the run may have begun in an earlier snapshot, so this one is asked. */
static enum error_code judge_run(struct check *c, const struct entry *e)
{
    struct db_query *q = db_start(c->db, SQL_HISTORY_COUNT, DB_INT(c->owner.id), DB_BLOB(e->key.data, e->key.len));
    int64_t n = db_step(q) ? db_int(q, 0) : 0;
    enum error_code rc = db_end(q);

    if (!rc && n > c->owner.history - 1)
        check_found(c, CHECK_KEPT, "bucket %s, key %s: %lld older values are held, the bucket keeps %lld",
                    c->owner.name, shown_key(c, e->key.data, e->key.len), (long long)n,
                    (long long)(c->owner.history - 1));
    return rc;
}

/* Column 11 is the revision of the key's present entry. */
static enum error_code judge_history(struct check *c, struct db_query *q, const struct entry *e)
{
    bool same = e->key.len && c->id == c->owner.id && c->part.len == e->key.len &&
                !memcmp(c->part.data, e->key.data, e->key.len);

    c->run = same ? c->run + 1 : 1;
    if (!c->owner.known)
        return ERR_OK;
    if (db_is_null(q, 11))
        check_found(c, CHECK_HISTORY, "bucket %s, key %s: it has a history, but no entry", c->owner.name,
                    shown_key(c, e->key.data, e->key.len));
    else if (e->revision >= db_int(q, 11))
        check_found(c, CHECK_HISTORY, "bucket %s, key %s: revision %lld in its history is not older than its entry's",
                    c->owner.name, shown_key(c, e->key.data, e->key.len), (long long)e->revision);
    return c->run == c->owner.history ? judge_run(c, e) : ERR_OK;
}

static enum error_code history_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_HISTORY, DB_INT(c->id), DB_BLOB(c->part.data, c->part.len),
                                  DB_INT(c->revision), DB_INT(CHECK_PAGE));
    struct entry e;
    int rows = 0;
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        rc = take_entry(c, q, &e, CHECK_HISTORY);
        c->counts->history++;
        if (!rc)
            rc = judge_history(c, q, &e);
        rows++;
        c->id = db_int(q, 0);
        c->revision = e.revision;
        check_place(&c->part, e.key.data, e.key.len);
    }
    *more = rows == CHECK_PAGE;
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static const struct {
    check_page *page;
    const char *what;
} passes[] = {
    {bucket_page, "buckets"},      {doomed_page, "removed buckets"}, {entry_page, "entries"},
    {history_page, "history"},     {check_message_page, "messages"}, {check_payload_page, "payloads"},
    {check_dedupe_page, "dedupe"}, {check_lock_page, "locks"},
};

enum error_code check_contents(struct db *db, const struct check_sink *sink, struct check_counts *counts)
{
    struct check c = {.db = db, .sink = sink, .counts = counts, .arena = ARENA_INIT};
    enum error_code rc = run_pass(&c, state_page, "the store's state");

    if (rc == ERR_NOT_FOUND) {
        check_found(&c, CHECK_STATE, "the row of the store's state is missing");
        rc = ERR_OK;
    } else {
        for (size_t i = 0; !rc && i < sizeof passes / sizeof passes[0]; i++)
            rc = run_pass(&c, passes[i].page, passes[i].what);
    }
    arena_free(&c.arena);
    buf_free(&c.name);
    buf_free(&c.part);
    buf_free(&c.shown);
    return rc;
}

void check_loss(int64_t commits, const struct check_sink *sink, struct check_counts *counts)
{
    struct check c = {.sink = sink, .counts = counts};

    if (commits)
        check_found(&c, CHECK_LOG,
                    "the last %lld commits were acknowledged and are missing: the log is damaged or gone",
                    (long long)commits);
}

static void engine_line(void *context, const char *line)
{
    check_found(context, CHECK_ENGINE, "%s", line);
}

enum error_code check_engine(struct db *db, const struct check_sink *sink, struct check_counts *counts)
{
    struct check c = {.db = db, .sink = sink, .counts = counts};
    enum error_code rc = db_integrity(db, engine_line, &c);

    if (rc != ERR_CORRUPT)
        return rc;
    check_found(&c, CHECK_ENGINE, "the file is so damaged that the engine cannot check it to the end");
    return ERR_OK;
}
