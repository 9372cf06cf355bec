#include "dispatch.h"

#include <string.h>
#include <strings.h>

#include "access.h"
#include "clock.h"
#include "listen.h"
#include "metrics.h"
#include "openapi.h"
#include "ops.h"
#include "query.h"
#include "storage.h"
#include "watch.h"

/* The hottest first: rows are searched in order. */
static const struct op table[] = {
    {"/kv/get", OP_POST | OP_BUCKET, SCOPE_READ, kv_get_parse, kv_get, NULL, NULL, kv_get_allow},
    {"/kv/set", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_set_parse, NULL, kv_set, NULL, kv_write_allow},
    {"/queue/enqueue", OP_POST, SCOPE_WRITE, queue_enqueue_parse, NULL, queue_enqueue, NULL, queue_enqueue_allow},
    {"/queue/dequeue", OP_POST, SCOPE_WRITE, queue_dequeue_parse, NULL, queue_dequeue, NULL, queue_dequeue_allow},
    {"/queue/ack", OP_POST, SCOPE_WRITE, queue_ack_parse, NULL, queue_ack, NULL, access_anything},
    {"/kv/atomic", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_atomic_parse, NULL, kv_atomic, NULL, kv_atomic_allow},
    {"/kv/list", OP_POST | OP_SNAPSHOT | OP_BUCKET, SCOPE_READ, kv_list_parse, kv_list, NULL, NULL, kv_list_allow},
    {"/kv/get-many", OP_POST | OP_SNAPSHOT | OP_BUCKET, SCOPE_READ, kv_get_many_parse, kv_get_many, NULL, NULL,
     kv_get_many_allow},
    {"/kv/delete", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_delete_parse, NULL, kv_delete, NULL, kv_write_allow},
    {"/kv/create", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_set_parse, NULL, kv_create, NULL, kv_write_allow},
    {"/kv/update", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_update_parse, NULL, kv_update, NULL, kv_write_allow},
    {"/kv/increment", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_increment_parse, NULL, kv_increment, NULL, kv_write_allow},
    {"/kv/touch", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_touch_parse, NULL, kv_touch, NULL, kv_write_allow},
    {"/kv/purge", OP_POST | OP_BUCKET, SCOPE_WRITE, kv_purge_parse, NULL, kv_purge, NULL, kv_purge_allow},
    {"/kv/reset", OP_POST | OP_EMPTY, SCOPE_ADMIN, NULL, NULL, kv_reset, NULL, NULL},
    {"/kv/clean-expired", OP_POST | OP_EMPTY, SCOPE_ADMIN, NULL, NULL, kv_clean_expired, NULL, NULL},
    {"/kv/keys", OP_POST | OP_SNAPSHOT | OP_BUCKET, SCOPE_READ, kv_keys_parse, kv_keys, NULL, NULL, kv_keys_allow},
    {"/kv/history", OP_POST | OP_SNAPSHOT | OP_BUCKET, SCOPE_READ, kv_history_parse, kv_history, NULL, NULL,
     kv_change_allow},
    {"/kv/changes", OP_POST | OP_SNAPSHOT | OP_BUCKET, SCOPE_READ, kv_changes_parse, kv_changes, NULL, NULL,
     kv_change_allow},
    {"/kv/watch", OP_GET | OP_POST | OP_BUCKET, SCOPE_READ, kv_watch_parse, NULL, NULL, kv_watch, kv_watch_allow},
    {"/queue/listen", OP_GET | OP_POST, SCOPE_WRITE, queue_listen_parse, NULL, NULL, queue_listen, queue_listen_allow},
    {"/lock/acquire", OP_POST, SCOPE_WRITE, lock_acquire_parse, NULL, lock_acquire, NULL, NULL},
    {"/lock/renew", OP_POST, SCOPE_WRITE, lock_renew_parse, NULL, lock_renew, NULL, NULL},
    {"/lock/release", OP_POST, SCOPE_WRITE, lock_release_parse, NULL, lock_release, NULL, NULL},
    {"/bucket/create", OP_POST, SCOPE_ADMIN, bucket_options_body_parse, NULL, bucket_create, NULL, NULL},
    {"/bucket/update", OP_POST, SCOPE_ADMIN, bucket_options_body_parse, NULL, bucket_update, NULL, NULL},
    {"/bucket/status", OP_POST | OP_SNAPSHOT | OP_BUCKET, SCOPE_READ, bucket_named_parse, bucket_status_read, NULL,
     NULL, access_anything},
    {"/bucket/list", OP_POST | OP_EMPTY | OP_SNAPSHOT, SCOPE_READ, NULL, bucket_list, NULL, NULL, access_anything},
    {"/bucket/destroy", OP_POST, SCOPE_ADMIN, bucket_destroy_parse, NULL, bucket_destroy, NULL, NULL},
    {"/bucket/purge", OP_POST, SCOPE_ADMIN, bucket_named_parse, NULL, bucket_purge, NULL, NULL},
    {"/bucket/purge-deletes", OP_POST, SCOPE_ADMIN, bucket_purge_deletes_parse, NULL, bucket_purge_deletes, NULL, NULL},
    {"/queue/enqueue-many", OP_POST, SCOPE_WRITE, queue_enqueue_many_parse, NULL, queue_enqueue_many, NULL,
     queue_enqueue_allow},
    {"/queue/ack-many", OP_POST, SCOPE_WRITE, queue_ack_many_parse, NULL, queue_ack_many, NULL, access_anything},
    {"/queue/nack", OP_POST, SCOPE_WRITE, queue_nack_parse, NULL, queue_nack, NULL, access_anything},
    {"/queue/extend", OP_POST, SCOPE_WRITE, queue_extend_parse, NULL, queue_extend, NULL, access_anything},
    {"/queue/dead", OP_POST, SCOPE_READ, queue_dead_parse, NULL, queue_dead, NULL, queue_topic_allow},
    {"/queue/redrive", OP_POST, SCOPE_WRITE, queue_redrive_parse, NULL, queue_redrive, NULL, queue_topic_allow},
    {"/queue/discard", OP_POST, SCOPE_WRITE, queue_redrive_parse, NULL, queue_discard, NULL, queue_topic_allow},
    {"/queue/stats", OP_POST | OP_SNAPSHOT, SCOPE_READ, queue_stats_parse, queue_stats, NULL, NULL, queue_topic_allow},
    {"/queue/purge", OP_POST, SCOPE_WRITE, queue_purge_parse, NULL, queue_purge, NULL, queue_topic_allow},
    {"/metrics", OP_GET | OP_SNAPSHOT, SCOPE_METRICS, NULL, metrics_read, NULL, NULL, NULL},
    {"/openapi.json", OP_GET, SCOPE_PUBLIC, NULL, NULL, NULL, openapi, NULL},
    {"/health", OP_GET, SCOPE_PUBLIC, NULL, NULL, NULL, health, NULL},
};

