#include <stdio.h>
#include <string.h>

#include "bucket_options.h"
#include "enqueue.h"
#include "fields.h"
#include "json_num.h"
#include "json_scan.h"
#include "record.h"
#include "tool.h"
#include "utf8.h"

enum { NAME_MAX_BYTES = 256 };

static const char *const opaque[] = {"value", "payload", NULL};

/* The names that a line may have, by type. */
static const char *const dump_names[] = {"type", "format", "lastMessage", "lastFence", NULL};
static const char *const bucket_names[] = {"type",    "name",      "revision", "compacted",
                                           "created", "destroyed", "options",  NULL};
static const char *const entry_names[] = {"type",    "bucket",    "key",   "revision",    "created",   "operation",
                                          "version", "expiresAt", "value", "valueBase64", "valueText", NULL};
static const char *const message_names[] = {"type",          "id",          "topic",    "state",    "priority",
                                            "enqueuedAt",    "deliverAt",   "attempts", "dedupeId", "maxAttempts",
                                            "lease",         "leaseUntil",  "failedAt", "backoff",  "payload",
                                            "payloadBase64", "payloadText", NULL};
static const char *const dedupe_names[] = {"type", "topic", "dedupeId", "message", "until", NULL};
static const char *const lock_names[] = {"type", "name", "token", "owner", "fence", "expiresAt", NULL};
static const char *const end_names[] = {"type", "lines", NULL};

static const char *const *const names_of[RECORD_END + 1] = {
    [RECORD_DUMP] = dump_names,   [RECORD_BUCKET] = bucket_names,   [RECORD_HISTORY] = entry_names,
    [RECORD_ENTRY] = entry_names, [RECORD_MESSAGE] = message_names, [RECORD_DEDUPE] = dedupe_names,
    [RECORD_LOCK] = lock_names,   [RECORD_END] = end_names};

static enum error_code get_int(const struct fields *f, const char *name, int64_t *n)
{
    return fields_int_required(f, name, 0, INT64_MAX, n);
}

/* The index of a string member in a list of words. */
static enum error_code get_word(const struct fields *f, const char *name, const char *const *words, int count,
                                int *index)
{
    size_t i = fields_find(f, name);

    if (!i || f->doc->nodes[i].type != JSON_STRING)
        return fields_missing(f, name, "a string");
    for (*index = 0; *index < count; ++*index)
        if (json_is(f->doc, i, words[*index]))
            return ERR_OK;
    return fields_bad(f, name, "one of the words that a dump has there");
}

/* Whether text is one value, as strict as a body; as a member, so that what lies in it is not looked at. */
static enum error_code judge_text(const struct fields *f, const char *name, const char *text, size_t len)
{
    static const char before[] = "{\"value\":";
    char *whole = arena_alloc(f->arena, sizeof before + len);
    struct error err = ERROR_INIT;
    struct json_doc doc;

    if (!whole)
        return ERR_NO_MEMORY;
    memcpy(whole, before, sizeof before - 1);
    memcpy(whole + sizeof before - 1, text, len);
    whole[sizeof before - 1 + len] = '}';
    enum error_code rc = json_scan_stored(&doc, whole, sizeof before + len, opaque, f->arena, &err);
    if (rc == ERR_NO_MEMORY)
        return rc;
    return rc || doc.nodes[0].count != 1 ? fields_bad(f, name, "a string of JSON text") : ERR_OK;
}

/* JSON too deep for the line stands in a string. */
static enum error_code get_value_text(const struct fields *f, const char *name, struct value *v)
{
    const char *text = NULL;
    size_t len = 0;
    enum error_code rc = fields_str(f, name, 1, SIZE_MAX, &text, &len);

    if (!rc)
        rc = judge_text(f, name, text, len);
    *v = (struct value){.data = (const unsigned char *)text, .len = len, .size = len, .encoding = VALUE_JSON};
    return rc;
}

static enum error_code get_value(const struct fields *f, const char *name, const char *text_name, struct value *v)
{
    return fields_find(f, text_name) ? get_value_text(f, text_name, v) : fields_value(f, name, SIZE_MAX / 8, v);
}

