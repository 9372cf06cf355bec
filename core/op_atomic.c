/*
 * Everything or nothing, at one revision: checks, mutations, enqueues and acks.
 */
#include <string.h>

#include "access.h"
#include "enqueue.h"
#include "mutation.h"
#include "ops.h"

enum { ITEMS_MAX = 1000, FIELD_MAX = 32 };

struct ack {
    int64_t id;
    int64_t lease;
};

struct atomic_args {
    struct check *checks;
    struct mutation *mutations;
    struct message *enqueues;
    struct ack *acks;
    size_t check_count, mutation_count, enqueue_count, ack_count;
};

/* Reads item i of an array into item. */
typedef enum error_code item_parser(struct call *call, size_t node, const char *path, void *item);

static enum error_code parse_items(struct call *call, const struct fields *f, const char *name, size_t size,
                                   item_parser *parse, void **items, size_t *count)
{
    char path[FIELD_MAX];
    size_t node;
    enum error_code rc = fields_array(f, name, ITEMS_MAX, &node, count);
    if (rc || *count == 0)
        return rc;
    *items = arena_zalloc(&call->arena, *count, size);
    if (!*items)
        return ERR_NO_MEMORY;
    size_t i = node + 1;
    for (size_t n = 0; !rc && n < *count; n++) {
        fields_item_path(path, sizeof path, name, n);
        rc = parse(call, i, path, (char *)*items + n * size);
        i = call->doc.nodes[i].next;
    }
    return rc;
}

static enum error_code parse_check(struct call *call, size_t node, const char *path, void *item)
{
    static const char *const names[] = {"key", "version", "revision", NULL};
    struct check *c = item;
    struct fields f;
    enum error_code rc = fields_open(&f, &call->doc, node, path, names, &call->arena, &call->err);
    if (!rc)
        rc = fields_key(&f, "key", &c->key);
    return rc ? rc : check_parse(&f, c);
}

static enum error_code parse_type(const struct fields *f, enum mutation_type *type)
{
    static const char *const types[] = {
        [MUTATION_SET] = "set",     [MUTATION_DELETE] = "delete", [MUTATION_INCREMENT] = "increment",
        [MUTATION_TOUCH] = "touch", [MUTATION_PURGE] = "purge",
    };
    size_t node = fields_find(f, "type");

    if (!node)
        return fields_missing(f, "type", "set, delete, increment, touch or purge");
    for (size_t i = 0; f->doc->nodes[node].type == JSON_STRING && i < sizeof types / sizeof types[0]; i++) {
        if (json_is(f->doc, node, types[i])) {
            *type = (enum mutation_type)i;
            return ERR_OK;
        }
    }
    return fields_bad(f, "type", "set, delete, increment, touch or purge");
}

/* The members that a mutation of each type may have. */
static enum error_code reopen(struct call *call, size_t node, const char *path, enum mutation_type type,
                              struct fields *f)
{
    static const char *const set[] = {"type", "key", "value", "valueBase64", "ttl", NULL};
    static const char *const increment[] = {"type", "key", "delta", "ttl", NULL};
    static const char *const touch[] = {"type", "key", "ttl", NULL};
    static const char *const other[] = {"type", "key", NULL};
    const char *const *names = type == MUTATION_SET         ? set
                               : type == MUTATION_INCREMENT ? increment
                               : type == MUTATION_TOUCH     ? touch
                                                            : other;
    return fields_open(f, &call->doc, node, path, names, &call->arena, &call->err);
}

static enum error_code parse_mutation(struct call *call, size_t node, const char *path, void *item)
{
    static const char *const all[] = {"type", "key", "value", "valueBase64", "ttl", "delta", NULL};
    struct mutation *m = item;
    struct fields f;
    enum error_code rc = fields_open(&f, &call->doc, node, path, all, &call->arena, &call->err);
    if (!rc)
        rc = parse_type(&f, &m->type);
    if (!rc)
        rc = reopen(call, node, path, m->type, &f);
    if (!rc)
        rc = fields_key(&f, "key", &m->key);
    if (!rc && m->type == MUTATION_SET)
        rc = fields_value(&f, "value", (size_t)call->kvs->config->max_value, &m->value);
    if (!rc && m->type == MUTATION_INCREMENT)
        rc = mutation_delta(&f, &m->delta);
    if (!rc)
        rc = mutation_ttl(&f, m);
    if (!rc && m->type == MUTATION_TOUCH && !m->has_ttl)
        rc = fields_missing(&f, "ttl", "an integer of milliseconds, 0 for never");
    return rc;
}

