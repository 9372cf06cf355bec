#include "entry.h"

#include <string.h>

#include "checksum.h"
#include "republish.h"

/* What the checksum of a row covers: all of it. */
static int64_t entry_sum(int64_t bucket, const struct entry *e)
{
    struct checksum sum;

    checksum_init(&sum);
    checksum_int(&sum, bucket);
    checksum_int(&sum, e->revision);
    checksum_int(&sum, e->version);
    checksum_int(&sum, e->created);
    checksum_int(&sum, e->expires);
    checksum_int(&sum, e->op);
    checksum_int(&sum, e->value.encoding);
    checksum_int(&sum, (int64_t)e->value.size);
    checksum_data(&sum, e->key.data, e->key.len);
    checksum_data(&sum, e->value.data, e->value.len);
    return checksum_end(&sum);
}

/* Reads the columns SQL_ENTRY_REST; e->key is set. */
static enum error_code read_rest(struct db_query *q, int first, int64_t bucket, struct entry *e)
{
    e->revision = db_int(q, first);
    e->version = db_int(q, first + 1);
    e->created = db_int(q, first + 2);
    e->expires = db_int(q, first + 3);
    e->op = (enum entry_op)db_int(q, first + 4);
    e->value.encoding = (int)db_int(q, first + 5);
    e->value.size = (size_t)db_int(q, first + 6);
    e->value.data = db_blob(q, first + 8, &e->value.len);
    return db_int(q, first + 7) == entry_sum(bucket, e) ? ERR_OK : ERR_CORRUPT;
}

enum error_code entry_read(struct db_query *q, int first, int64_t bucket, struct entry *e)
{
    e->key.data = db_blob(q, first, &e->key.len);
    return read_rest(q, first + 1, bucket, e);
}

enum error_code entry_read_found(struct db_query *q, int64_t bucket, const struct key *key, struct entry *e)
{
    e->key = *key;
    return read_rest(q, 0, bucket, e);
}

