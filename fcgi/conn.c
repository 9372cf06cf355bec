#include "conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "front.h"
#include "gateway.h"
#include "input.h"
#include "mem.h"
#include "serve.h"

enum {
    DRAIN_BUFFER = 16384,
    SLOW_US = 250,        /* a request that keeps its worker longer is slow */
    SLOW_MEMORY = 64,     /* ... and remembered for so many that are not */
    DRAIN_SLACK = 1 << 20 /* bytes beyond twice the body limit that are thrown away before a peer is cut off */
};

/* --- Life of a connection; all with its lock --- */

static void drop_request(struct conn *c)
{
    arena_free(&c->arena);
    mem_free(c->body);
    c->body = NULL;
    c->request = (struct kvs_request){.path = ""};
}

static void close_conn(struct conn *c)
{
    if (c->paused)
        atomic_fetch_sub(&c->front->paused, 1);
    c->paused = false;
    if (c->fd >= 0)
        close(c->fd); /* leaves the epoll set with that */
    c->fd = -1;
    out_free(&c->out);
    spool_free(c->spool, &c->front->budget);
    c->spool = NULL;
    drop_request(c);
    c->state = CONN_FREE;
    c->to_pool = true;
}

/*
 * Waits for what the state needs: input always, output where some is pending.  A write in the queue of a group commit
 * is answered within milliseconds and is not watched; conn_sweep sees to those that wait for long.
 */
static void await(struct conn *c, bool whatever)
{
    const bool want_out = out_pending(&c->out) > 0;
    const bool queued = c->state == CONN_RUNNING && !want_out && (c->holds > 0 || !c->streaming);
    if (c->state == CONN_FREE || (!c->registered && queued && !whatever))
        return;
    const bool again = c->event && c->holds == 0 && !c->paused;
    if (c->registered && want_out == c->want_out && !again)
        return;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (want_out)
        e.events |= EPOLLOUT;
    if (again)
        c->event = false; /* the call reports what is ready once more */
    if (epoll_ctl(c->front->epoll_fd, c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) != 0)
        c->gone = true; /* no memory in the kernel; the sweep ends it */
    c->registered = true;
    c->want_out = want_out;
}

/* Ends a turn with the lock. */
static void let_go(struct conn *c)
{
    await(c, false);
    const bool to_pool = c->to_pool;
    c->to_pool = false;
    pthread_mutex_unlock(&c->lock);
    if (to_pool)
        front_put(c->front, c);
}

/* A peer has io_timeout to take at least something of what waits for it. */
static void expect_progress(struct conn *c, bool progress)
{
    if (out_pending(&c->out) == 0) {
        c->deadline = 0;
    } else if (progress || c->deadline == 0) {
        c->deadline = clock_mono() + c->front->config->io_timeout;
        front_want_sweep(c->front);
    }
}

static void set_gone(struct conn *c)
{
    c->gone = true;
    out_free(&c->out);
    c->deadline = 0;
}

