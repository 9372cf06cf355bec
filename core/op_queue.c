#include <string.h>

#include "access.h"
#include "clock.h"
#include "dispatch.h"
#include "enqueue.h"
#include "ops.h"

enum { MANY_MAX = 1000, DEFAULT_LEASE = 30000, WAIT_MAX = 25000, ANSWER_MAX = 16 << 20 };

static const int64_t lease_max = INT64_C(1) << 53;

struct enqueue_args {
    struct message *messages;
    size_t count;
};

struct dequeue_args {
    const char *topic;
    size_t topic_len;
    int64_t limit;
    int64_t lease_ms;
    int64_t wait_ms;
};

static const char *const enqueue_names[] = {"payload", "payloadBase64", "topic",    "delay", "maxAttempts",
                                            "backoff", "dedupeId",      "priority", NULL};

static enum error_code parse_message(struct call *call, size_t node, const char *path, struct message *m)
{
    struct fields f;
    enum error_code rc = fields_open(&f, &call->doc, node, path, enqueue_names, &call->arena, &call->err);
    if (!rc)
        rc = enqueue_parse_payload(call, &f, m);
    return rc ? rc : enqueue_parse_options(&f, m);
}

enum error_code queue_enqueue_parse(struct call *call)
{
    struct enqueue_args *a = call_args(call, sizeof *a);
    if (!a || !(a->messages = arena_zalloc(&call->arena, 1, sizeof *a->messages)))
        return ERR_NO_MEMORY;
    a->count = 1;
    return parse_message(call, 0, "", a->messages);
}

enum error_code queue_enqueue_many_parse(struct call *call)
{
    static const char *const names[] = {"messages", NULL};
    struct enqueue_args *a = call_args(call, sizeof *a);
    struct fields f;
    size_t node;
    char path[32];

    if (!a)
        return ERR_NO_MEMORY;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_array_required(&f, "messages", MANY_MAX, &node, &a->count);
    if (rc)
        return rc;
    a->messages = arena_zalloc(&call->arena, a->count + 1, sizeof *a->messages);
    if (!a->messages)
        return ERR_NO_MEMORY;
    for (size_t n = 0, i = node + 1; !rc && n < a->count; n++, i = call->doc.nodes[i].next) {
        fields_item_path(path, sizeof path, "messages", n);
        rc = parse_message(call, i, path, &a->messages[n]);
    }
    return rc;
}

enum error_code queue_enqueue_allow(struct call *call)
{
    const struct enqueue_args *a = call->args;
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < a->count; i++)
        rc = access_topic(call, "topic", a->messages[i].topic, a->messages[i].topic_len);
    return rc;
}

/* The arguments stay as they are, since a job may be applied again. */
static enum error_code enqueue(struct txn *t, const struct message *args, int64_t *id, bool *duplicate)
{
    struct message m = *args;
    m.deliver += t->now;
    enum error_code rc = message_enqueue(t, &m, duplicate);
    *id = m.id;
    return rc;
}

enum error_code queue_enqueue(struct call *call, struct txn *t)
{
    const struct enqueue_args *a = call->args;
    int64_t id;
    bool duplicate;
    enum error_code rc = enqueue(t, a->messages, &id, &duplicate);
    if (rc)
        return rc;
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
    json_out_name(&call->json, "id");
    json_out_int(&call->json, id);
    if (duplicate) {
        json_out_name(&call->json, "duplicate");
        json_out_bool(&call->json, true);
    }
    json_out_end(&call->json);
    return ERR_OK;
}

enum error_code queue_enqueue_many(struct call *call, struct txn *t)
{
    const struct enqueue_args *a = call->args;
    int64_t id;
    bool duplicate;
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "ids");
    json_out_array(&call->json);
    for (size_t i = 0; !rc && i < a->count; i++) {
        rc = enqueue(t, &a->messages[i], &id, &duplicate);
        if (!rc)
            json_out_int(&call->json, id);
    }
    json_out_end(&call->json);
    json_out_end(&call->json);
    return rc;
}

enum error_code queue_dequeue_parse(struct call *call)
{
    static const char *const names[] = {"topic", "limit", "leaseMs", "waitMs", NULL};
    struct dequeue_args *a = call_args(call, sizeof *a);
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    *a = (struct dequeue_args){QUEUE_DEFAULT_TOPIC, sizeof QUEUE_DEFAULT_TOPIC - 1, 1, DEFAULT_LEASE, 0};
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_topic(&f, "topic", &a->topic, &a->topic_len);
    if (!rc)
        rc = fields_int(&f, "limit", 1, MANY_MAX, &a->limit);
    if (!rc)
        rc = fields_int(&f, "leaseMs", 1, lease_max, &a->lease_ms);
    if (!rc)
        rc = fields_int(&f, "waitMs", 0, WAIT_MAX, &a->wait_ms);
    if (a->wait_ms)
        call->wait_until = clock_mono() + a->wait_ms;
    call->wait = (struct wait){.kind = WAIT_TOPIC, .name = a->topic, .len = a->topic_len};
    return rc;
}

enum error_code queue_dequeue_allow(struct call *call)
{
    const struct dequeue_args *a = call->args;
    return access_topic(call, "topic", a->topic, a->topic_len);
}

static enum error_code answer_message(void *context, const struct message *m)
{
    struct call *call = context;
    call->empty = false;
    message_to_json(&call->json, m);
    return buf_ok(&call->out) ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code queue_dequeue(struct call *call, struct txn *t)
{
    const struct dequeue_args *a = call->args;
    struct message_claim claim = {
        .limit = a->limit, .max_bytes = ANSWER_MAX, .lease_ms = a->lease_ms, .visit = answer_message, .context = call};

    json_out_object(&call->json);
    json_out_name(&call->json, "messages");
    json_out_array(&call->json);
    call->empty = true;
    enum error_code rc = message_claim(t, a->topic, a->topic_len, &claim);
    json_out_end(&call->json);
    json_out_end(&call->json);
    return rc;
}
