#include "serve.h"

#include <fcgiapp.h>
#include <stdio.h>
#include <string.h>

#include "front.h"
#include "gateway.h"
#include "mem.h"

enum {
    BODY_IN_ARENA = 32768,
    ROOM_FIXED = 24576, /* libfcgi's streams: buffers of 8, 8 and 1/2 KiB, and what belongs to them */
    ROOM_PAIR = 80      /* a string's terminators and its allocation's head; places in a table that doubles */
};

/* The parameters as libfcgi has them; what is asked for is copied, so that libfcgi's own can go at once. */
struct params {
    char **envp;
    struct arena *arena;
    bool no_memory;
};

static const char *param(void *context, const char *name)
{
    struct params *params = context;
    const size_t len = strlen(name);
    for (char **p = params->envp; *p; p++) {
        if (**p != *name || strncmp(*p, name, len) != 0 || (*p)[len] != '=')
            continue;
        const char *value = *p + len + 1;
        const char *copy = arena_dup(params->arena, value, strlen(value));
        if (!copy)
            params->no_memory = true;
        return copy;
    }
    return NULL;
}

/* Reads exactly n bytes of STDIN.  FCGX_GetStr counts in int. */
static bool read_all(FCGX_Stream *in, char *out, size_t n)
{
    while (n > 0) {
        const int want = n < 1 << 30 ? (int)n : 1 << 30;
        const int got = FCGX_GetStr(out, want, in);
        if (got != want)
            return false;
        out += got;
        n -= (size_t)got;
    }
    return true;
}

/* The body, whose length is known by now, and the end of STDIN behind it. */
static bool read_body(struct conn *c, FCGX_Stream *in)
{
    struct kvs_request *r = &c->request;
    size_t len = (size_t)c->body_len;
    char *body = NULL;
    if (len > BODY_IN_ARENA)
        body = c->body = mem_alloc(len);
    else if (len > 0)
        body = arena_alloc(&c->arena, len);
    if (len > 0 && (!body || !read_all(in, body, len)))
        return false;
    if (FCGX_GetChar(in) != EOF)
        return false;
    if (c->content_length >= 0 && (uint64_t)c->content_length < c->body_len)
        len = (size_t)c->content_length;
    r->body = len > 0 ? body : "";
    r->body_len = len;
    r->body_state = c->content_length > 0 && (uint64_t)c->content_length > c->body_len ? BODY_CUT : BODY_WHOLE;
    return true;
}

static bool fill(struct conn *c, FCGX_Request *from)
{
    struct kvs_request *r = &c->request;
    struct params params = {from->envp, &c->arena, false};
    memset(r, 0, sizeof(*r));
    r->sink = &c->sink;
    if (!gateway_request(r, param, &params, &c->arena) || params.no_memory)
        return false;
    const uint64_t limit = (uint64_t)c->front->config->max_body;
    const bool too_large = c->body_len > limit || (c->content_length >= 0 && (uint64_t)c->content_length > limit);
    if (!c->unread && !read_body(c, from->in))
        return false;
    if (too_large) {
        r->body = "";
        r->body_len = 0;
        r->body_state = BODY_TOO_LARGE;
    }
    return true;
}

size_t serve_room(const struct conn *c)
{
    return ROOM_FIXED + c->params_len + (size_t)c->pairs * ROOM_PAIR;
}

/*
 * libfcgi ends the process where it gets no memory.  So what it needs at most is allocated before and given back at once:
 * this thread finds it where it was.
 */
static bool have_room(const struct conn *c)
{
    void *room = mem_alloc(serve_room(c));
    mem_free(room);
    return room != NULL;
}

enum serve_result serve_read(struct conn *c, int fd)
{
    FCGX_Request from;
    if (!have_room(c))
        return SERVE_FAILED;
    FCGX_InitRequest(&from, -1, 0);
    from.ipcFd = fd;
    from.keepConnection = 1; /* else the first thing it does is to close fd */
    if (FCGX_Accept_r(&from) != 0)
        return SERVE_LOST;
    const bool ok = fill(c, &from);
    FCGX_Free(&from, 0);
    return ok ? SERVE_OK : SERVE_FAILED;
}
