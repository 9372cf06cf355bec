#include <stdlib.h>
#include <string.h>

#include "bucket_options.h"
#include "json_scan.h"
#include "key.h"
#include "record.h"

/* The value's members lie one level deep in their line. */
enum { DEPTH_MAX = JSON_MAX_DEPTH - 1 };

const char *const record_types[RECORD_END + 1] = {
    [RECORD_DUMP] = "dump",       [RECORD_BUCKET] = "bucket", [RECORD_HISTORY] = "history", [RECORD_ENTRY] = "entry",
    [RECORD_MESSAGE] = "message", [RECORD_DEDUPE] = "dedupe", [RECORD_LOCK] = "lock",       [RECORD_END] = "end"};

const char *const record_operations[ENTRY_EXPIRE + 1] = {
    [ENTRY_PUT] = "PUT", [ENTRY_DEL] = "DEL", [ENTRY_PURGE] = "PURGE", [ENTRY_EXPIRE] = "EXPIRE"};

const char *const record_states[MESSAGE_DEAD + 1] = {
    [MESSAGE_READY] = "ready", [MESSAGE_LEASED] = "leased", [MESSAGE_DEAD] = "dead"};

static void put_int(struct json_out *out, const char *name, int64_t n)
{
    json_out_name_n(out, name, strlen(name));
    json_out_int(out, n);
}

static void put_str(struct json_out *out, const char *name, const char *s, size_t len)
{
    json_out_name_n(out, name, strlen(name));
    json_out_str(out, s, len);
}

/* How deep arrays and objects are nested in valid JSON. */
static int depth_of(const unsigned char *text, size_t len)
{
    int depth = 0, deepest = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{') && ++depth > deepest)
            deepest = depth;
        else if (!quoted && (c == ']' || c == '}'))
            depth--;
    }
    return deepest;
}

static enum error_code put_value(struct json_out *out, const char *name, struct value *v, struct arena *arena)
{
    char text[32];
    size_t n = strlen(name);
    enum error_code rc = value_expand(v, arena);

    if (rc)
        return rc;
    if (v->encoding != VALUE_JSON || depth_of(v->data, v->len) <= DEPTH_MAX) {
        value_to_json(out, name, v);
        return ERR_OK;
    }
    memcpy(text, name, n);
    memcpy(text + n, "Text", sizeof "Text");
    put_str(out, text, (const char *)v->data, v->len);
    return ERR_OK;
}

static void write_bucket(struct json_out *out, const struct bucket *b)
{
    json_out_name(out, "name");
    json_out_cstr(out, b->name);
    put_int(out, "revision", b->revision);
    put_int(out, "compacted", b->compacted);
    put_int(out, "created", b->created);
    if (!b->id) {
        json_out_name(out, "destroyed");
        json_out_bool(out, true);
    }
    json_out_name(out, "options");
    json_out_object(out);
    bucket_options_to_json(out, &b->options);
    json_out_end(out);
}

static enum error_code write_entry(struct json_out *out, struct record *r, struct arena *arena)
{
    struct entry *e = &r->entry;

    json_out_name(out, "bucket");
    json_out_cstr(out, r->bucket_name);
    json_out_name(out, "key");
    if (!key_to_json(out, e->key.data, e->key.len) || e->op > ENTRY_EXPIRE)
        return ERR_CORRUPT;
    put_int(out, "revision", e->revision);
    put_int(out, "created", e->created);
    if (e->op != ENTRY_PUT) {
        json_out_name(out, "operation");
        json_out_cstr(out, record_operations[e->op]);
        return ERR_OK;
    }
    put_int(out, "version", e->version);
    if (e->expires)
        put_int(out, "expiresAt", e->expires);
    return put_value(out, "value", &e->value, arena);
}

/* As it is stored: numbers between commas. */
static void put_backoff(struct json_out *out, const struct message *m)
{
    if (!m->backoff)
        return;
    json_out_name(out, "backoff");
    json_out_array(out);
    const char *p = m->backoff;
    char *end;
    do {
        json_out_int(out, strtoll(p, &end, 10));
        p = end + 1;
    } while (*end == ',');
    json_out_end(out);
}

static enum error_code write_message(struct json_out *out, struct record *r, struct arena *arena)
{
    struct message *m = &r->message;

    if (m->state > MESSAGE_DEAD)
        return ERR_CORRUPT;
    put_int(out, "id", m->id);
    put_str(out, "topic", m->topic, m->topic_len);
    json_out_name(out, "state");
    json_out_cstr(out, record_states[m->state]);
    put_int(out, "priority", m->priority);
    put_int(out, "enqueuedAt", m->enqueued);
    put_int(out, "deliverAt", m->deliver);
    put_int(out, "attempts", m->attempts);
    put_int(out, "maxAttempts", m->max_attempts);
    if (m->lease) {
        char lease[MESSAGE_LEASE_MAX];
        message_lease_text(lease, m->lease);
        json_out_name(out, "lease");
        json_out_cstr(out, lease);
    }
    if (m->lease_until)
        put_int(out, "leaseUntil", m->lease_until);
    if (m->failed)
        put_int(out, "failedAt", m->failed);
    put_backoff(out, m);
    if (m->dedupe)
        put_str(out, "dedupeId", m->dedupe, m->dedupe_len);
    return put_value(out, "payload", &m->payload, arena);
}

static void write_dedupe(struct json_out *out, const struct record *r)
{
    put_str(out, "topic", r->message.topic, r->message.topic_len);
    put_str(out, "dedupeId", r->message.dedupe, r->message.dedupe_len);
    put_int(out, "message", r->message.id);
    put_int(out, "until", r->until);
}

static void write_lock(struct json_out *out, const struct record_lock *lock)
{
    put_str(out, "name", lock->name, lock->name_len);
    put_str(out, "token", lock->token, lock->token_len);
    if (lock->owner)
        put_str(out, "owner", lock->owner, lock->owner_len);
    put_int(out, "fence", lock->fence);
    put_int(out, "expiresAt", lock->expires);
}

static void write_dump(struct json_out *out, const struct record *r)
{
    put_int(out, "format", RECORD_FORMAT);
    put_int(out, "lastMessage", r->last_message);
    put_int(out, "lastFence", r->last_fence);
}

enum error_code record_write(struct buf *line, struct record *r, struct arena *arena)
{
    struct json_out out;
    enum error_code rc = ERR_OK;

    json_out_init(&out, line);
    json_out_object(&out);
    json_out_name(&out, "type");
    json_out_cstr(&out, record_types[r->type]);
    if (r->type == RECORD_DUMP)
        write_dump(&out, r);
    else if (r->type == RECORD_BUCKET)
        write_bucket(&out, &r->bucket);
    else if (r->type == RECORD_HISTORY || r->type == RECORD_ENTRY)
        rc = write_entry(&out, r, arena);
    else if (r->type == RECORD_MESSAGE)
        rc = write_message(&out, r, arena);
    else if (r->type == RECORD_DEDUPE)
        write_dedupe(&out, r);
    else if (r->type == RECORD_LOCK)
        write_lock(&out, &r->lock);
    else
        put_int(&out, "lines", r->lines);
    if (rc)
        return rc;
    json_out_end(&out);
    buf_byte(line, '\n');
    return buf_ok(line) ? ERR_OK : ERR_NO_MEMORY;
}