static enum error_code read_dump(const struct fields *f, struct record *r)
{
    int64_t format = 0;
    enum error_code rc = get_int(f, "format", &format);

    if (!rc && format != RECORD_FORMAT)
        rc = error_set(f->err, ERR_BAD_REQUEST, "format", "the dump has format %lld, this program knows %d",
                       (long long)format, (int)RECORD_FORMAT);
    if (!rc)
        rc = fields_int(f, "lastMessage", 0, INT64_MAX, &r->last_message);
    return rc ? rc : fields_int(f, "lastFence", 0, INT64_MAX, &r->last_fence);
}

static enum error_code read_bucket(const struct fields *f, struct record *r)
{
    struct bucket *b = &r->bucket;
    bool destroyed = false;
    unsigned named;

    b->options = bucket_defaults;
    enum error_code rc =
        fields_find(f, "name") ? fields_bucket(f, "name", &b->name) : fields_missing(f, "name", "a bucket's name");
    if (!rc)
        rc = get_int(f, "revision", &b->revision);
    if (!rc)
        rc = get_int(f, "compacted", &b->compacted);
    if (!rc && b->compacted > b->revision)
        rc = fields_bad(f, "compacted", "at most the revision");
    if (!rc)
        rc = get_int(f, "created", &b->created);
    if (!rc)
        rc = fields_bool(f, "destroyed", &destroyed);
    if (!rc && destroyed && strcmp(b->name, BUCKET_DEFAULT) == 0)
        rc = fields_bad(f, "destroyed", "left out: the bucket default always exists");
    b->id = !destroyed;
    return rc ? rc : bucket_options_parse(f, &b->options, &named);
}

static enum error_code read_entry(const struct fields *f, struct record *r)
{
    struct entry *e = &r->entry;
    int op = ENTRY_PUT;
    enum error_code rc = fields_find(f, "bucket") ? fields_bucket(f, "bucket", &r->bucket_name)
                                                  : fields_missing(f, "bucket", "a bucket's name");
    if (!rc)
        rc = fields_key(f, "key", &e->key);
    if (!rc)
        rc = fields_int_required(f, "revision", 1, INT64_MAX, &e->revision);
    if (!rc)
        rc = get_int(f, "created", &e->created);
    if (!rc && fields_find(f, "operation"))
        rc = get_word(f, "operation", record_operations, ENTRY_EXPIRE + 1, &op);
    e->op = (enum entry_op)op;
    e->value = (struct value){.data = (const unsigned char *)"", .encoding = VALUE_BYTES};
    if (rc || e->op != ENTRY_PUT)
        return rc;
    rc = fields_int_required(f, "version", 1, INT64_MAX, &e->version);
    if (!rc)
        rc = fields_int(f, "expiresAt", 1, INT64_MAX, &e->expires);
    return rc ? rc : get_value(f, "value", "valueText", &e->value);
}

static enum error_code read_times(const struct fields *f, struct message *m)
{
    enum error_code rc = get_int(f, "enqueuedAt", &m->enqueued);
    if (!rc)
        rc = get_int(f, "deliverAt", &m->deliver);
    if (!rc)
        rc = fields_int_required(f, "maxAttempts", 1, INT32_MAX, &m->max_attempts);
    if (!rc)
        rc = fields_int_required(f, "attempts", 0, m->max_attempts, &m->attempts);
    if (!rc)
        rc = fields_int(f, "leaseUntil", 1, INT64_MAX, &m->lease_until);
    if (!rc)
        rc = fields_int(f, "failedAt", 1, INT64_MAX, &m->failed);
    return rc;
}

/* The store would hold what it never makes itself. */
static enum error_code judge_message(const struct fields *f, const struct message *m)
{
    bool leased = m->state == MESSAGE_LEASED;

    if (leased != (m->lease_until != 0) || (leased && (!m->lease || !m->attempts)))
        return fields_bad(f, "leaseUntil",
                          leased ? "there, with a lease and an attempt" : "left out: it is not leased");
    if (m->state == MESSAGE_READY && m->attempts == m->max_attempts)
        return fields_bad(f, "attempts", "below maxAttempts where the state is ready");
    return ERR_OK;
}

