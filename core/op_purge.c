/*
 * Purging: the value and its history go, one marker stays.
 */
#include "access.h"
#include "entry.h"
#include "ops.h"

enum { KEYS_MAX = 50000, STEP = 500 };

struct purge_args {
    struct key key; /* data NULL: the range is meant */
    struct key from, to;
    bool checked;
    int64_t revision;
};

enum error_code kv_purge_parse(struct call *call)
{
    static const char *const names[] = {"key", "prefix", "bucket", "revision", NULL};
    struct purge_args *a = call_args(call, sizeof *a);
    struct key prefix;
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = fields_key_optional(&f, "key", 1, &a->key);
    if (!rc)
        rc = fields_key_optional(&f, "prefix", 0, &prefix);
    if (!rc)
        rc = fields_int(&f, "revision", 0, INT64_MAX, &a->revision);
    if (rc)
        return rc;
    a->checked = fields_find(&f, "revision") != 0;
    if (!a->key.data && !prefix.data)
        return fields_missing(&f, "key", "a key (or give prefix)");
    if (a->key.data && prefix.data)
        return error_set(&call->err, ERR_BAD_REQUEST, "prefix", "give key or prefix, not both");
    if (prefix.data && a->checked)
        return fields_bad(&f, "revision", "left out where a prefix is given");
    return prefix.data ? key_below(&prefix, &call->arena, &a->from, &a->to) : ERR_OK;
}

enum error_code kv_purge_allow(struct call *call)
{
    const struct purge_args *a = call->args;
    return a->key.data ? access_key(call, "key", &a->key) : access_range(call, "prefix", &a->from, &a->to);
}

static enum error_code judge(struct call *call, struct txn *t, const struct purge_args *a, const struct entry *old)
{
    bool live = entry_is_live(old, t->now);

    if (!a->checked || (live && old->revision == a->revision))
        return ERR_OK;
    return error_conflict(&call->err, "revision", live ? old->revision : 0, live ? old->version : 0,
                          live ? "the key's revision is another one now" : "the key does not exist");
}

/* Also takes what an older deletion or expiry left; only a purge already there leaves nothing to do. */
static bool is_purgeable(const struct entry *e)
{
    return e->revision && e->op != ENTRY_PURGE;
}

static enum error_code purge_key(struct call *call, struct txn *t, struct bucket *b, int64_t *purged)
{
    const struct purge_args *a = call->args;
    struct entry old, marker;
    int64_t expiry_revision = 0;

    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, &a->key, &old, &t->scratch);

    if (!rc)
        rc = judge(call, t, a, &old);
    if (rc || !is_purgeable(&old))
        return rc;
    rc = entry_expire(t, b, &old, &expiry_revision);
    *purged = 1;
    return rc ? rc : entry_mark(t, b, &old, ENTRY_PURGE, &marker);
}

/* Some keys of the range, read before any of them is changed; *from moves behind them. */
static enum error_code read_step(struct txn *t, const struct bucket *b, struct key *from, const struct key *to,
                                 struct key *keys, size_t *count)
{
    struct db_query *q =
        db_start(t->db, SQL_KEY_RANGE, DB_INT(b->id), DB_BLOB(from->data, from->len), DB_BLOB(to->data, to->len));
    enum error_code rc = ERR_OK;

    *count = 0;
    while (!rc && *count < STEP && db_step(q)) {
        struct key *key = &keys[(*count)++];
        const void *data = db_blob(q, 0, &key->len);
        key->data = (const unsigned char *)arena_dup(&t->arena, data, key->len);
        rc = key->data ? ERR_OK : ERR_NO_MEMORY;
    }
    enum error_code end = db_end(q);
    if (rc || end || *count == 0)
        return rc ? rc : end;
    /* arena_dup puts a NUL behind the key: with it, the next possible key. */
    *from = (struct key){keys[*count - 1].data, keys[*count - 1].len + 1};
    return ERR_OK;
}

static enum error_code purge_range(struct call *call, struct txn *t, struct bucket *b, int64_t *purged)
{
    const struct purge_args *a = call->args;
    struct key keys[STEP], from = a->from;
    struct entry old, marker;
    size_t count;
    enum error_code rc;

    do {
        rc = read_step(t, b, &from, &a->to, keys, &count);
        for (size_t i = 0; !rc && i < count; i++) {
            arena_reset(&t->scratch);
            rc = entry_find(t->db, b->id, &keys[i], &old, &t->scratch);
            if (rc || !is_purgeable(&old))
                continue;
            if (++*purged > KEYS_MAX)
                return error_set(&call->err, ERR_TOO_LARGE, "prefix",
                                 "more than %d keys lie below it: purge longer prefixes, or the bucket", (int)KEYS_MAX);
            rc = entry_mark(t, b, &old, ENTRY_PURGE, &marker);
        }
    } while (!rc && count == STEP);
    return rc;
}

enum error_code kv_purge(struct call *call, struct txn *t)
{
    const struct purge_args *a = call->args;
    int64_t purged = 0;
    struct bucket *b;
    enum error_code rc = txn_bucket(t, call->bucket, &b, &call->err);

    if (!rc)
        rc = a->key.data ? purge_key(call, t, b, &purged) : purge_range(call, t, b, &purged);
    if (rc)
        return rc;
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
    json_out_name(&call->json, "purged");
    json_out_int(&call->json, purged);
    json_out_name(&call->json, "revision");
    json_out_int(&call->json, b->revision);
    json_out_end(&call->json);
    return ERR_OK;
}
