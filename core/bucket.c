#include "bucket.h"

#include <string.h>

#include "txn.h"

const struct bucket_options bucket_defaults = {
    .history = 1,
    .max_value = -1,
    .max_bytes = -1,
    .max_keys = -1,
    .description = "",
    .metadata = "{}",
    .marker_ttl = 1800000,
};

static const char *text_column(struct db_query *q, int column, struct arena *arena)
{
    size_t len;
    const char *text = db_text(q, column, &len);
    return arena_dup(arena, text, len);
}

enum error_code bucket_read(struct db_query *q, struct bucket *b, struct arena *arena)
{
    *b = (struct bucket){
        .name = text_column(q, 0, arena),
        .id = db_int(q, 1),
        .revision = db_int(q, 2),
        .compacted = db_int(q, 3),
        .created = db_int(q, 4),
        .keys = db_int(q, 5),
        .held = db_int(q, 6),
        .bytes = db_int(q, 7),
        .options =
            {
                .history = db_int(q, 8),
                .ttl = db_int(q, 9),
                .max_value = db_int(q, 10),
                .max_bytes = db_int(q, 11),
                .max_keys = db_int(q, 12),
                .description = text_column(q, 13, arena),
                .metadata = text_column(q, 14, arena),
                .storage = db_int(q, 15) == BUCKET_MEMORY ? BUCKET_MEMORY : BUCKET_FILE,
                .compression = db_int(q, 16) != 0,
                .marker_ttl = db_int(q, 17),
                .republish = db_is_null(q, 18) ? NULL : text_column(q, 18, arena),
            },
        .time = db_int(q, 19),
    };
    bool whole = b->name && b->options.description && b->options.metadata;
    return whole && (b->options.republish || db_is_null(q, 18)) ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code bucket_find(struct db *db, const char *name, bool destroyed, struct bucket *b, struct arena *arena,
                            struct error *err)
{
    struct db_query *q = db_start(db, SQL_BUCKET_FIND, DB_TEXT(name, strlen(name)));
    enum error_code rc = ERR_NO_BUCKET;

    if (db_step(q))
        rc = bucket_read(q, b, arena);
    enum error_code end = db_end(q);
    if (end)
        return end;
    if (!rc && !b->id && !destroyed)
        rc = ERR_NO_BUCKET;
    if (rc == ERR_NO_BUCKET)
        error_set(err, rc, "bucket", "there is no bucket %s: /bucket/create makes it", name);
    return rc;
}

static struct db_value id_value(const struct bucket *b)
{
    return b->id ? DB_INT(b->id) : DB_NULL;
}

enum error_code bucket_save(struct db *db, const struct bucket *b)
{
    return db_run(db, SQL_BUCKET_SAVE, DB_TEXT(b->name, strlen(b->name)), id_value(b), DB_INT(b->revision),
                  DB_INT(b->compacted), DB_INT(b->created), DB_INT(b->keys), DB_INT(b->held), DB_INT(b->bytes));
}

enum error_code bucket_put(struct db *db, const struct bucket *b)
{
    const struct bucket_options *o = &b->options;
    return db_run(db, SQL_BUCKET_PUT, DB_TEXT(b->name, strlen(b->name)), id_value(b), DB_INT(b->revision),
                  DB_INT(b->compacted), DB_INT(b->created), DB_INT(b->keys), DB_INT(b->held), DB_INT(b->bytes),
                  DB_INT(o->history), DB_INT(o->ttl), DB_INT(o->max_value), DB_INT(o->max_bytes), DB_INT(o->max_keys),
                  DB_TEXT(o->description, strlen(o->description)), DB_TEXT(o->metadata, strlen(o->metadata)),
                  DB_INT(o->storage), DB_INT(o->compression), DB_INT(o->marker_ttl),
                  o->republish ? DB_TEXT(o->republish, strlen(o->republish)) : DB_NULL);
}

int64_t bucket_expiry(const struct bucket *b, int64_t now, int64_t ttl)
{
    int64_t max = b->options.ttl;
    if (ttl == 0 || (max && ttl > max))
        ttl = max;
    if (ttl == 0)
        return 0;
    return ttl > INT64_MAX - now ? 0 : now + ttl;
}

enum error_code bucket_drop(struct txn *t, struct bucket *b)
{
    enum error_code rc = db_run(t->db, SQL_DOOMED_ADD, DB_INT(b->id));
    b->id = 0;
    if (!rc)
        rc = bucket_save(t->db, b);
    b->dirty = false;
    t->touched = true;
    return rc;
}

enum error_code bucket_empty(struct txn *t, struct bucket *b)
{
    enum error_code rc = db_run(t->db, SQL_DOOMED_ADD, DB_INT(b->id));
    b->id = txn_next_bucket(t);
    b->keys = b->held = b->bytes = 0;
    b->compacted = b->revision;
    b->dirty = true;
    return rc;
}