/* Throws away what the peer still sends, until it closes or sends no more for too long. */
static void drain(struct conn *c)
{
    char scratch[DRAIN_BUFFER];
    const int64_t most = 2 * c->front->config->max_body + DRAIN_SLACK;
    while (c->drained <= most) {
        const ssize_t n = recv(c->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
        if (n > 0) {
            c->drained += n;
            c->deadline = input_deadline(c, c->drained_from, (uint64_t)c->drained);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            front_want_sweep(c->front);
            return;
        } else {
            break;
        }
    }
    close_conn(c);
}

/* Everything is sent: on to the next request, or to the end. */
static void sent(struct conn *c)
{
    c->deadline = 0;
    if (c->keep && !c->unread && !c->gone) {
        c->state = CONN_READING;
        c->fresh = false;
        c->replied = 0;
        return;
    }
    if (c->gone || (!c->unread && !c->event) || shutdown(c->fd, SHUT_WR) != 0) {
        close_conn(c);
        return;
    }
    c->state = CONN_DRAINING;
    c->drained = 0;
    c->drained_from = clock_mono();
    c->deadline = c->drained_from + c->front->config->io_timeout;
    drain(c);
}

/* The connection's answer is made; the socket may not have taken all of it. */
static void flush_out(struct conn *c)
{
    if (c->gone || out_pending(&c->out) == 0) {
        sent(c);
        return;
    }
    c->state = CONN_FLUSHING;
    expect_progress(c, true);
}

/* The core has let go of the request. */
static void finish(struct conn *c)
{
    drop_request(c);
    if (c->spool) {
        inspect_next(&c->spool->in);
        if (inspect_between(&c->spool->in)) {
            spool_free(c->spool, &c->front->budget);
            c->spool = NULL;
        }
    }
    flush_out(c);
}

/* Sends on what waits. */
static void push(struct conn *c)
{
    const size_t before = out_pending(&c->out);
    if (before == 0)
        return;
    if (!out_flush(&c->out, c->fd)) {
        set_gone(c);
        return;
    }
    expect_progress(c, out_pending(&c->out) < before);
}

/* --- Into the core and out of it; the lock is let go meanwhile --- */

/* A thread is back from the core: the last one of a request that is done finishes it. */
static void back(struct conn *c)
{
    c->holds--;
    if (c->done && c->holds == 0)
        finish(c);
}

/* Takes a request that waits back from the core where nobody is there any more to answer. */
static void cancel_if_left(struct conn *c)
{
    if (c->state != CONN_RUNNING || c->holds > 0 || c->done || c->cancelled || !(c->gone || c->aborted))
        return;
    c->cancelled = true;
    c->holds++;
    pthread_mutex_unlock(&c->lock);
    kvs_cancel(c->front->kvs, &c->request);
    pthread_mutex_lock(&c->lock);
    back(c);
}

/* Reads the request, which nobody else touches now.  Without the lock. */
static enum serve_result read_request(struct conn *c, struct spool *spool)
{
    if (!spool)
        return serve_read(c, c->fd);
    const int fd = spool_open(spool);
    if (fd < 0)
        return SERVE_FAILED;
    const enum serve_result result = serve_read(c, fd);
    if (result == SERVE_LOST)
        return SERVE_FAILED; /* the spool's descriptor, not the connection's */
    close(fd);
    return result;
}

/* Hands the request to the core, and remembers whether that took long. */
static void handle(struct conn *c)
{
    struct front *f = c->front;
    const int64_t begin = clock_mono_us();
    kvs_handle(f->kvs, &c->request);
    const int slow = atomic_load_explicit(&f->slow, memory_order_relaxed);
    if (clock_mono_us() - begin > SLOW_US)
        atomic_store_explicit(&f->slow, SLOW_MEMORY, memory_order_relaxed);
    else if (slow > 0)
        atomic_store_explicit(&f->slow, slow - 1, memory_order_relaxed);
}

static void run(struct conn *c)
{
    struct spool *spool = c->spool;
    c->spool = NULL;
    c->state = CONN_RUNNING;
    c->deadline = 0;
    c->holds = 1;
    c->done = c->streaming = c->aborted = c->cancelled = false;
    pthread_mutex_unlock(&c->lock);

    const enum serve_result result = read_request(c, spool);
    spool_free(spool, &c->front->budget);
    if (result == SERVE_OK)
        handle(c);

    pthread_mutex_lock(&c->lock);
    if (result == SERVE_OK) {
        back(c);
        cancel_if_left(c);
        return;
    }
    if (result == SERVE_LOST)
        c->fd = -1;
    c->holds = 0;
    close_conn(c);
}

/* --- The sink: calls from whichever thread has the answer --- */

static struct conn *of_sink(struct kvs_sink *sink)
{
    return (struct conn *)sink;
}

static void send_parts(struct conn *c, const char *a, size_t a_len, const char *b, size_t b_len, bool last)
{
    const struct out_part parts[OUT_PARTS] = {{a, a_len}, {b, b_len}};
    if (c->gone)
        return;
    const size_t before = out_pending(&c->out);
    if (!out_stdout(&c->out, c->fd, c->id, parts, last))
        set_gone(c);
    else if (before == 0)
        expect_progress(c, true);
}

static void send_head(struct conn *c, const struct kvs_response *response, bool whole)
{
    struct buf head = BUF_INIT;
    const bool body = whole && c->request.method != METHOD_HEAD;
    gateway_head(&head, response, whole);
    if (buf_ok(&head))
        send_parts(c, head.data, head.len, response->body, body ? response->body_len : 0, whole);
    else
        set_gone(c);
    buf_free(&head);
}

static void sink_finish(struct conn *c)
{
    c->done = true;
    if (c->holds == 0)
        finish(c);
    let_go(c);
}

static void sink_answer(struct kvs_sink *sink, const struct kvs_response *response)
{
    struct conn *c = of_sink(sink);
    pthread_mutex_lock(&c->lock);
    send_head(c, response, true);
    sink_finish(c);
}

static void sink_start(struct kvs_sink *sink, const struct kvs_response *response)
{
    struct conn *c = of_sink(sink);
    pthread_mutex_lock(&c->lock);
    c->streaming = true;
    send_head(c, response, false);
    let_go(c);
}

static long sink_write(struct kvs_sink *sink, const void *data, size_t len)
{
    struct conn *c = of_sink(sink);
    pthread_mutex_lock(&c->lock);
    push(c);
    send_parts(c, data, len, NULL, 0, false);
    const long waiting = c->gone || c->aborted ? -1 : (long)out_pending(&c->out);
    let_go(c);
    return waiting;
}

static void sink_end(struct kvs_sink *sink)
{
    struct conn *c = of_sink(sink);
    pthread_mutex_lock(&c->lock);
    send_parts(c, NULL, 0, NULL, 0, true);
    sink_finish(c);
}

/* --- What others call --- */

void conn_begin(struct conn *c, struct front *front, int fd)
{
    pthread_mutex_lock(&c->lock);
    c->sink = (struct kvs_sink){sink_answer, sink_start, sink_write, sink_end};
    c->front = front;
    c->fd = fd;
    c->state = CONN_READING;
    c->fresh = true;
    c->registered = c->want_out = c->event = c->paused = c->to_pool = false;
    c->deadline = 0;
    c->replied = 0;
    c->holds = 0;
    c->keep = c->unread = c->gone = c->done = c->streaming = c->aborted = c->cancelled = false;
    c->content_length = -1;
    c->body_len = 0;
    pthread_mutex_unlock(&c->lock);
}

void conn_destroy(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    out_free(&c->out);
    if (c->spool)
        spool_free(c->spool, &c->front->budget);
    arena_free(&c->arena);
    mem_free(c->body);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static void work_reading(struct conn *c, unsigned char *peek)
{
    push(c);
    switch (input_read(c, peek)) {
    case INPUT_DIRECT:
    case INPUT_SPOOLED:
        run(c);
        break;
    case INPUT_ENDED:
        c->keep = false;
        c->unread = true;
        flush_out(c);
        break;
    case INPUT_CLOSE:
        close_conn(c);
        break;
    case INPUT_WAIT:
        break;
    }
}

void conn_work(struct conn *c, unsigned char *peek)
{
    pthread_mutex_lock(&c->lock);
    switch (c->state) {
    case CONN_READING:
        work_reading(c, peek);
        break;
    case CONN_RUNNING:
        push(c);
        if (c->holds > 0) {
            c->event = true;
        } else {
            input_watch(c, peek);
            cancel_if_left(c);
        }
        break;
    case CONN_FLUSHING:
        push(c);
        flush_out(c);
        break;
    case CONN_DRAINING:
        drain(c);
        break;
    case CONN_FREE:
        break;
    }
    let_go(c);
}

void conn_hand_over(struct conn *c)
{
    pthread_mutex_lock(&c->lock);
    let_go(c);
}

static void overdue(struct conn *c)
{
    if (c->state == CONN_RUNNING) {
        set_gone(c);
        cancel_if_left(c);
    } else if (c->state != CONN_FREE) {
        close_conn(c);
    }
}

void conn_sweep(struct conn *c, int64_t now)
{
    pthread_mutex_lock(&c->lock);
    if ((c->deadline != 0 && now >= c->deadline) || (c->gone && c->state != CONN_FREE))
        overdue(c);
    if (c->paused) {
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = c};
        if (c->registered)
            epoll_ctl(c->front->epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
    } else if (c->state == CONN_RUNNING && c->holds == 0) {
        await(c, true);
    }
    let_go(c);
}

bool conn_is_busy(struct conn *c)
{
    pthread_mutex_lock(&c->lock);
    const bool coming = c->state == CONN_READING && (c->fresh || c->spool || c->event);
    const bool busy = coming || (c->state == CONN_RUNNING && c->holds > 0);
    pthread_mutex_unlock(&c->lock);
    return busy;
}

static bool has_input(const struct conn *c)
{
    char byte;
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/*
 * Sees to it that nothing more comes, and answers whether nothing has come that is still to be read.  A Unix socket that
 * is shut for reading refuses what its peer would write, so that a request on a kept connection is either seen here or
 * known not to be sent.  TCP has no such thing: the moment between the look and the close remains.
 */
static bool comes_to_rest(const struct conn *c)
{
    if (c->state != CONN_READING || out_pending(&c->out) > 0 || has_input(c))
        return false;
    if (!c->front->listener.tcp)
        shutdown(c->fd, SHUT_RD);
    return !has_input(c);
}

void conn_close(struct conn *c, enum conn_close_which which)
{
    pthread_mutex_lock(&c->lock);
    if (comes_to_rest(c))
        close_conn(c);
    else if (which == CONN_CLOSE_ANSWERED && c->state != CONN_FREE && c->state != CONN_RUNNING)
        close_conn(c);
    let_go(c);
}