static enum error_code parse_enqueue(struct call *call, size_t node, const char *path, void *item)
{
    static const char *const names[] = {"payload", "payloadBase64", "options", NULL};
    struct message *m = item;
    struct fields f, options;
    char inner[FIELD_MAX + 8];
    enum error_code rc = fields_open(&f, &call->doc, node, path, names, &call->arena, &call->err);
    if (!rc)
        rc = enqueue_parse_payload(call, &f, m);
    if (rc)
        return rc;
    size_t at = fields_find(&f, "options");
    if (!at)
        return enqueue_defaults(m);
    size_t n = strlen(path);
    memcpy(inner, path, n);
    memcpy(inner + n, ".options", sizeof ".options");
    rc = fields_open(&options, &call->doc, at, inner, enqueue_option_names, &call->arena, &call->err);
    return rc ? rc : enqueue_parse_options(&options, m);
}

static enum error_code parse_ack(struct call *call, size_t node, const char *path, void *item)
{
    static const char *const names[] = {"id", "lease", NULL};
    struct ack *a = item;
    struct fields f;
    enum error_code rc = fields_open(&f, &call->doc, node, path, names, &call->arena, &call->err);
    if (!rc)
        rc = fields_int_required(&f, "id", 1, INT64_MAX, &a->id);
    if (!rc && !fields_find(&f, "lease"))
        rc = fields_missing(&f, "lease", "the lease that came with the message");
    return rc ? rc : enqueue_parse_lease(&f, &a->lease);
}

enum error_code kv_atomic_parse(struct call *call)
{
    static const char *const names[] = {"checks", "mutations", "enqueues", "acks", "bucket", NULL};
    struct atomic_args *a = call_args(call, sizeof *a);
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = parse_items(call, &f, "checks", sizeof *a->checks, parse_check, (void **)&a->checks, &a->check_count);
    if (!rc)
        rc = parse_items(call, &f, "mutations", sizeof *a->mutations, parse_mutation, (void **)&a->mutations,
                         &a->mutation_count);
    if (!rc)
        rc = parse_items(call, &f, "enqueues", sizeof *a->enqueues, parse_enqueue, (void **)&a->enqueues,
                         &a->enqueue_count);
    if (!rc)
        rc = parse_items(call, &f, "acks", sizeof *a->acks, parse_ack, (void **)&a->acks, &a->ack_count);
    if (!rc && a->check_count + a->mutation_count + a->enqueue_count + a->ack_count > ITEMS_MAX)
        rc = error_set(&call->err, ERR_TOO_LARGE, NULL, "an atomic operation has at most %d items in all",
                       (int)ITEMS_MAX);
    return rc;
}

/* Acks are asked for when their messages are found. */
enum error_code kv_atomic_allow(struct call *call)
{
    const struct atomic_args *a = call->args;
    char field[FIELD_MAX];
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < a->check_count; i++) {
        fields_item_path(field, sizeof field, "checks", i);
        rc = access_key(call, field, &a->checks[i].key);
    }
    for (size_t i = 0; !rc && i < a->mutation_count; i++) {
        fields_item_path(field, sizeof field, "mutations", i);
        rc = access_key(call, field, &a->mutations[i].key);
    }
    for (size_t i = 0; !rc && i < a->enqueue_count; i++) {
        fields_item_path(field, sizeof field, "enqueues", i);
        rc = access_topic(call, field, a->enqueues[i].topic, a->enqueues[i].topic_len);
    }
    return rc;
}

/* The queue is in the durable file: no transaction spans both. */
static enum error_code judge_storage(struct call *call, const struct bucket *b, const struct atomic_args *a)
{
    if (b->options.storage == BUCKET_FILE || (!a->enqueue_count && !a->ack_count))
        return ERR_OK;
    return error_set(&call->err, ERR_BAD_REQUEST, a->enqueue_count ? "enqueues" : "acks",
                     "bucket %s has storage \"memory\": an atomic operation on it cannot include the queue, which is "
                     "durable",
                     b->name);
}

static enum error_code judge_limits(struct call *call, const struct bucket *b, const struct atomic_args *a)
{
    char field[FIELD_MAX + 8];
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < a->mutation_count; i++) {
        fields_item_path(field, sizeof field - 6, "mutations", i);
        memcpy(field + strlen(field), ".value", sizeof ".value");
        rc = mutation_fits(b, &a->mutations[i], field, &call->err);
    }
    return rc;
}

