#include <string.h>

#include "access.h"
#include "bucket_options.h"
#include "entry.h"
#include "ops.h"
#include "storage.h"

enum { TRIM_STEP = 250 };

static const int64_t older_default = 30 * 60 * 1000;

struct bucket_args {
    const char *name;
    struct bucket_options options;
    unsigned named;
    int64_t older_than; /* purge-deletes */
    /* update: keys whose history was cut already; committed with the round before. */
    struct key place, next_place;
    int64_t round;
};

static enum error_code parse_name(struct call *call, struct fields *f, const char *const *names,
                                  struct bucket_args **args)
{
    struct bucket_args *a = call_args(call, sizeof *a);
    if (!a)
        return ERR_NO_MEMORY;
    *args = a;
    enum error_code rc = call_fields(call, f, names);
    if (!rc && !fields_find(f, "name"))
        rc = fields_missing(f, "name", "a bucket's name: 1 to 64 of A-Z a-z 0-9 _ -");
    if (!rc)
        rc = fields_bucket(f, "name", &a->name);
    a->options = bucket_defaults;
    return rc;
}

enum error_code bucket_named_parse(struct call *call)
{
    static const char *const names[] = {"name", NULL};
    struct bucket_args *a;
    struct fields f;
    enum error_code rc = parse_name(call, &f, names, &a);
    if (!rc)
        call->bucket = a->name;
    return rc;
}

enum error_code bucket_options_body_parse(struct call *call)
{
    static const char *const names[] = {"name", "options", NULL};
    struct bucket_args *a;
    struct fields f;
    enum error_code rc = parse_name(call, &f, names, &a);
    return rc ? rc : bucket_options_parse(&f, &a->options, &a->named);
}

enum error_code bucket_purge_deletes_parse(struct call *call)
{
    static const char *const names[] = {"name", "olderThan", NULL};
    struct bucket_args *a;
    struct fields f;
    enum error_code rc = parse_name(call, &f, names, &a);
    if (rc)
        return rc;
    call->bucket = a->name;
    a->older_than = older_default;
    return fields_int(&f, "olderThan", 0, INT64_MAX, &a->older_than);
}

static void answer_ok(struct call *call)
{
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
}

static void answer_status(struct call *call, const struct bucket *b)
{
    json_out_name(&call->json, "bucket");
    bucket_status(&call->json, b, call->kvs->config->max_value);
    json_out_end(&call->json);
}

static enum error_code judge_existing(struct call *call, const struct bucket *b, const struct bucket_args *a)
{
    const char *name = bucket_options_differ(&b->options, &a->options, a->named);

    if (!name)
        return ERR_OK;
    return error_set(&call->err, ERR_CONFLICT, NULL, "bucket %s exists with another %s: /bucket/update changes it",
                     b->name, name);
}

enum error_code bucket_create(struct call *call, struct txn *t)
{
    const struct bucket_args *a = call->args;
    struct bucket b;
    enum error_code rc = bucket_find(t->db, a->name, true, &b, &t->arena, NULL);
    bool known = rc == ERR_OK, created = !known || !b.id;

    if (rc && rc != ERR_NO_BUCKET)
        return rc;
    rc = created ? bucket_options_judge(&a->options, &call->err) : judge_existing(call, &b, a);
    if (rc)
        return rc;
    if (created) {
        int64_t revision = known ? b.revision : 0;
        b = (struct bucket){.name = a->name,
                            .id = txn_next_bucket(t),
                            .revision = revision,
                            .compacted = revision,
                            .created = t->now,
                            .options = a->options};
        rc = bucket_put(t->db, &b);
    }
    if (rc)
        return rc;
    answer_ok(call);
    json_out_name(&call->json, "created");
    json_out_bool(&call->json, created);
    answer_status(call, &b);
    return ERR_OK;
}

/*
 * After the history option was lowered: cuts the history of some keys; again where there are more.  Until the last round the
 * bucket is remembered, for maintenance to go on where nobody else does.
 */
static enum error_code trim_history(struct call *call, struct txn *t, struct bucket *b)
{
    struct bucket_args *a = call->args;
    size_t count = 0;

    if (a->round != call->rounds) {
        a->place = a->next_place;
        a->round = call->rounds;
    }
    struct key place = a->place;
    enum error_code rc = entry_trim_keys(t, b, TRIM_STEP, &place, &count, &call->arena);
    call->again = count == TRIM_STEP;
    if (count)
        a->next_place = place;
    if (rc)
        return rc;
    return db_run(t->db, call->again ? SQL_LOWERED_ADD : SQL_LOWERED_DROP, DB_INT(b->id));
}

/* A memory bucket has its options in both stores, once it has been used. */
static enum error_code go_on_in_memory(struct call *call, const char *name)
{
    struct store *memory;
    struct bucket there;
    enum error_code rc = storage_look(call->kvs, name, &memory, &there, &call->arena);

    if (!rc && memory) {
        call->again = true;
        call->next_store = memory;
    }
    return rc;
}

