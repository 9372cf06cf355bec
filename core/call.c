#include "call.h"

#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "cors.h"
#include "dispatch.h"
#include "hub.h"
#include "log.h"
#include "mem.h"
#include "metrics.h"
#include "storage.h"
#include "view.h"

enum {
    OUT_KEEP = 16384, /* answers up to this size leave their memory to the next call */
    FAILED_LOGIN_MS = 250
};

void *call_args(struct call *call, size_t size)
{
    return call->args = arena_zalloc(&call->arena, 1, size);
}

enum error_code call_fields(struct call *call, struct fields *f, const char *const *names)
{
    return fields_open(f, &call->doc, 0, "", names, &call->arena, &call->err);
}

void call_error_body(struct call *call, enum error_code rc)
{
    struct error *e = &call->err;
    const char *message = e->code == rc && e->message[0] ? e->message : error_text(rc);

    buf_clear(&call->out);
    json_out_init(&call->json, &call->out);
    json_out_object(&call->json);
    json_out_name(&call->json, "error");
    json_out_object(&call->json);
    json_out_name(&call->json, "code");
    json_out_cstr(&call->json, error_name(rc));
    json_out_name(&call->json, "message");
    json_out_cstr(&call->json, message);
    if (e->code == rc && e->field[0]) {
        json_out_name(&call->json, "field");
        json_out_cstr(&call->json, e->field);
    }
    if (e->code == rc && (e->has_current || e->has_revision)) {
        json_out_name(&call->json, "revision");
        e->missing ? json_out_null(&call->json) : json_out_int(&call->json, e->revision);
    }
    if (e->code == rc && e->has_current) {
        json_out_name(&call->json, "version");
        e->missing ? json_out_null(&call->json) : json_out_int(&call->json, e->version);
    }
    json_out_end(&call->json);
    json_out_end(&call->json);
}

/* Header lines that belong to a status. */
static void status_headers(const struct call *call, enum error_code rc, struct buf *headers)
{
    int status = error_status(rc);

    if (status == 401)
        buf_lit(headers, "WWW-Authenticate: Bearer\r\n");
    if (status == 503)
        buf_lit(headers, "Retry-After: 1\r\n");
    if (status == 405) {
        unsigned flags = call->op ? call->op->flags : 0;
        const char *allow = flags & OP_GET ? (flags & OP_POST ? "GET, HEAD, POST" : "GET, HEAD") : "POST";
        buf_printf(headers, "Allow: %s\r\n", allow);
    }
}

/* The request's id: the web server's or, where that gave none, one made now. */
static const char *request_id(struct call *call)
{
    if (call->request->request_id)
        return call->request->request_id;
    if (!call->id[0])
        snprintf(call->id, sizeof call->id, "%08x%08x", randombytes_random(), randombytes_random());
    return call->id;
}

/* Goes back with the answer where it came with the request, or where the log speaks of it. */
static void id_header(struct call *call, int status, struct buf *headers)
{
    if (call->request->request_id || status >= 500 || log_is_on(LOG_DEBUG))
        buf_printf(headers, "X-Request-Id: %s\r\n", request_id(call));
}

static void told(struct call *call, int status)
{
    int64_t us = clock_mono_us() - call->began;

    metrics_count(call->kvs->metrics, call->op, status, us);
    if (log_is_on(LOG_DEBUG))
        log_request(LOG_DEBUG, request_id(call), "%s: %d in %lld us", call->op ? call->op->path : "no operation",
                    status, (long long)us);
}

void call_response(struct call *call, enum error_code rc, struct kvs_response *response, struct buf *headers)
{
    cors_headers(call->kvs->config, call->request, headers);
    status_headers(call, rc, headers);
    int status = call->unhealthy && !rc ? 503 : error_status(rc);
    id_header(call, status, headers);
    *response = (struct kvs_response){
        .status = status,
        .content_type = !rc && call->content_type ? call->content_type : "application/json",
        .headers = headers->len ? buf_cstr(headers) : "",
        .body = call->out.data,
        .body_len = call->out.len,
    };
    if (!response->headers)
        response->headers = "";
    told(call, status);
}

struct call *call_new(struct kvs *kvs, struct kvs_request *request)
{
    struct call *call = pool_take(&kvs->calls);

