#include "input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway.h"

enum { READ_FIRST = 65536, DRAIN_MAX = 64 * 1024 * 1024 /* who sends more than this in vain may lose the answer */ };

static const char *variable(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

bool cgi_input_head(struct kvs_request *r, struct arena *arena)
{
    return gateway_request(r, variable, NULL, arena);
}

bool cgi_input_is_command_line(void)
{
    const char *query = getenv("QUERY_STRING");
    return getenv("REQUEST_METHOD") && query && query[0] && !strchr(query, '=');
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

bool cgi_input_body(struct kvs_request *r, struct buf *body, const struct config *config)
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

void cgi_input_drain(size_t taken, int64_t timeout)
{
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