enum error_code bucket_update(struct call *call, struct txn *t)
{
    const struct bucket_args *a = call->args;
    struct bucket *b;
    enum error_code rc = txn_bucket(t, a->name, &b, &call->err);
    if (rc)
        return rc;
    if ((a->named & NAMED_STORAGE) && a->options.storage != b->options.storage)
        return error_set(&call->err, ERR_BAD_REQUEST, "options.storage", "options.storage cannot be changed");
    bool fewer = (a->named & NAMED_HISTORY) && (a->options.history < b->options.history || call->rounds);
    struct bucket_options options = b->options;
    bucket_options_take(&options, &a->options, a->named);
    rc = bucket_options_judge(&options, &call->err);
    if (rc)
        return rc;
    b->options = options;
    b->rule = NULL;
    rc = bucket_put(t->db, b);
    if (!rc && fewer)
        rc = trim_history(call, t, b);
    if (!rc && !call->again && b->options.storage == BUCKET_MEMORY && call->store == call->kvs->file)
        rc = go_on_in_memory(call, a->name);
    if (rc)
        return rc;
    answer_ok(call);
    answer_status(call, b);
    return ERR_OK;
}

/* Live keys: what has expired does not count, although its row may still be there. */
static enum error_code count_live(struct db *db, struct bucket *b, int64_t now)
{
    struct db_query *q = db_start(db, SQL_ENTRY_EXPIRED_SUM, DB_INT(b->id), DB_INT(now));
    if (db_step(q))
        b->keys -= db_int(q, 0);
    return db_end(q);
}

enum error_code bucket_status_read(struct call *call, struct view *view)
{
    enum error_code rc = count_live(view->db, &view->bucket, view->now);
    if (rc)
        return rc;
    json_out_object(&call->json);
    answer_status(call, &view->bucket);
    return ERR_OK;
}

/* A memory bucket's counters are in its own store; where it is not there, nothing is held. */
static enum error_code fill_memory(struct call *call, struct bucket *b)
{
    struct store *memory;
    struct bucket there;
    enum error_code rc = storage_look(call->kvs, b->name, &memory, &there, &call->arena);

    if (rc || !memory || there.created != b->created)
        return rc;
    b->revision = there.revision;
    b->compacted = there.compacted;
    b->keys = there.keys;
    b->held = there.held;
    b->bytes = there.bytes;
    return ERR_OK;
}

enum error_code bucket_held(struct call *call, struct view *view, struct bucket *b)
{
    return b->options.storage == BUCKET_MEMORY ? fill_memory(call, b) : count_live(view->db, b, view->now);
}

enum error_code bucket_list(struct call *call, struct view *view)
{
    struct db_query *q = db_start(view->db, SQL_BUCKET_LIST, DB_TEXT("", 0));
    struct bucket b;
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "buckets");
    json_out_array(&call->json);
    while (!rc && db_step(q)) {
        rc = bucket_read(q, &b, &call->arena);
        if (!rc && access_is_limited(call) && !grant_bucket(call->grant, b.name, strlen(b.name)))
            continue;
        if (!rc)
            rc = bucket_held(call, view, &b);
        if (!rc)
            bucket_status(&call->json, &b, call->kvs->config->max_value);
    }
    json_out_end(&call->json);
    json_out_end(&call->json);
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code bucket_destroy_parse(struct call *call)
{
    enum error_code rc = bucket_named_parse(call);

    if (!rc && strcmp(call->bucket, BUCKET_DEFAULT) == 0)
        rc = error_set(&call->err, ERR_BAD_REQUEST, "name",
                       "the bucket default always exists; /bucket/purge empties it");
    call->bucket = BUCKET_DEFAULT; /* the definition is in the durable file, wherever the data is */
    return rc;
}

/* The row stays, so that revisions go on where the name is used again; its entries wait for maintenance. */
enum error_code bucket_destroy(struct call *call, struct txn *t)
{
    const struct bucket_args *a = call->args;
    struct bucket *b;
    enum error_code rc = txn_bucket(t, a->name, &b, &call->err);
    if (rc)
        return rc;
    call->forget = b->options.storage == BUCKET_MEMORY ? a->name : NULL;
    rc = bucket_drop(t, b);
    answer_ok(call);
    json_out_end(&call->json);
    return rc;
}

enum error_code bucket_purge(struct call *call, struct txn *t)
{
    struct bucket *b;
    enum error_code rc = txn_bucket(t, call->bucket, &b, &call->err);
    if (rc)
        return rc;
    int64_t keys = b->keys;
    rc = bucket_empty(t, b);
    answer_ok(call);
    json_out_name(&call->json, "purged");
    json_out_int(&call->json, keys);
    json_out_name(&call->json, "revision");
    json_out_int(&call->json, b->revision);
    json_out_end(&call->json);
    return rc;
}

enum error_code bucket_purge_deletes(struct call *call, struct txn *t)
{
    const struct bucket_args *a = call->args;
    struct bucket *b;
    enum error_code rc = txn_bucket(t, call->bucket, &b, &call->err);
    if (rc)
        return rc;
    rc = entry_drop_markers(t, b, t->now - a->older_than, TRIM_STEP, &call->step);
    call->again = call->step == TRIM_STEP;
    answer_ok(call);
    json_out_name(&call->json, "purged");
    json_out_int(&call->json, call->total + call->step);
    json_out_end(&call->json);
    return rc;
}
