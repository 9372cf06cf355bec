#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "arena.h"
#include "buf.h"
#include "clock.h"
#include "input.h"
#include "refusal.h"

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

static int exit_status(const struct cgi_sink *s)
{
    return s->gone || cgi_sink_waiting(s) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
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

/* The request, without its body; false where it was answered already, for want of memory. */
static bool begin_request(struct kvs_request *request, struct arena *arena, struct cgi_sink *s)
{
    *request = (struct kvs_request){.path = "/", .sink = &s->sink};
    if (cgi_input_head(request, arena)) {
        s->head_only = request->method == METHOD_HEAD;
        return true;
    }
    refusal_error(NULL, request, ERR_NO_MEMORY, error_text(ERR_NO_MEMORY));
    return false;
}

int cgi_serve(struct kvs *kvs, const struct config *config, struct cgi_sink *s)
{
    struct kvs_request request;
    struct arena arena = ARENA_INIT;
    struct buf body = BUF_INIT;
    if (begin_request(&request, &arena, s)) {
        if (cgi_input_body(&request, &body, config)) {
            kvs_handle(kvs, &request);
            wait_for_answer(kvs, &request, s, config);
        } else {
            refusal_error(config, &request, ERR_NO_MEMORY, error_text(ERR_NO_MEMORY));
        }
    }
    flush_all(s, config->io_timeout);
    cgi_input_drain(body.len, config->io_timeout);
    arena_free(&arena);
    buf_free(&body);
    return exit_status(s);
}

int cgi_refuse(struct diagnose *subject, struct cgi_sink *s)
{
    enum { TIMEOUT = 10000 }; /* the configuration may be what is wrong */
    struct kvs_request request;
    struct arena arena = ARENA_INIT;
    struct diagnose_report report;
    if (begin_request(&request, &arena, s)) {
        subject->request = &request;
        diagnose_run(subject, &report);
        diagnose_log(&report);
        refusal_answer(subject, &report, &request);
    }
    flush_all(s, TIMEOUT);
    cgi_input_drain(0, TIMEOUT);
    arena_free(&arena);
    return exit_status(s);
}
