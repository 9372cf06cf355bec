#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway.h"

static struct cgi_sink *of(struct kvs_sink *sink)
{
    return (struct cgi_sink *)sink;
}

static void give_up(struct cgi_sink *s)
{
    s->gone = true;
    buf_clear(&s->out);
    s->at = 0;
}

/*
 * What may block is made not to.  A pipe takes the first PIPE_BUF bytes at once, so a small answer needs no such call;
 * files and terminals are left alone: they do not block for long, and a terminal is shared with a shell.
 */
static void make_nonblocking(struct cgi_sink *s)
{
    struct stat st;
    s->nonblocking = true;
    if (fstat(s->fd, &st) != 0 || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
        return;
    const int flags = fcntl(s->fd, F_GETFL);
    if (flags >= 0)
        fcntl(s->fd, F_SETFL, flags | O_NONBLOCK);
}

/* Writes vectors; the bytes taken, or -1 with gone set. */
static ssize_t put(struct cgi_sink *s, struct iovec *v, int count)
{
    for (;;) {
        const ssize_t n = writev(s->fd, v, count);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR) {
            give_up(s);
            return -1;
        }
    }
}

/* An iovec is not const even where it is only read. */
static struct iovec vector(const void *data, size_t len)
{
    union {
        const void *in;
        void *out;
    } base = {data};
    return (struct iovec){base.out, len};
}

static void keep(struct cgi_sink *s, const struct iovec *v, size_t skip)
{
    const size_t off = skip < v->iov_len ? skip : v->iov_len;
    buf_add(&s->out, (const char *)v->iov_base + off, v->iov_len - off);
    if (!buf_ok(&s->out))
        give_up(s);
}

static void send(struct cgi_sink *s, const void *a, size_t a_len, const void *b, size_t b_len)
{
    struct iovec v[2] = {vector(a, a_len), vector(b, b_len)};
    ssize_t sent = 0;
    if (s->gone)
        return;
    if (!s->nonblocking && (a_len + b_len > PIPE_BUF || !s->done))
        make_nonblocking(s);
    if (cgi_sink_waiting(s) == 0)
        sent = put(s, v, 2);
    if (sent < 0 || (size_t)sent == a_len + b_len)
        return;
    if (s->at > 0 && s->at == s->out.len) {
        buf_clear(&s->out);
        s->at = 0;
    }
    keep(s, &v[0], (size_t)sent);
    keep(s, &v[1], (size_t)sent > a_len ? (size_t)sent - a_len : 0);
}

void cgi_sink_flush(struct cgi_sink *s)
{
    while (!s->gone && cgi_sink_waiting(s) > 0) {
        struct iovec v = {s->out.data + s->at, cgi_sink_waiting(s)};
        const ssize_t n = put(s, &v, 1);
        if (n <= 0)
            return;
        s->at += (size_t)n;
    }
    buf_clear(&s->out);
    s->at = 0;
}

static void send_head(struct cgi_sink *s, const struct kvs_response *response, bool whole)
{
    struct buf head = BUF_INIT;
    gateway_head(&head, response, whole);
    if (!buf_ok(&head))
        give_up(s);
    else
        send(s, head.data, head.len, response->body, whole && !s->head_only ? response->body_len : 0);
    buf_free(&head);
}

static void answer(struct kvs_sink *sink, const struct kvs_response *response)
{
    of(sink)->done = true;
    send_head(of(sink), response, true);
}

static void start(struct kvs_sink *sink, const struct kvs_response *response)
{
    send_head(of(sink), response, false);
}

static long stream(struct kvs_sink *sink, const void *data, size_t len)
{
    struct cgi_sink *s = of(sink);
    cgi_sink_flush(s);
    send(s, data, len, "", 0);
    return s->gone ? -1 : (long)cgi_sink_waiting(s);
}

static void end(struct kvs_sink *sink)
{
    of(sink)->done = true;
}

void cgi_sink_init(struct cgi_sink *s, int fd)
{
    *s = (struct cgi_sink){.sink = {answer, start, stream, end}, .fd = fd, .out = BUF_INIT};
}

void cgi_sink_free(struct cgi_sink *s)
{
    buf_free(&s->out);
}
