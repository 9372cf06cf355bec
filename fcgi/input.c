#include "input.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "clock.h"
#include "front.h"
#include "log.h"
#include "proto.h"

enum {
    SLOWEST = 16,       /* bytes a millisecond that a large body must come in at, on the whole */
    GRACE_TIMEOUTS = 6, /* ... after that many io_timeouts */
    LOOKS = 32,         /* blocks taken from one connection before others get their turn */
    REPLIES_MAX = 4096  /* bytes of replies in one request's time */
};

/* Bytes waiting in the socket; 0: none for now, -1: closed or broken. */
static ssize_t look(const struct conn *c, unsigned char *peek)
{
    for (;;) {
        const ssize_t n = recv(c->fd, peek, CONN_PEEK, MSG_PEEK | MSG_DONTWAIT);
        if (n > 0)
            return n;
        if (n == 0)
            return -1;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR)
            return -1;
    }
}

/* Takes n bytes that look() has shown off the socket. */
static bool consume(const struct conn *c, unsigned char *scratch, size_t n)
{
    while (n > 0) {
        const ssize_t got = recv(c->fd, scratch, n, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        n -= (size_t)got;
    }
    return true;
}

/* What the inspector learnt about the request that is whole, or whole enough. */
static void adopt(struct conn *c, const struct inspect *in)
{
    c->id = in->id;
    c->keep = in->keep;
    c->content_length = in->content_length;
    c->body_len = in->body_len;
    c->params_len = in->params_len;
    c->pairs = in->pairs;
    c->unread = false;
}

/* The common case: one look shows a whole request and nothing else. */
static bool read_direct(struct conn *c, const unsigned char *bytes, size_t n)
{
    struct inspect in;
    enum inspect_event event;
    size_t used;
    size_t at = 0;
    inspect_init(&in);
    do {
        event = inspect_feed(&in, bytes + at, n - at, &used, NULL);
        at += used;
    } while (event == INSPECT_HEAD);
    if (event != INSPECT_READY || at != n || !in.plain)
        return false;
    adopt(c, &in);
    return true;
}

/* A request that will be refused for its size, as soon as its parameters are there. */
static enum input_result refuse(struct conn *c, const struct inspect *in)
{
    adopt(c, in);
    c->unread = true;
    return INPUT_SPOOLED;
}

/* The parameters are whole: is there room for the body? */
static enum input_result judge_head(struct conn *c)
{
    struct spool *s = c->spool;
    const int64_t limit = c->front->config->max_body;
    const int64_t length = s->in.content_length;
    if (length > limit)
        return refuse(c, &s->in);
    if (spool_reserve(s, &c->front->budget, length >= 0 ? length : limit))
        return INPUT_WAIT;
    c->paused = true;
    atomic_fetch_add(&c->front->paused, 1);
    c->deadline = clock_mono() + c->front->config->busy_timeout;
    front_want_sweep(c->front);
    return INPUT_WAIT;
}

/* A peer that asks and does not read is not worth the memory. */
static bool reply(struct conn *c, const void *data, size_t len)
{
    c->replied += len;
    return c->replied <= REPLIES_MAX && out_raw(&c->out, c->fd, data, len);
}

/* The web server has taken a request back that is not whole yet. */
static enum input_result take_back(struct conn *c)
{
    unsigned char record[PROTO_HEADER + 8];
    const bool keep = c->spool->in.keep;
    if (!reply(c, record, inspect_end_request(record, c->spool->in.id, PROTO_REQUEST_COMPLETE)))
        return INPUT_CLOSE;
    spool_restart(c->spool, &c->front->budget, clock_mono());
    c->deadline = 0;
    return keep ? INPUT_WAIT : INPUT_ENDED;
}

static enum input_result event_result(struct conn *c, enum inspect_event event)
{
    struct inspect *in = &c->spool->in;
    switch (event) {
    case INSPECT_MORE:
        return in->body_len > (uint64_t)c->front->config->max_body ? refuse(c, in) : INPUT_WAIT;
    case INSPECT_HEAD:
        return judge_head(c);
    case INSPECT_READY:
        adopt(c, in);
        return INPUT_SPOOLED;
    case INSPECT_REPLY:
        if (!reply(c, in->reply, in->reply_len))
            return INPUT_CLOSE;
        return in->close ? INPUT_ENDED : INPUT_WAIT;
    case INSPECT_ABORT:
        return take_back(c);
    default:
        log_line(LOG_DEBUG, "connection closed: %s", in->why);
        return INPUT_CLOSE;
    }
}

/* Takes the bytes that a look has shown, up to the end of the request, into the spool. */
static enum input_result read_spooled(struct conn *c, unsigned char *bytes, size_t n)
{
    enum input_result result = INPUT_WAIT;
    size_t at = 0;
    while (at < n && result == INPUT_WAIT && !c->paused) {
        size_t used;
        const enum inspect_event event = inspect_feed(&c->spool->in, bytes + at, n - at, &used, &c->spool->data);
        at += used;
        result = event_result(c, event);
    }
    if (!consume(c, bytes, at) || !spool_keep(c->spool, front_spool_limit(c->front)))
        return INPUT_CLOSE;
    c->event = at < n; /* more is there already: look again when this is done */
    return result;
}

int64_t input_deadline(const struct conn *c, int64_t started, uint64_t bytes)
{
    const int64_t timeout = c->front->config->io_timeout;
    const int64_t next = clock_mono() + timeout;
    const int64_t last = started + GRACE_TIMEOUTS * timeout + (int64_t)(bytes / SLOWEST);
    return next < last ? next : last;
}

/* Sets when a request that is not whole yet will be given up. */
static void set_deadline(struct conn *c, bool progress)
{
    const struct spool *s = c->spool;
    if (!s && !c->fresh)
        return; /* between requests: the web server may keep the connection as long as it likes */
    if (s && !s->in.begun && inspect_between(&s->in) && !c->fresh)
        return;
    if (!s || !s->in.head_done) {
        if (c->deadline == 0)
            c->deadline = clock_mono() + c->front->config->io_timeout;
    } else if (progress) {
        c->deadline = input_deadline(c, s->started, s->in.body_len);
    }
    front_want_sweep(c->front);
}

/* Whether a paused connection may go on. */
static bool resume(struct conn *c)
{
    if (!c->paused)
        return true;
    const int64_t length = c->spool->in.content_length;
    if (!spool_reserve(c->spool, &c->front->budget, length >= 0 ? length : c->front->config->max_body))
        return false;
    c->paused = false;
    atomic_fetch_sub(&c->front->paused, 1);
    return true;
}

enum input_result input_read(struct conn *c, unsigned char *peek)
{
    bool progress = c->paused;
    if (!resume(c))
        return INPUT_WAIT;
    for (int i = 0; i < LOOKS; i++) {
        const ssize_t n = look(c, peek);
        if (n < 0)
            return INPUT_CLOSE;
        c->event = n > 0;
        if (n == 0)
            break;
        progress = true;
        if (!c->spool && read_direct(c, peek, (size_t)n)) {
            c->event = false;
            return INPUT_DIRECT;
        }
        if (!c->spool && !(c->spool = spool_new(clock_mono())))
            return INPUT_CLOSE;
        const enum input_result result = read_spooled(c, peek, (size_t)n);
        if (result != INPUT_WAIT)
            return result;
        if (c->paused)
            return INPUT_WAIT;
    }
    set_deadline(c, progress);
    return INPUT_WAIT;
}

/*
 * The peer has shut down at least its sending side.  On a Unix socket it can be seen whether it still reads; on TCP it is
 * taken to be gone, as a web server that closes looks just so.
 */
static bool is_gone(const struct conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = 0};
    if (c->front->listener.tcp)
        return true;
    return poll(&p, 1, 0) != 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* Records that come while a request waits. */
static void watch_bytes(struct conn *c, unsigned char *bytes, size_t n)
{
    size_t at = 0;
    struct inspect *in = &c->spool->in;
    while (at < n && !c->gone) {
        size_t used;
        const enum inspect_event event = inspect_feed(in, bytes + at, n - at, &used, NULL);
        at += used;
        if (event == INSPECT_REPLY)
            c->gone = !reply(c, in->reply, in->reply_len);
        else if (event == INSPECT_ABORT)
            c->aborted = true;
        else if (event != INSPECT_MORE)
            c->gone = true;
    }
    if (!consume(c, bytes, at))
        c->gone = true;
}

void input_watch(struct conn *c, unsigned char *peek)
{
    while (!c->gone && !c->aborted) {
        const ssize_t n = look(c, peek);
        if (n == 0)
            return;
        if (n < 0) {
            c->gone = is_gone(c);
            return;
        }
        if (!c->spool) {
            c->spool = spool_new(0);
            if (!c->spool) {
                c->gone = true;
                return;
            }
            inspect_init_busy(&c->spool->in, c->id, c->keep);
        }
        watch_bytes(c, peek, (size_t)n);
    }
}
