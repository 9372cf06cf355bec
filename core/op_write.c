#include "access.h"
#include "mutation.h"
#include "ops.h"

struct write_args {
    struct mutation mutation;
    struct check check; /* used where by_version or by_revision is set */
};

/* The members that all writes of one key share: bucket and key. */
static enum error_code parse_start(struct call *call, struct fields *f, const char *const *names,
                                   enum mutation_type type, struct write_args **args)
{
    struct write_args *a = call_args(call, sizeof *a);
    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, f, names);
    if (!rc)
        rc = fields_bucket(f, "bucket", &call->bucket);
    if (!rc)
        rc = fields_key(f, "key", &a->mutation.key);
    a->mutation.type = type;
    a->check.key = a->mutation.key;
    *args = a;
    return rc;
}

static enum error_code parse_value(struct call *call, const struct fields *f, struct mutation *m)
{
    enum error_code rc = fields_value(f, "value", (size_t)call->kvs->config->max_value, &m->value);
    return rc ? rc : mutation_ttl(f, m);
}

enum error_code kv_set_parse(struct call *call)
{
    static const char *const names[] = {"key", "value", "valueBase64", "ttl", "bucket", NULL};
    struct write_args *a;
    struct fields f;
    enum error_code rc = parse_start(call, &f, names, MUTATION_SET, &a);
    return rc ? rc : parse_value(call, &f, &a->mutation);
}

enum error_code kv_write_allow(struct call *call)
{
    const struct write_args *a = call->args;
    return access_key(call, "key", &a->mutation.key);
}

/* A check that may be left out (null is the same). */
static enum error_code parse_optional_check(const struct fields *f, struct check *c)
{
    c->by_version = fields_find(f, "version") != 0;
    c->by_revision = fields_find(f, "revision") != 0;
    enum error_code rc = fields_int(f, "version", 0, INT64_MAX, &c->version);
    return rc ? rc : fields_int(f, "revision", 0, INT64_MAX, &c->revision);
}

enum error_code kv_update_parse(struct call *call)
{
    static const char *const names[] = {"key", "value", "valueBase64", "ttl", "bucket", "revision", "version", NULL};
    struct write_args *a;
    struct fields f;
    enum error_code rc = parse_start(call, &f, names, MUTATION_SET, &a);
    if (!rc)
        rc = parse_value(call, &f, &a->mutation);
    if (!rc)
        rc = parse_optional_check(&f, &a->check);
    if (!rc && !a->check.by_version && !a->check.by_revision)
        rc = fields_missing(&f, "revision", "the current revision, or a version (/kv/create is for missing keys)");
    return rc;
}

enum error_code kv_delete_parse(struct call *call)
{
    static const char *const names[] = {"key", "bucket", "revision", "version", NULL};
    struct write_args *a;
    struct fields f;
    enum error_code rc = parse_start(call, &f, names, MUTATION_DELETE, &a);
    return rc ? rc : parse_optional_check(&f, &a->check);
}

enum error_code kv_increment_parse(struct call *call)
{
    static const char *const names[] = {"key", "delta", "ttl", "bucket", NULL};
    struct write_args *a;
    struct fields f;
    enum error_code rc = parse_start(call, &f, names, MUTATION_INCREMENT, &a);
    if (!rc)
        rc = mutation_delta(&f, &a->mutation.delta);
    return rc ? rc : mutation_ttl(&f, &a->mutation);
}

enum error_code kv_touch_parse(struct call *call)
{
    static const char *const names[] = {"key", "ttl", "bucket", NULL};
    struct write_args *a;
    struct fields f;
    enum error_code rc = parse_start(call, &f, names, MUTATION_TOUCH, &a);
    if (!rc)
        rc = mutation_ttl(&f, &a->mutation);
    if (!rc && !a->mutation.has_ttl)
        rc = fields_missing(&f, "ttl", "an integer of milliseconds, 0 for never");
    return rc;
}