enum error_code entry_keep(struct entry *e, struct arena *arena)
{
    e->key.data = (const unsigned char *)arena_dup(arena, e->key.data, e->key.len);
    e->value.data = (const unsigned char *)arena_dup(arena, e->value.data, e->value.len);
    return e->key.data && e->value.data ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code entry_find(struct db *db, int64_t bucket, const struct key *key, struct entry *e, struct arena *arena)
{
    struct db_query *q = db_start(db, SQL_ENTRY_FIND, DB_INT(bucket), DB_BLOB(key->data, key->len));
    enum error_code rc = ERR_OK;

    e->revision = 0;
    if (db_step(q)) {
        rc = entry_read_found(q, bucket, key, e);
        if (!rc)
            rc = entry_keep(e, arena);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code entry_find_revision(struct db *db, int64_t bucket, const struct key *key, int64_t revision,
                                    struct entry *e, struct arena *arena)
{
    enum error_code rc = entry_find(db, bucket, key, e, arena);
    if (rc || e->revision == revision)
        return rc;
    struct db_query *q = db_start(db, SQL_HISTORY_AT, DB_INT(bucket), DB_BLOB(key->data, key->len), DB_INT(revision));
    e->revision = 0;
    if (db_step(q)) {
        rc = entry_read(q, 0, bucket, e);
        if (!rc)
            rc = entry_keep(e, arena);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static int64_t weight(const struct entry *e)
{
    return (int64_t)(e->key.len + e->value.size);
}

static enum error_code write_row(struct txn *t, enum sql_id sql, const struct bucket *b, const struct entry *e)
{
    return db_run(t->db, sql, DB_INT(b->id), DB_BLOB(e->key.data, e->key.len), DB_INT(e->revision), DB_INT(e->version),
                  DB_INT(e->created), DB_INT(e->expires), DB_INT(e->op), DB_INT(e->value.encoding),
                  DB_INT((int64_t)e->value.size), DB_INT(entry_sum(b->id, e)), DB_BLOB(e->value.data, e->value.len));
}

/* Drops the key's history rows with revisions up to `last` and takes them off the counters. */
static enum error_code drop_history(struct txn *t, struct bucket *b, const struct key *key, int64_t last, int64_t rows,
                                    int64_t bytes)
{
    b->held -= rows;
    b->bytes -= bytes;
    b->dirty = true;
    return db_run(t->db, SQL_HISTORY_DROP_TO, DB_INT(b->id), DB_BLOB(key->data, key->len), DB_INT(last));
}

static enum error_code drop_all_history(struct txn *t, struct bucket *b, const struct key *key)
{
    struct db_query *q = db_start(t->db, SQL_HISTORY_COUNT, DB_INT(b->id), DB_BLOB(key->data, key->len));
    int64_t rows = 0, bytes = 0;

    if (db_step(q)) {
        rows = db_int(q, 0);
        bytes = db_int(q, 1);
    }
    enum error_code rc = db_end(q);
    return rc || rows == 0 ? rc : drop_history(t, b, key, INT64_MAX, rows, bytes);
}

enum error_code entry_trim(struct txn *t, struct bucket *b, const struct key *key)
{
    struct db_query *q = db_start(t->db, SQL_HISTORY_COUNT, DB_INT(b->id), DB_BLOB(key->data, key->len));
    int64_t over = 0, rows = 0, bytes = 0, last = 0;

    if (db_step(q))
        over = db_int(q, 0) - (b->options.history - 1);
    enum error_code rc = db_end(q);
    if (rc || over <= 0)
        return rc;
    q = db_start(t->db, SQL_HISTORY_OLDEST, DB_INT(b->id), DB_BLOB(key->data, key->len), DB_INT(over));
    while (db_step(q)) {
        last = db_int(q, 0);
        bytes += db_int(q, 1);
        rows++;
    }
    rc = db_end(q);
    return rc ? rc : drop_history(t, b, key, last, rows, bytes);
}

enum error_code entry_trim_keys(struct txn *t, struct bucket *b, size_t limit, struct key *place, size_t *count,
                                struct arena *arena)
{
    struct key *keys = arena_alloc(&t->arena, limit * sizeof *keys);
    size_t n = 0;

    *count = 0;
    if (!keys)
        return ERR_NO_MEMORY;
    struct db_query *q = db_start(t->db, SQL_HISTORY_KEYS_OVER, DB_INT(b->id), DB_BLOB(place->data, place->len),
                                  DB_INT(b->options.history - 1), DB_INT((int64_t)limit));
    enum error_code rc = ERR_OK;
    while (!rc && db_step(q)) {
        size_t len;
        const void *data = db_blob(q, 0, &len);
        keys[n] = (struct key){(const unsigned char *)arena_dup(arena, data, len), len};
        rc = keys[n++].data ? ERR_OK : ERR_NO_MEMORY;
    }
    enum error_code end = db_end(q);
    for (size_t i = 0; !rc && !end && i < n; i++)
        rc = entry_trim(t, b, &keys[i]);
    *count = n;
    if (!rc && n)
        *place = keys[n - 1];
    return rc ? rc : end;
}

/* The present entry makes way for the next: into the history, or out. */
static enum error_code retire(struct txn *t, struct bucket *b, const struct entry *old)
{
    if (old->op == ENTRY_PUT)
        b->keys--;
    if (b->options.history <= 1) {
        b->held--;
        b->bytes -= weight(old);
        return ERR_OK;
    }
    return write_row(t, SQL_HISTORY_PUT, b, old);
}

/* Takes back the row that this very request wrote before: one request leaves one entry a key. */
static void replace(struct bucket *b, const struct entry *old)
{
    if (old->op == ENTRY_PUT)
        b->keys--;
    b->held--;
    b->bytes -= weight(old);
}

static enum error_code store_entry(struct txn *t, struct bucket *b, const struct entry *old, struct entry *e)
{
    enum error_code rc = ERR_OK;
    bool again = old->revision == e->revision;

    b->dirty = true;
    if (again)
        replace(b, old);
    else if (old->revision)
        rc = retire(t, b, old);
    if (!rc)
        rc = write_row(t, SQL_ENTRY_PUT, b, e);
    if (rc)
        return rc;
    b->held++;
    b->bytes += weight(e);
    if (e->op == ENTRY_PUT)
        b->keys++;
    if (e->op == ENTRY_PURGE)
        rc = drop_all_history(t, b, &e->key);
    else if (b->options.history > 1 && old->revision && !again)
        rc = entry_trim(t, b, &e->key);
    return rc;
}

/* Room that expired entries take which nobody has removed yet: they do not count. */
static enum error_code expired_room(struct txn *t, const struct bucket *b, int64_t *keys, int64_t *bytes)
{
    struct db_query *q = db_start(t->db, SQL_ENTRY_EXPIRED_SUM, DB_INT(b->id), DB_INT(t->now));
    if (db_step(q)) {
        *keys = db_int(q, 0);
        *bytes = db_int(q, 1);
    }
    return db_end(q);
}

enum error_code entry_check_room(struct txn *t, const struct bucket *b, struct entry_room before)
{
    const struct bucket_options *o = &b->options;
    bool keys_over = o->max_keys >= 0 && b->keys > o->max_keys && b->keys > before.keys;
    bool bytes_over = o->max_bytes >= 0 && b->bytes > o->max_bytes && b->bytes > before.bytes;
    int64_t keys = 0, bytes = 0;

    if (!keys_over && !bytes_over)
        return ERR_OK;
    enum error_code rc = expired_room(t, b, &keys, &bytes);
    if (rc)
        return rc;
    if ((keys_over && b->keys - keys > o->max_keys) || (bytes_over && b->bytes - bytes > o->max_bytes))
        return ERR_BUCKET_FULL;
    return ERR_OK;
}

enum error_code entry_put(struct txn *t, struct bucket *b, const struct entry *old, const struct key *key,
                          const struct value *value, int64_t expires, struct entry *e)
{
    bool live = old->revision && old->op == ENTRY_PUT;

    if (b->options.max_value >= 0 && (int64_t)value->size > b->options.max_value)
        return ERR_TOO_LARGE;
    *e = (struct entry){
        .key = *key,
        .revision = txn_revision(t, b),
        .version = live ? old->version + 1 : 1,
        .created = t->now,
        .expires = expires,
        .op = ENTRY_PUT,
        .value = *value,
    };
    enum error_code rc = b->options.compression ? value_compress(&e->value, &t->arena) : ERR_OK;
    if (!rc)
        rc = store_entry(t, b, old, e);
    return rc ? rc : republish_entry(t, b, e);
}

enum error_code entry_touch(struct txn *t, struct bucket *b, const struct entry *old, int64_t expires, struct entry *e)
{
    *e = *old;
    e->revision = txn_revision(t, b);
    e->created = t->now;
    e->expires = expires;
    enum error_code rc = store_entry(t, b, old, e);
    return rc ? rc : republish_entry(t, b, e);
}

static enum error_code put_marker(struct txn *t, struct bucket *b, const struct entry *old, enum entry_op op,
                                  int64_t revision, struct entry *e)
{
    *e = (struct entry){.key = old->key,
                        .revision = revision,
                        .created = t->now,
                        .op = op,
                        .value = {.data = (const unsigned char *)"", .encoding = VALUE_BYTES}};
    enum error_code rc = store_entry(t, b, old, e);
    return rc ? rc : republish_entry(t, b, e);
}

enum error_code entry_mark(struct txn *t, struct bucket *b, const struct entry *old, enum entry_op op, struct entry *e)
{
    return put_marker(t, b, old, op, txn_revision(t, b), e);
}

enum error_code entry_expire(struct txn *t, struct bucket *b, struct entry *old, int64_t *revision)
{
    struct entry marker;

    if (!entry_is_expired(old, t->now))
        return ERR_OK;
    if (!*revision)
        *revision = txn_revision_apart(t, b);
    enum error_code rc = put_marker(t, b, old, ENTRY_EXPIRE, *revision, &marker);
    *old = marker;
    return rc;
}

enum error_code entry_drop_marker(struct txn *t, struct bucket *b, const struct key *key, int64_t revision)
{
    enum error_code rc = drop_all_history(t, b, key);
    if (!rc)
        rc = db_run(t->db, SQL_ENTRY_DROP, DB_INT(b->id), DB_BLOB(key->data, key->len));
    b->held--;
    b->bytes -= (int64_t)key->len;
    b->dirty = true;
    t->touched = true;
    if (revision > b->compacted)
        b->compacted = revision;
    return rc;
}

struct old_marker {
    struct key key;
    int64_t revision;
};

/* Read first, dropped afterwards, so that no row is changed under the statement that finds them. */
static enum error_code find_markers(struct txn *t, const struct bucket *b, int64_t until, int64_t limit,
                                    struct old_marker **list, size_t *count)
{
    struct db_query *q = db_start(t->db, SQL_ENTRY_OLD_MARKERS, DB_INT(b->id), DB_INT(until), DB_INT(limit));
    enum error_code rc = ERR_OK;

    *list = NULL;
    *count = 0;
    while (!rc && db_step(q)) {
        if (!*list && !(*list = arena_alloc(&t->arena, (size_t)limit * sizeof **list))) {
            rc = ERR_NO_MEMORY;
            break;
        }
        struct old_marker *m = &(*list)[(*count)++];
        const void *data = db_blob(q, 0, &m->key.len);
        m->key.data = (const unsigned char *)arena_dup(&t->arena, data, m->key.len);
        m->revision = db_int(q, 1);
        if (!m->key.data)
            rc = ERR_NO_MEMORY;
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code entry_drop_markers(struct txn *t, struct bucket *b, int64_t until, int64_t limit, int64_t *count)
{
    struct old_marker *list;
    size_t n;
    enum error_code rc = find_markers(t, b, until, limit, &list, &n);

    for (size_t i = 0; !rc && i < n; i++)
        rc = entry_drop_marker(t, b, &list[i].key, list[i].revision);
    *count = (int64_t)n;
    return rc;
}

/* A row as it is, counted. */
static enum error_code load_row(struct txn *t, struct bucket *b, const struct entry *e, enum sql_id put)
{
    struct entry row = *e;
    enum error_code rc = b->options.compression ? value_compress(&row.value, &t->scratch) : ERR_OK;

    if (!rc)
        rc = write_row(t, put, b, &row);
    b->held++;
    b->bytes += weight(&row);
    b->dirty = true;
    t->touched = true;
    return rc;
}

enum error_code entry_load(struct txn *t, struct bucket *b, const struct entry *e)
{
    struct entry there = {.revision = 0};

    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, &e->key, &there, &t->scratch);
    if (rc || there.revision)
        return rc;
    b->keys += e->op == ENTRY_PUT;
    return load_row(t, b, e, SQL_ENTRY_PUT);
}

enum error_code entry_load_history(struct txn *t, struct bucket *b, const struct entry *e, bool *orphan)
{
    struct entry there = {.revision = 0};

    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, &e->key, &there, &t->scratch);
    *orphan = !there.revision;
    if (rc || *orphan)
        return rc;
    return there.revision <= e->revision ? ERR_CONFLICT : load_row(t, b, e, SQL_HISTORY_PUT);
}

static const char *const op_names[] = {[ENTRY_DEL] = "DEL", [ENTRY_PURGE] = "PURGE", [ENTRY_EXPIRE] = "EXPIRE"};

/* given may be NULL. */
static enum error_code write_entry(struct json_out *out, struct entry *e, const struct key_given *given, bool meta_only,
                                   struct arena *arena)
{
    if (!meta_only && e->op == ENTRY_PUT) {
        enum error_code rc = value_expand(&e->value, arena);
        if (rc)
            return rc;
    }
    json_out_object(out);
    json_out_name(out, "key");
    if (given && given->text)
        json_out_raw(out, given->text, given->text_len);
    else if (!key_to_json(out, e->key.data, e->key.len))
        return ERR_CORRUPT;
    if (meta_only) {
        json_out_name(out, "length");
        json_out_int(out, e->op == ENTRY_PUT ? (int64_t)e->value.size : 0);
    } else if (e->op == ENTRY_PUT) {
        value_to_json(out, "value", &e->value);
    } else {
        json_out_name(out, "value");
        json_out_null(out);
    }
    json_out_name(out, "version");
    json_out_int(out, e->version);
    json_out_name(out, "revision");
    json_out_int(out, e->revision);
    json_out_name(out, "created");
    json_out_int(out, e->created);
    if (e->expires) {
        json_out_name(out, "expiresAt");
        json_out_int(out, e->expires);
    }
    if (e->op != ENTRY_PUT) {
        json_out_name(out, "operation");
        json_out_cstr(out, op_names[e->op]);
    }
    json_out_end(out);
    return ERR_OK;
}

enum error_code entry_to_json(struct json_out *out, struct entry *e, bool meta_only, struct arena *arena)
{
    return write_entry(out, e, NULL, meta_only, arena);
}

enum error_code entry_to_json_given(struct json_out *out, struct entry *e, const struct key_given *given,
                                    struct arena *arena)
{
    return write_entry(out, e, given, false, arena);
}