/* Answers {"ok":false,"failed":[…]} where some check does not hold. */
static enum error_code judge_checks(struct call *call, struct txn *t, const struct bucket *b,
                                    const struct atomic_args *a, bool *failed)
{
    int64_t revision, version;
    enum error_code rc = ERR_OK;

    *failed = false;
    for (size_t i = 0; !rc && i < a->check_count; i++) {
        bool holds;
        rc = check_holds(t, b, &a->checks[i], &holds, &revision, &version);
        if (rc || holds)
            continue;
        if (!*failed) {
            json_out_object(&call->json);
            json_out_name(&call->json, "ok");
            json_out_bool(&call->json, false);
            json_out_name(&call->json, "failed");
            json_out_array(&call->json);
        }
        *failed = true;
        json_out_int(&call->json, (int64_t)i);
    }
    if (*failed) {
        json_out_end(&call->json);
        json_out_end(&call->json);
    }
    return rc;
}

static enum error_code apply_acks(struct call *call, struct txn *t, const struct atomic_args *a)
{
    char field[FIELD_MAX];
    struct message m;
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < a->ack_count; i++) {
        rc = message_find(t, a->acks[i].id, &m);
        if (rc)
            break;
        fields_item_path(field, sizeof field, "acks", i);
        rc = m.id ? access_message(call, field, m.id, m.topic, m.topic_len) : ERR_OK;
        if (rc)
            break;
        if (!message_lease_holds(&m, a->acks[i].lease))
            return error_set(&call->err, ERR_CONFLICT, field,
                             "the message is gone, or its lease is not the current one");
        rc = message_remove(t, &m, call->kvs->config->dedupe_window);
    }
    return rc;
}

static void answer_result(struct call *call, const struct mutation *m, const struct mutation_result *r)
{
    json_out_object(&call->json);
    if (m->type == MUTATION_INCREMENT)
        value_to_json(&call->json, "value", &r->number);
    if (m->type != MUTATION_DELETE && m->type != MUTATION_PURGE) {
        json_out_name(&call->json, "version");
        r->version ? json_out_int(&call->json, r->version) : json_out_null(&call->json);
    }
    json_out_end(&call->json);
}

static enum error_code apply_mutations(struct call *call, struct txn *t, struct bucket *b, const struct atomic_args *a,
                                       int64_t *version)
{
    char field[FIELD_MAX];
    struct mutation_result r;
    int64_t expiry_revision = 0;
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < a->mutation_count; i++)
        rc = mutation_expire(t, b, &a->mutations[i], &expiry_revision);
    struct entry_room room = entry_room_of(b);
    json_out_name(&call->json, "results");
    json_out_array(&call->json);
    for (size_t i = 0; !rc && i < a->mutation_count; i++) {
        fields_item_path(field, sizeof field, "mutations", i);
        rc = mutation_apply(t, b, &a->mutations[i], field, &r, &room, &call->err);
        if (rc)
            return rc;
        if (r.changed && r.version > *version)
            *version = r.version;
        answer_result(call, &a->mutations[i], &r);
    }
    json_out_end(&call->json);
    return rc ? rc : mutation_check_room(t, b, room, "mutations", &call->err);
}

static enum error_code apply_enqueues(struct call *call, struct txn *t, const struct atomic_args *a)
{
    enum error_code rc = ERR_OK;

    json_out_name(&call->json, "ids");
    json_out_array(&call->json);
    for (size_t i = 0; !rc && i < a->enqueue_count; i++) {
        struct message m = a->enqueues[i];
        bool duplicate;
        m.deliver += t->now;
        rc = message_enqueue(t, &m, &duplicate);
        json_out_int(&call->json, m.id);
    }
    json_out_end(&call->json);
    return rc;
}

enum error_code kv_atomic(struct call *call, struct txn *t)
{
    const struct atomic_args *a = call->args;
    int64_t version = 0;
    bool failed = false;
    struct bucket *b;
    enum error_code rc = txn_bucket(t, call->bucket, &b, &call->err);

    if (!rc)
        rc = judge_storage(call, b, a);
    if (!rc)
        rc = judge_limits(call, b, a);
    if (!rc)
        rc = judge_checks(call, t, b, a, &failed);
    if (rc || failed)
        return rc;
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
    rc = apply_mutations(call, t, b, a, &version);
    if (!rc)
        rc = apply_enqueues(call, t, a);
    if (!rc)
        rc = apply_acks(call, t, a);
    if (rc)
        return rc;
    json_out_name(&call->json, "version");
    json_out_int(&call->json, version);
    json_out_name(&call->json, "revision");
    json_out_int(&call->json, b->revision);
    json_out_end(&call->json);
    return ERR_OK;
}
