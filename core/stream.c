#include "stream.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

enum { HEARTBEAT_DEFAULT = 15000, HEARTBEAT_MIN = 100 };

static bool wants_events(const struct kvs_request *request)
{
    return request->accept && strstr(request->accept, "text/event-stream");
}

enum error_code stream_parse(struct call *call, const struct fields *f, struct stream *s)
{
    s->call = call;
    s->events = wants_events(call->request);
    s->heartbeat = HEARTBEAT_DEFAULT;
    s->until = INT64_MAX;
    if (call->kvs->mode == KVS_CGI)
        s->until = clock_mono() + call->kvs->config->stream_limit * 1000;
    s->expires = call->grant ? call->grant->expires : 0;
    return fields_int(f, "heartbeat", HEARTBEAT_MIN, INT32_MAX, &s->heartbeat);
}

void stream_start(struct stream *s)
{
    struct kvs_sink *sink = s->call->request->sink;
    struct buf headers = BUF_INIT;
    struct kvs_response response;

    /* Servers and proxies between would keep a slow stream back until it is large. */
    buf_lit(&headers, "X-Accel-Buffering: no\r\n");
    call_response(s->call, ERR_OK, &response, &headers);
    response.content_type = s->events ? "text/event-stream" : "application/x-ndjson";
    response.body = NULL;
    response.body_len = 0;
    sink->start(sink, &response);
    buf_free(&headers);
    s->next_beat = clock_mono() + s->heartbeat;
}

bool stream_expired(const struct stream *s, int64_t mono, int64_t *next)
{
    if (!s->expires)
        return false;
    int64_t left = s->expires - clock_now();
    if (left > 0 && left < *next - mono)
        *next = mono + left;
    return left <= 0;
}

void stream_object(struct stream *s, const char *type, const char *body, size_t len, int64_t id)
{
    struct buf *out = &s->out;

    if (s->events) {
        if (id > 0) {
            buf_lit(out, "id: ");
            buf_int(out, id);
            buf_byte(out, '\n');
        }
        buf_lit(out, "event: ");
        buf_str(out, type);
        buf_lit(out, "\ndata: ");
    }
    buf_lit(out, "{\"type\":\"");
    buf_str(out, type);
    buf_byte(out, '"');
    if (len) {
        buf_byte(out, ',');
        buf_add(out, body, len);
    }
    buf_lit(out, "}\n");
    if (s->events)
        buf_byte(out, '\n');
}

/* Needs no memory but the stream's own, which stream_flush looks at: a mark must not be left out. */
static void mark(struct stream *s, const char *type, const char *reason)
{
    char body[128];
    int len =
        reason ? snprintf(body, sizeof body, "\"reason\":\"%.64s\",\"revision\":%lld", reason, (long long)s->revision)
               : snprintf(body, sizeof body, "\"revision\":%lld", (long long)s->revision);

    stream_object(s, type, body, (size_t)len, s->revision);
}

void stream_mark(struct stream *s, const char *type)
{
    mark(s, type, NULL);
}

long stream_flush(struct stream *s, int64_t mono)
{
    struct kvs_sink *sink = s->call->request->sink;

    if (s->out.len == 0 && mono >= s->next_beat)
        stream_mark(s, "heartbeat");
    if (s->out.len)
        s->next_beat = mono + s->heartbeat;
    /* Memory ran out: nothing may be left out of the middle of a stream. */
    long behind = buf_ok(&s->out) ? sink->write(sink, s->out.data, s->out.len) : -1;
    buf_clear(&s->out);
    if (s->out.cap > 65536)
        buf_free(&s->out);
    if (behind < 0)
        s->gone = true;
    return behind;
}

void stream_end(struct stream *s, const char *reason)
{
    struct kvs_sink *sink = s->call->request->sink;
    struct call *call = s->call;

    if (reason && !s->gone) {
        mark(s, "end", reason);
        if (buf_ok(&s->out))
            sink->write(sink, s->out.data, s->out.len);
    }
    buf_free(&s->out);
    call_free(call);
    sink->end(sink);
}
