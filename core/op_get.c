#include <string.h>

#include "access.h"
#include "clock.h"
#include "entry.h"
#include "ops.h"
#include "peek.h"

enum { KEYS_MAX = 1000, ANSWER_MAX = 16 << 20 };

struct get_args {
    struct key_given given;
    int64_t revision; /* 0: the newest */
    bool markers;
};

struct get_many_args {
    struct key_given *keys;
    size_t count;
};

enum error_code kv_get_parse(struct call *call)
{
    static const char *const names[] = {"key", "bucket", "revision", "markers", NULL};
    struct get_args *a = call_args(call, sizeof *a);
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = fields_key_given(&f, "key", &a->given);
    if (!rc)
        rc = fields_int(&f, "revision", 1, INT64_MAX, &a->revision);
    return rc ? rc : fields_bool(&f, "markers", &a->markers);
}

enum error_code kv_get_allow(struct call *call)
{
    const struct get_args *a = call->args;
    return access_key(call, "key", &a->given.key);
}

/* {"entry": …} or null. */
static enum error_code answer_entry(struct call *call, struct entry *e, bool shown)
{
    const struct get_args *a = call->args;
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "entry");
    if (shown)
        rc = entry_to_json_given(&call->json, e, &a->given, &call->arena);
    else
        json_out_null(&call->json);
    if (!rc)
        json_out_end(&call->json);
    return rc;
}

static bool is_shown(const struct entry *e, int64_t now, bool markers)
{
    return entry_is_live(e, now) || (markers && e->revision && e->op != ENTRY_PUT);
}

static enum error_code no_bucket(struct call *call)
{
    return error_set(&call->err, ERR_NO_BUCKET, "bucket", "there is no bucket %s: /bucket/create makes it",
                     call->bucket);
}

/* A look-up of a key under way, and the bucket in the very state of the database that it reads. */
struct lookup {
    struct db_query *bucket; /* NULL where nothing had to be read of it */
    struct db_query *entry;
    struct peek peek;
    bool found;
};

static void find(struct lookup *l, struct db *db, const struct key *key)
{
    l->entry = db_start(db, SQL_ENTRY_FIND, DB_INT(l->peek.id), DB_BLOB(key->data, key->len));
    l->found = db_step(l->entry);
}

static enum error_code lookup_end(struct lookup *l)
{
    enum error_code rc = l->entry ? db_end(l->entry) : ERR_OK;
    enum error_code other = l->bucket ? db_end(l->bucket) : ERR_OK;
    l->entry = l->bucket = NULL;
    return rc ? rc : other;
}

/* As if nobody had written since the connection's last read.  False where somebody has, and it is to be done anew. */
static bool find_as_remembered(struct call *call, struct lookup *l, struct db *db, const struct key *key)
{
    if (!peek_remembered(db, call->bucket, &l->peek) || !l->peek.id)
        return false;
    int64_t id = l->peek.id;
    find(l, db, key);
    if (peek_holds(db))
        return true;
    /* A row keeps its snapshot open, so that the bucket can be read from the same one. */
    if (l->found) {
        l->bucket = peek_look(db, call->bucket, &l->peek);
        if (l->peek.id == id)
            return true;
    }
    lookup_end(l);
    return false;
}

static enum error_code find_newest(struct call *call, struct lookup *l, struct db *db, const struct key *key)
{
    if (find_as_remembered(call, l, db, key))
        return ERR_OK;
    l->bucket = peek_look(db, call->bucket, &l->peek);
    if (!l->peek.id) {
        enum error_code rc = lookup_end(l);
        return rc ? rc : no_bucket(call);
    }
    find(l, db, key);
    return ERR_OK;
}

/* The hottest path of all. */
static enum error_code get_newest(struct call *call, struct view *view, const struct get_args *a)
{
    struct lookup l = {.found = false};
    struct entry e = {.revision = 0};
    enum error_code rc = find_newest(call, &l, view->db, &a->given.key);

    if (rc)
        return rc;
    if (l.peek.time > view->now)
        view->now = l.peek.time;
    if (l.found)
        rc = entry_read_found(l.entry, l.peek.id, &a->given.key, &e);
    if (!rc)
        rc = answer_entry(call, &e, is_shown(&e, view->now, a->markers));
    enum error_code end = lookup_end(&l);
    return rc ? rc : end;
}

/* A marker is an entry too: whoever names its revision gets it. */
static enum error_code get_revision(struct call *call, struct view *view, const struct get_args *a)
{
    struct bucket b;
    struct entry e;
    enum error_code rc = db_read_begin(view->db);

    if (!rc)
        rc = bucket_find(view->db, call->bucket, false, &b, &call->arena, &call->err);
    if (!rc)
        rc = entry_find_revision(view->db, b.id, &a->given.key, a->revision, &e, &call->arena);
    db_read_end(view->db);
    if (rc)
        return rc;
    int64_t now = b.time > view->now ? b.time : view->now;
    return answer_entry(call, &e, e.revision == a->revision && is_shown(&e, now, true));
}

enum error_code kv_get(struct call *call, struct view *view)
{
    const struct get_args *a = call->args;
    return a->revision ? get_revision(call, view, a) : get_newest(call, view, a);
}

enum error_code kv_get_many_parse(struct call *call)
{
    static const char *const names[] = {"keys", "bucket", NULL};
    struct get_many_args *a = call_args(call, sizeof *a);
    struct fields f;
    size_t node;

    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = fields_array_required(&f, "keys", KEYS_MAX, &node, &a->count);
    if (rc)
        return rc;
    a->keys = arena_alloc(&call->arena, a->count * sizeof *a->keys);
    if (!a->keys)
        return ERR_NO_MEMORY;
    size_t i = node + 1;
    for (size_t n = 0; !rc && n < a->count; n++) {
        char path[32];
        fields_item_path(path, sizeof path, "keys", n);
        rc = key_given_from_json(&call->doc, i, path, &call->arena, &a->keys[n], &call->err);
        i = call->doc.nodes[i].next;
    }
    return rc;
}

enum error_code kv_get_many_allow(struct call *call)
{
    const struct get_many_args *a = call->args;
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < a->count; i++) {
        char path[32];
        fields_item_path(path, sizeof path, "keys", i);
        rc = access_key(call, path, &a->keys[i].key);
    }
    return rc;
}

static enum error_code get_one(struct call *call, struct view *view, const struct key_given *given)
{
    const struct key *key = &given->key;
    struct db_query *q = db_start(view->db, SQL_ENTRY_FIND, DB_INT(view->bucket.id), DB_BLOB(key->data, key->len));
    struct entry e = {.revision = 0};
    enum error_code rc = ERR_OK;

    if (db_step(q))
        rc = entry_read_found(q, view->bucket.id, key, &e);
    if (rc) {
        db_end(q);
        return rc;
    }
    if (entry_is_live(&e, view->now))
        rc = entry_to_json_given(&call->json, &e, given, &call->arena);
    else
        json_out_null(&call->json);
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code kv_get_many(struct call *call, struct view *view)
{
    const struct get_many_args *a = call->args;
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "entries");
    json_out_array(&call->json);
    for (size_t i = 0; !rc && i < a->count; i++) {
        rc = get_one(call, view, &a->keys[i]);
        if (!rc && call->out.len > ANSWER_MAX)
            rc = error_set(&call->err, ERR_TOO_LARGE, "keys", "the answer would be over %d bytes: ask for fewer keys",
                           (int)ANSWER_MAX);
    }
    if (rc)
        return rc;
    json_out_end(&call->json);
    json_out_end(&call->json);
    return ERR_OK;
}
