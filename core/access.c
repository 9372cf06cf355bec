#include "access.h"

#include <string.h>

#include "dispatch.h"

bool access_is_limited(const struct call *call)
{
    return call->grant && call->grant->limited;
}

enum error_code access_operation(struct call *call)
{
    enum scope needed = call->op->scope;

    if (needed == SCOPE_PUBLIC || grant_has(call->grant, needed))
        return ERR_OK;
    return error_set(&call->err, ERR_FORBIDDEN, NULL, "%s needs scope %s; this token has %s", call->op->path,
                     grant_scope_name(needed), grant_scope_name(call->grant->scope));
}

enum error_code access_bucket(struct call *call, const char *name)
{
    if (grant_bucket(call->grant, name, strlen(name)))
        return ERR_OK;
    return error_set(&call->err, ERR_FORBIDDEN, strncmp(call->op->path, "/bucket/", 8) == 0 ? "name" : "bucket",
                     "this token does not cover the bucket %s", name);
}

/* The key as JSON in the message, which cuts what is too long. */
static enum error_code no_key(struct call *call, const char *field, const struct key *key)
{
    struct buf text = BUF_INIT;
    struct json_out out;

    json_out_init(&out, &text);
    bool shown = key_valid(key->data, key->len) && key_to_json(&out, key->data, key->len);
    const char *json = shown ? buf_cstr(&text) : NULL;
    error_set(&call->err, ERR_FORBIDDEN, field, "this token does not cover the key %.200s", json ? json : "given");
    buf_free(&text);
    return ERR_FORBIDDEN;
}

enum error_code access_key(struct call *call, const char *field, const struct key *key)
{
    return grant_key(call->grant, key) ? ERR_OK : no_key(call, field, key);
}

enum error_code access_range(struct call *call, const char *field, const struct key *from, const struct key *to)
{
    if (grant_range(call->grant, from, to))
        return ERR_OK;
    return error_set(&call->err, ERR_FORBIDDEN, field,
                     "this token does not cover all keys that %s reaches: ask below one of its prefixes",
                     call->op->path);
}

enum error_code access_selector(struct call *call, const struct selector *s)
{
    enum error_code rc = ERR_OK;

    if (!s->keys)
        return access_range(call, s->filter ? "filter" : "prefix", &s->from, &s->to);
    for (size_t i = 0; !rc && i < s->key_count; i++)
        rc = access_key(call, s->key_count == 1 ? "key" : "keys", &s->keys[i]);
    return rc;
}

enum error_code access_topic(struct call *call, const char *field, const char *topic, size_t len)
{
    if (grant_topic(call->grant, topic, len))
        return ERR_OK;
    return error_set(&call->err, ERR_FORBIDDEN, field, "this token does not cover the topic %.*s", (int)len, topic);
}

enum error_code access_message(struct call *call, const char *field, int64_t id, const char *topic, size_t len)
{
    if (!access_is_limited(call) || grant_topic(call->grant, topic, len))
        return ERR_OK;
    return error_set(&call->err, ERR_FORBIDDEN, field, "this token does not cover the topic of message %lld",
                     (long long)id);
}

enum error_code access_anything(struct call *call)
{
    (void)call;
    return ERR_OK;
}

enum error_code access_whole(struct call *call)
{
    return error_set(&call->err, ERR_FORBIDDEN, NULL,
                     "%s is not for a token that is restricted to buckets, keys or topics", call->op->path);
}