const struct op *dispatch_table(size_t *count)
{
    *count = sizeof table / sizeof table[0];
    return table;
}

const struct op *dispatch_find(const char *path)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].path, path) == 0)
            return &table[i];
    return NULL;
}

static enum error_code check_method(struct call *call)
{
    unsigned flags = call->op->flags;

    switch (call->request->method) {
    case METHOD_POST:
        return flags & OP_POST ? ERR_OK : ERR_METHOD;
    case METHOD_GET:
    case METHOD_HEAD:
        return flags & OP_GET ? ERR_OK : ERR_METHOD;
    default:
        return ERR_METHOD;
    }
}

/* application/json, text/json or anything/…+json, whatever the parameters. */
static bool is_json_type(const char *type)
{
    if (strcmp(type, "application/json") == 0)
        return true;
    size_t n = strcspn(type, "; \t");
    if ((n == 16 && !strncasecmp(type, "application/json", n)) || (n == 9 && !strncasecmp(type, "text/json", n)))
        return true;
    return n > 5 && !strncasecmp(type + n - 5, "+json", 5);
}

static enum error_code check_body(struct call *call)
{
    struct kvs_request *r = call->request;

    if (r->content_type && r->content_type[0] && r->body_len && !is_json_type(r->content_type))
        return ERR_MEDIA;
    if (r->body_state == BODY_TOO_LARGE)
        return error_set(&call->err, ERR_TOO_LARGE, NULL, "the body is over the limit of %lld bytes",
                         (long long)call->kvs->config->max_body);
    if (r->body_state == BODY_CUT)
        return error_set(&call->err, ERR_BAD_JSON, NULL, "the body is shorter than its Content-Length");
    if (r->body_len || (call->op->flags & OP_EMPTY))
        return ERR_OK;
    return error_set(&call->err, ERR_BAD_JSON, NULL, "the body is empty: it must be a JSON object");
}

/* The request's object: the body, or what a GET's query string stands for. */
static enum error_code request_text(struct call *call, const char **text, size_t *len)
{
    struct kvs_request *r = call->request;

    if (r->method != METHOD_POST)
        return query_to_body(call, text, len);
    enum error_code rc = check_body(call);
    *text = r->body_len ? r->body : "{}";
    *len = r->body_len ? r->body_len : 2;
    return rc;
}

/* A restricted token: what the arguments name must be what it names. */
static enum error_code check_access(struct call *call)
{
    const struct op *op = call->op;

    if (!op->allow)
        return access_whole(call);
    enum error_code rc = op->flags & OP_BUCKET ? access_bucket(call, call->bucket) : ERR_OK;
    return rc ? rc : op->allow(call);
}

/* A wait ends with the token that asked for it. */
static void limit_wait(struct call *call)
{
    if (!call->wait_until || !call->grant || !call->grant->expires)
        return;
    int64_t until = clock_mono() + (call->grant->expires - clock_now());
    if (until < call->wait_until)
        call->wait_until = until;
}

static enum error_code parse_body(struct call *call)
{
    static const char *const none[] = {NULL}, *const opaque[] = {"value", "payload", NULL};
    const char *text;
    size_t len;
    struct fields f;
    enum error_code rc = request_text(call, &text, &len);

    if (!rc)
        rc = json_scan(&call->doc, text, len, opaque, &call->arena, &call->err);
    if (rc)
        return rc;
    rc = call->op->parse ? call->op->parse(call) : call_fields(call, &f, none);
    if (!rc && access_is_limited(call))
        rc = check_access(call);
    limit_wait(call);
    return rc ? rc : storage_find(call);
}

enum error_code dispatch_prepare(struct call *call)
{
    struct kvs_request *r = call->request;

    call->op = dispatch_find(r->path);
    if (!call->op || call->op->scope != SCOPE_PUBLIC) {
        call->grant = auth_check(call->kvs->auth, r, &call->failed_login);
        if (!call->grant)
            return error_set(&call->err, ERR_UNAUTHORIZED, NULL, "%s", auth_refusal(call->failed_login));
    }
    if (!call->op)
        return error_set(&call->err, ERR_NOT_FOUND, NULL, "there is no such endpoint");
    enum error_code rc = check_method(call);
    if (!rc)
        rc = access_operation(call);
    if (rc)
        return rc;
    /* /health and its like take nothing, and a query string on them is nobody's business. */
    return r->method == METHOD_POST || call->op->parse ? parse_body(call) : ERR_OK;
}
