#include "enqueue.h"

#include <stdio.h>
#include <string.h>

#include "json_num.h"

enum { DEFAULT_ATTEMPTS = 3, LEASE_TEXT_MAX = 256 };

/* Far enough in the future for anyone, and never an overflow. */
static const int64_t delay_max = INT64_C(1) << 53;

const char *const enqueue_option_names[] = {"topic", "delay", "maxAttempts", "backoff", "dedupeId", "priority", NULL};

enum error_code enqueue_defaults(struct message *m)
{
    m->topic = QUEUE_DEFAULT_TOPIC;
    m->topic_len = sizeof QUEUE_DEFAULT_TOPIC - 1;
    m->max_attempts = DEFAULT_ATTEMPTS;
    return ERR_OK;
}

enum error_code enqueue_parse_payload(struct call *call, const struct fields *f, struct message *m)
{
    return fields_value(f, "payload", (size_t)call->kvs->config->max_value, &m->payload);
}

enum error_code enqueue_parse_backoff(const struct fields *f, struct message *m)
{
    size_t node, count, len;
    enum error_code rc = fields_array(f, "backoff", MESSAGE_BACKOFF_MAX, &node, &count);
    if (rc || count == 0)
        return rc;
    enum { ITEM = 21 };
    char *text = arena_alloc(f->arena, count * ITEM + 1);
    if (!text)
        return ERR_NO_MEMORY;
    size_t used = 0;
    for (size_t n = 0, i = node + 1; n < count; n++, i = f->doc->nodes[i].next) {
        int64_t ms;
        const char *number = json_text(f->doc, i, &len);
        if (f->doc->nodes[i].type != JSON_NUMBER || json_num_int(number, len, &ms) != JSON_NUM_INT || ms < 0 ||
            ms > delay_max)
            return fields_bad(f, "backoff", "an array of delays in milliseconds");
        used += (size_t)snprintf(text + used, ITEM + 1, "%s%lld", n ? "," : "", (long long)ms);
    }
    m->backoff = text;
    m->backoff_len = used;
    return ERR_OK;
}

enum error_code enqueue_parse_options(const struct fields *f, struct message *m)
{
    enqueue_defaults(m);
    enum error_code rc = fields_topic(f, "topic", &m->topic, &m->topic_len);
    if (!rc)
        rc = fields_int(f, "delay", 0, delay_max, &m->deliver);
    if (!rc)
        rc = fields_int(f, "maxAttempts", 1, INT32_MAX, &m->max_attempts);
    if (!rc)
        rc = fields_int(f, "priority", -MESSAGE_PRIORITY_MAX, MESSAGE_PRIORITY_MAX, &m->priority);
    if (!rc)
        rc = fields_str(f, "dedupeId", 1, MESSAGE_DEDUPE_MAX, &m->dedupe, &m->dedupe_len);
    return rc ? rc : enqueue_parse_backoff(f, m);
}

enum error_code enqueue_parse_lease(const struct fields *f, int64_t *lease)
{
    const char *text = NULL;
    size_t len = 0;
    enum error_code rc = fields_str(f, "lease", 0, LEASE_TEXT_MAX, &text, &len);

    if (rc || !text)
        return rc;
    if (!message_lease_parse(text, len, lease))
        *lease = -1;
    return ERR_OK;
}
