#include "access.h"
#include "enqueue.h"
#include "ops.h"

enum { MANY_MAX = 1000, DEFAULT_LEASE = 30000 };

static const int64_t delay_max = INT64_C(1) << 53;

struct settle {
    int64_t id;
    int64_t lease; /* 0: none was given */
    int64_t ms;    /* nack: delay, -1 where it was not given; extend: leaseMs */
};

struct settle_args {
    struct settle *items;
    size_t count;
};

/* id and lease. */
static enum error_code parse_delivery(const struct fields *f, struct settle *s)
{
    enum error_code rc = fields_int_required(f, "id", 1, INT64_MAX, &s->id);
    return rc ? rc : enqueue_parse_lease(f, &s->lease);
}

static enum error_code parse_one(struct call *call, struct fields *f, const char *const *names, struct settle **s)
{
    *s = call_args(call, sizeof **s);
    if (!*s)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, f, names);
    return rc ? rc : parse_delivery(f, *s);
}

enum error_code queue_ack_parse(struct call *call)
{
    static const char *const names[] = {"id", "lease", NULL};
    struct settle *s;
    struct fields f;
    return parse_one(call, &f, names, &s);
}

enum error_code queue_nack_parse(struct call *call)
{
    static const char *const names[] = {"id", "lease", "delay", NULL};
    struct settle *s;
    struct fields f;
    enum error_code rc = parse_one(call, &f, names, &s);
    if (rc)
        return rc;
    s->ms = -1;
    return fields_int(&f, "delay", 0, delay_max, &s->ms);
}

enum error_code queue_extend_parse(struct call *call)
{
    static const char *const names[] = {"id", "lease", "leaseMs", NULL};
    struct settle *s;
    struct fields f;
    enum error_code rc = parse_one(call, &f, names, &s);
    if (rc)
        return rc;
    s->ms = DEFAULT_LEASE;
    return fields_int(&f, "leaseMs", 1, delay_max, &s->ms);
}

enum error_code queue_ack_many_parse(struct call *call)
{
    static const char *const names[] = {"acks", NULL}, *const item_names[] = {"id", "lease", NULL};
    struct settle_args *a = call_args(call, sizeof *a);
    struct fields f, item;
    size_t node;
    char path[32];

    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_array_required(&f, "acks", MANY_MAX, &node, &a->count);
    if (rc)
        return rc;
    a->items = arena_zalloc(&call->arena, a->count + 1, sizeof *a->items);
    if (!a->items)
        return ERR_NO_MEMORY;
    for (size_t n = 0, i = node + 1; !rc && n < a->count; n++, i = call->doc.nodes[i].next) {
        fields_item_path(path, sizeof path, "acks", n);
        rc = fields_open(&item, &call->doc, i, path, item_names, &call->arena, &call->err);
        if (!rc)
            rc = parse_delivery(&item, &a->items[n]);
    }
    return rc;
}

/* The message (id 0 where there is none), where the token covers its topic. */
static enum error_code find_covered(struct call *call, struct txn *t, const struct settle *s, struct message *m)
{
    enum error_code rc = message_find(t, s->id, m);
    return rc || !m->id ? rc : access_message(call, "id", m->id, m->topic, m->topic_len);
}

static enum error_code ack(struct call *call, struct txn *t, const struct settle *s, bool *ok)
{
    struct message m;
    enum error_code rc = find_covered(call, t, s, &m);

    *ok = !rc && message_lease_holds(&m, s->lease);
    return rc || !*ok ? rc : message_remove(t, &m, call->kvs->config->dedupe_window);
}

static void answer_ok(struct call *call, bool ok)
{
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, ok);
}

enum error_code queue_ack(struct call *call, struct txn *t)
{
    bool ok;
    enum error_code rc = ack(call, t, call->args, &ok);

    answer_ok(call, ok);
    json_out_end(&call->json);
    return rc;
}

enum error_code queue_ack_many(struct call *call, struct txn *t)
{
    const struct settle_args *a = call->args;
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_array(&call->json);
    for (size_t i = 0; !rc && i < a->count; i++) {
        bool ok;
        rc = ack(call, t, &a->items[i], &ok);
        json_out_bool(&call->json, ok);
    }
    json_out_end(&call->json);
    json_out_end(&call->json);
    return rc;
}

/* The message, where this delivery is still under way. */
static enum error_code find_leased(struct call *call, struct txn *t, const struct settle *s, struct message *m,
                                   bool *ok)
{
    enum error_code rc = find_covered(call, t, s, m);
    *ok = !rc && message_lease_holds(m, s->lease) && m->state == MESSAGE_LEASED;
    return rc;
}

enum error_code queue_nack(struct call *call, struct txn *t)
{
    const struct settle *s = call->args;
    struct message m;
    bool ok;
    enum error_code rc = find_leased(call, t, s, &m, &ok);

    if (ok) {
        m.lease = 0; /* given back: not even a late ack may use it */
        rc = message_fail(t, &m, t->now, s->ms);
    }
    answer_ok(call, ok);
    json_out_end(&call->json);
    return rc;
}

enum error_code queue_extend(struct call *call, struct txn *t)
{
    const struct settle *s = call->args;
    struct message m;
    bool ok;
    enum error_code rc = find_leased(call, t, s, &m, &ok);

    if (ok)
        rc = message_extend(t, &m, t->now + s->ms);
    answer_ok(call, ok);
    if (ok) {
        json_out_name(&call->json, "leaseUntil");
        json_out_int(&call->json, m.lease_until);
    }
    json_out_end(&call->json);
    return rc;
}
