#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "gateway.h"
#include "json_out.h"
#include "log.h"
#include "utf8.h"

enum { MESSAGE = 512, READ_FIRST = 65536 };

static const char *variable(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

/* Lets the answer out, as long as somebody takes it. */
static void flush_all(struct cgi_sink *s, int64_t timeout)
{
    while (!s->gone && cgi_sink_waiting(s) > 0) {
        struct pollfd p = {.fd = s->fd, .events = POLLOUT};
        const int n = poll(&p, 1, (int)timeout);
        if (n == 0 || (n < 0 && errno != EINTR))
            return;
        cgi_sink_flush(s);
    }
}

/* The answer where the core cannot be asked for one: a 500 (or other status) that says what is wrong. */
static void answer_error(struct cgi_sink *s, int status, const char *code, const char *message, int64_t timeout)
{
    struct buf body = BUF_INIT;
    struct json_out json;
    char text[MESSAGE];
    snprintf(text, sizeof(text), "%s", message);
    utf8_clean(text, strlen(text)); /* it may name a file */
    json_out_init(&json, &body);
    json_out_object(&json);
    json_out_name(&json, "error");
    json_out_object(&json);
    json_out_name(&json, "code");
    json_out_cstr(&json, code);
    json_out_name(&json, "message");
    json_out_cstr(&json, text);
    json_out_end(&json);
    json_out_end(&json);
    const struct kvs_response response = {
        .status = status,
        .content_type = "application/json",
        .headers = "",
        .body = body.data,
        .body_len = body.len,
    };
    if (buf_ok(&body))
        s->sink.answer(&s->sink, &response);
    else
        s->gone = true; /* nothing can be said without memory but by the exit status */
    buf_free(&body);
    flush_all(s, timeout);
}

/* Reads up to n bytes of standard input, waiting for each part no longer than timeout.  The bytes read. */
static size_t read_input(char *to, size_t n, int64_t timeout)
{
    size_t have = 0;
    while (have < n) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        const int ready = poll(&p, 1, (int)timeout);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        const ssize_t got = read(STDIN_FILENO, to + have, n - have);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    return have;
}

/* A body of a length that is not known before it ends. */
static bool read_unknown(struct kvs_request *r, struct buf *body, const struct config *config)
{
    for (;;) {
        const size_t limit = (size_t)config->max_body + 1;
        const size_t want = limit - body->len < READ_FIRST ? limit - body->len : READ_FIRST;
        char *room = buf_room(body, want);
        if (!room)
            return false;
        const size_t got = read_input(room, want, config->io_timeout);
        body->len += got;
        if (body->len == limit)
            r->body_state = BODY_TOO_LARGE;
        if (got < want || body->len == limit)
            return true;
    }
}

/* Takes the body from standard input.  False: no memory. */
static bool read_body(struct kvs_request *r, struct buf *body, const struct config *config)
{
    const long long length = gateway_content_length(variable, NULL);
    r->body_state = BODY_WHOLE;
    r->body = "";
    if (length > config->max_body) {
        r->body_state = BODY_TOO_LARGE;
        return true;
    }
    if (length < 0) {
        /* Without a length there is a body only where one is chunked, and then a method that has one. */
        if (r->method == METHOD_POST && !read_unknown(r, body, config))
            return false;
    } else if (length > 0) {
        char *room = buf_room(body, (size_t)length);
        if (!room)
            return false;
        body->len = read_input(room, (size_t)length, config->io_timeout);
        if (body->len < (size_t)length)
            r->body_state = BODY_CUT;
    }
    if (body->len > 0 && r->body_state != BODY_TOO_LARGE) {
        r->body = body->data;
        r->body_len = body->len;
    }
    return true;
}

/*
 * Reads away what is left of the body, of which `taken` bytes were read.  A web server that still writes when the program
 * ends loses the answer (mod_cgid does).  No more than DRAIN_MAX: who sends more may lose it.
 */
static void drain_input(size_t taken, int64_t timeout)
{
    enum { DRAIN_MAX = 64 * 1024 * 1024 };
    char away[READ_FIRST];
    const long long length = gateway_content_length(variable, NULL);
    if (length < 0 && taken == 0)
        return;
    const size_t whole = length >= 0 && length < DRAIN_MAX ? (size_t)length : DRAIN_MAX;
    size_t left = whole > taken ? whole - taken : 0;
    while (left > 0) {
        const size_t want = left < sizeof(away) ? left : sizeof(away);
        if (read_input(away, want, timeout) < want)
            return;
        left -= want;
    }
}

/* Ticks until the request that waits has its answer, or nobody waits for it any more. */
static void wait_for_answer(struct kvs *kvs, struct kvs_request *r, struct cgi_sink *s, const struct config *config)
{
    bool cancelled = false;
    int64_t progress = clock_mono();
    while (!s->done) {
        const int next = kvs_tick(kvs, false);
        if (s->done)
            return;
        const size_t waiting = cgi_sink_waiting(s);
        struct pollfd p[] = {{.fd = kvs_wake_fd(kvs), .events = POLLIN},
                             {.fd = s->gone ? -1 : s->fd, .events = waiting > 0 ? POLLOUT : 0}};
        const int most = (int)config->io_timeout;
        const int wait = waiting > 0 && (next < 0 || next > most) ? most : next;
        if (poll(p, 2, wait) < 0 && errno != EINTR)
            return;
        cgi_sink_flush(s);
        if (waiting == 0 || cgi_sink_waiting(s) < waiting)
            progress = clock_mono();
        const bool stuck = clock_mono() - progress > config->io_timeout;
        if ((p[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 || stuck)
            s->gone = true;
        if (s->gone && !cancelled) {
            cancelled = true;
            kvs_cancel(kvs, r);
        }
    }
}

int cgi_serve(struct kvs *kvs, const struct config *config, struct cgi_sink *s)
{
    struct kvs_request request = {.path = "/"};
    struct arena arena = ARENA_INIT;
    struct buf body = BUF_INIT;
    if (!gateway_request(&request, variable, NULL, &arena) || !read_body(&request, &body, config)) {
        answer_error(s, 503, "busy", "out of memory for this request; try again", config->io_timeout);
    } else {
        request.sink = &s->sink;
        s->head_only = request.method == METHOD_HEAD;
        kvs_handle(kvs, &request);
        wait_for_answer(kvs, &request, s, config);
        flush_all(s, config->io_timeout);
    }
    drain_input(body.len, config->io_timeout);
    arena_free(&arena);
    buf_free(&body);
    return s->gone || cgi_sink_waiting(s) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cgi_refuse(struct cgi_sink *s, const char *message)
{
    enum { TIMEOUT = 10000 }; /* the configuration may be what is wrong */
    log_line(LOG_ERROR, "%s", message);
    answer_error(s, 500, "internal", message, TIMEOUT);
    drain_input(0, TIMEOUT);
    return s->gone || cgi_sink_waiting(s) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