static enum error_code read_message(const struct fields *f, struct record *r)
{
    struct message *m = &r->message;
    int state = MESSAGE_READY;
    enum error_code rc = fields_int_required(f, "id", 1, INT64_MAX, &m->id);

    if (!rc)
        rc = fields_find(f, "topic") ? fields_topic(f, "topic", &m->topic, &m->topic_len)
                                     : fields_missing(f, "topic", "a topic");
    if (!rc)
        rc = get_word(f, "state", record_states, MESSAGE_DEAD + 1, &state);
    m->state = (enum message_state)state;
    if (!rc)
        rc = fields_int(f, "priority", -MESSAGE_PRIORITY_MAX, MESSAGE_PRIORITY_MAX, &m->priority);
    if (!rc)
        rc = read_times(f, m);
    if (!rc)
        rc = enqueue_parse_lease(f, &m->lease);
    if (!rc && m->lease == -1)
        rc = fields_bad(f, "lease", "a lease: 16 hexadecimal digits");
    if (!rc)
        rc = enqueue_parse_backoff(f, m);
    if (!rc)
        rc = fields_str(f, "dedupeId", 1, MESSAGE_DEDUPE_MAX, &m->dedupe, &m->dedupe_len);
    if (!rc)
        rc = get_value(f, "payload", "payloadText", &m->payload);
    return rc ? rc : judge_message(f, m);
}

static enum error_code read_dedupe(const struct fields *f, struct record *r)
{
    struct message *m = &r->message;
    enum error_code rc = fields_find(f, "topic") ? fields_topic(f, "topic", &m->topic, &m->topic_len)
                                                 : fields_missing(f, "topic", "a topic");
    if (!rc)
        rc = fields_str_required(f, "dedupeId", 1, MESSAGE_DEDUPE_MAX, &m->dedupe, &m->dedupe_len);
    if (!rc)
        rc = fields_int_required(f, "message", 1, INT64_MAX, &m->id);
    return rc ? rc : fields_int_required(f, "until", 1, INT64_MAX, &r->until);
}

static enum error_code read_lock(const struct fields *f, struct record *r)
{
    struct record_lock *lock = &r->lock;
    enum error_code rc = fields_str_required(f, "name", 1, NAME_MAX_BYTES, &lock->name, &lock->name_len);
    if (!rc)
        rc = fields_str_required(f, "token", 1, NAME_MAX_BYTES, &lock->token, &lock->token_len);
    if (!rc)
        rc = fields_str(f, "owner", 0, NAME_MAX_BYTES, &lock->owner, &lock->owner_len);
    if (!rc)
        rc = fields_int_required(f, "fence", 1, INT64_MAX, &lock->fence);
    return rc ? rc : get_int(f, "expiresAt", &lock->expires);
}

static enum error_code read_end(const struct fields *f, struct record *r)
{
    return get_int(f, "lines", &r->lines);
}

static enum error_code (*const readers[RECORD_END + 1])(const struct fields *, struct record *) = {
    [RECORD_DUMP] = read_dump,   [RECORD_BUCKET] = read_bucket,   [RECORD_HISTORY] = read_entry,
    [RECORD_ENTRY] = read_entry, [RECORD_MESSAGE] = read_message, [RECORD_DEDUPE] = read_dedupe,
    [RECORD_LOCK] = read_lock,   [RECORD_END] = read_end};

enum error_code record_read(const char *line, size_t len, struct arena *arena, struct record *r, struct error *err)
{
    struct json_doc doc;
    struct fields f;
    int type;
    enum error_code rc = json_scan(&doc, line, len, opaque, arena, err);

    *r = (struct record){.type = RECORD_END};
    if (rc)
        return rc;
    f = (struct fields){.doc = &doc, .arena = arena, .err = err};
    if (doc.nodes[0].type != JSON_OBJECT)
        return error_set(err, ERR_BAD_REQUEST, NULL, "it is no JSON object");
    rc = get_word(&f, "type", record_types, RECORD_END + 1, &type);
    if (rc)
        return rc;
    r->type = (enum record_type)type;
    rc = fields_open(&f, &doc, 0, "", names_of[type], arena, err);
    return rc ? rc : readers[type](&f, r);
}