    if (!call && !(call = mem_zalloc(1, sizeof *call)))
        return NULL;
    memset(call, 0, offsetof(struct call, err));
    error_clear(&call->err);
    call->kvs = kvs;
    call->request = request;
    call->store = kvs->file;
    call->began = clock_mono_us();
    call->bucket = BUCKET_DEFAULT;
    request->core = call;
    return call;
}

static void discard(struct call *call)
{
    buf_free(&call->out);
    buf_free(&call->headers);
    arena_free(&call->arena);
    mem_free(call);
}

void call_free(struct call *call)
{
    buf_clear(&call->headers);
    buf_clear(&call->out);
    if (call->out.cap > OUT_KEEP)
        buf_free(&call->out);
    arena_reset(&call->arena);
    if (!pool_give(&call->kvs->calls, call))
        discard(call);
}

void call_drain(struct kvs *kvs)
{
    for (struct call *call = pool_take(&kvs->calls); call; call = pool_take(&kvs->calls))
        discard(call);
}

void call_answer(struct call *call, enum error_code rc)
{
    static const char no_memory[] = "{\"error\":{\"code\":\"busy\",\"message\":\"out of memory for this request; try "
                                    "again\"}}";
    struct kvs_response response;
    struct kvs_sink *sink = call->request->sink;

    if (!rc && !buf_ok(&call->out))
        rc = ERR_NO_MEMORY;
    if (rc == ERR_INTERNAL || rc == ERR_CORRUPT || rc == ERR_UNKNOWN_OUTCOME)
        log_request(LOG_ERROR, request_id(call), "%s: %s", call->op ? call->op->path : "request", error_text(rc));
    if (rc)
        call_error_body(call, rc);
    call_response(call, rc, &response, &call->headers);
    if (!buf_ok(&call->out)) {
        response.status = error_status(ERR_NO_MEMORY);
        response.body = no_memory;
        response.body_len = sizeof no_memory - 1;
    }
    sink->answer(sink, &response);
    call_free(call);
}

void call_answer_login(struct call *call, enum error_code rc)
{
    /* A CGI program would have to stay for it. */
    bool late = call->failed_login && call->kvs->mode == KVS_FASTCGI;

    if (!late || !hub_delay(call->kvs->hub, call, rc, FAILED_LOGIN_MS))
        call_answer(call, rc);
}

void call_finish(struct call *call, enum error_code rc)
{
    if (!rc && call->forget)
        storage_forget(call->kvs, call->forget);
    bool waits = !rc && call->empty && call->wait_until > clock_mono();

    if (!waits || !hub_park(call->kvs->hub, call))
        call_answer(call, rc);
}

void call_begin(struct call *call)
{
    buf_clear(&call->out);
    json_out_init(&call->json, &call->out);
    call->empty = false;
    call->again = false;
    call->step = 0;
}

static void run_read(struct call *call)
{
    struct view view;

    call_begin(call);
    enum error_code rc = view_open(call, &view);
    if (!rc) {
        rc = call->op->read(call, &view);
        view_close(call, &view, rc);
    }
    call_finish(call, rc);
}

static enum error_code job_apply(struct commit_job *job, struct txn *txn)
{
    struct call *call = (struct call *)job;

    call_begin(call);
    error_clear(&call->err);
    enum error_code rc = call->op->apply(call, txn);
    /* What cannot be answered must not be committed. */
    return !rc && !buf_ok(&call->out) ? ERR_NO_MEMORY : rc;
}

static void job_done(struct commit_job *job, enum error_code rc)
{
    struct call *call = (struct call *)job;

    if (!rc && call->again && atomic_load(&call->kvs->stopping))
        rc = error_set(&call->err, ERR_STOPPING, NULL, "the server is stopping; this was done in part: repeat it");
    if (!rc && call->again) {
        call->total += call->step;
        call->rounds++;
        if (call->next_store)
            call->store = call->next_store;
        call->next_store = NULL;
        call_run(call);
    } else {
        call_finish(call, rc);
    }
}

void call_run(struct call *call)
{
    if (call->op->own) {
        enum error_code rc = call->op->own(call);
        if (rc)
            call_answer(call, rc);
    } else if (call->op->read) {
        run_read(call);
    } else {
        call->job.apply = job_apply;
        call->job.done = job_done;
        commit_submit(store_commit(call->store), &call->job);
    }
}