/* A failed check is a conflict that tells what is there now. */
static enum error_code conflict(struct call *call, const struct check *c, int64_t revision, int64_t version)
{
    const char *field = c->missing ? "key" : c->by_revision ? "revision" : "version";
    const char *message = c->missing       ? "the key exists already"
                          : revision == 0  ? "the key does not exist"
                          : c->by_revision ? "the key's revision is another one now"
                                           : "the key's version is another one now";
    return error_conflict(&call->err, field, revision, version, message);
}

/* Bucket, limits, check, expiry, mutation: the same for every write of one key. */
static enum error_code write_key(struct call *call, struct txn *t, const struct check *c, struct bucket **bucket,
                                 struct mutation_result *r)
{
    const struct write_args *a = call->args;
    int64_t expiry_revision = 0, revision, version;
    bool holds = true;
    enum error_code rc = txn_bucket(t, call->bucket, bucket, &call->err);
    if (!rc)
        rc = mutation_fits(*bucket, &a->mutation, "value", &call->err);
    if (!rc && (c->by_version || c->by_revision)) {
        rc = check_holds(t, *bucket, c, &holds, &revision, &version);
        if (!rc && !holds)
            rc = conflict(call, c, revision, version);
    }
    if (!rc)
        rc = mutation_expire(t, *bucket, &a->mutation, &expiry_revision);
    if (rc)
        return rc;
    struct entry_room room = entry_room_of(*bucket);
    rc = mutation_apply(t, *bucket, &a->mutation, "key", r, &room, &call->err);
    return rc ? rc : mutation_check_room(t, *bucket, room, "key", &call->err);
}

static void answer_start(struct call *call)
{
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
}

/* The end of every answer: the bucket's revision, this write's own where it wrote. */
static void answer_end(struct call *call, const struct bucket *b)
{
    json_out_name(&call->json, "revision");
    json_out_int(&call->json, b->revision);
    json_out_end(&call->json);
}

static enum error_code set_with(struct call *call, struct txn *t, const struct check *c)
{
    struct mutation_result r;
    struct bucket *b;
    enum error_code rc = write_key(call, t, c, &b, &r);
    if (rc)
        return rc;
    answer_start(call);
    json_out_name(&call->json, "version");
    json_out_int(&call->json, r.version);
    answer_end(call, b);
    return ERR_OK;
}

enum error_code kv_set(struct call *call, struct txn *t)
{
    static const struct check none = {0};
    return set_with(call, t, &none);
}

enum error_code kv_create(struct call *call, struct txn *t)
{
    const struct write_args *a = call->args;
    struct check absent = {.key = a->mutation.key, .by_version = true, .missing = true};
    return set_with(call, t, &absent);
}

enum error_code kv_update(struct call *call, struct txn *t)
{
    const struct write_args *a = call->args;
    return set_with(call, t, &a->check);
}

enum error_code kv_delete(struct call *call, struct txn *t)
{
    const struct write_args *a = call->args;
    struct mutation_result r;
    struct bucket *b;
    enum error_code rc = write_key(call, t, &a->check, &b, &r);
    if (rc)
        return rc;
    answer_start(call);
    json_out_name(&call->json, "deleted");
    json_out_bool(&call->json, r.changed);
    answer_end(call, b);
    return ERR_OK;
}

enum error_code kv_increment(struct call *call, struct txn *t)
{
    static const struct check none = {0};
    struct mutation_result r;
    struct bucket *b;
    enum error_code rc = write_key(call, t, &none, &b, &r);
    if (rc)
        return rc;
    answer_start(call);
    value_to_json(&call->json, "value", &r.number);
    json_out_name(&call->json, "version");
    json_out_int(&call->json, r.version);
    answer_end(call, b);
    return ERR_OK;
}

enum error_code kv_touch(struct call *call, struct txn *t)
{
    static const struct check none = {0};
    struct mutation_result r;
    struct bucket *b;
    enum error_code rc = write_key(call, t, &none, &b, &r);
    if (rc)
        return rc;
    answer_start(call);
    json_out_name(&call->json, "touched");
    json_out_bool(&call->json, r.changed);
    answer_end(call, b);
    return ERR_OK;
}
