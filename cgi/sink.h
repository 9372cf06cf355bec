/*
 * The answer of a CGI program: the head and bytes on standard output.  Never waits for the web server to read: what the
 * pipe does not take is kept, and sink_flush sends it when poll says so.
 */
#ifndef KVS_CGI_SINK_H
#define KVS_CGI_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "request.h"

struct cgi_sink {
    struct kvs_sink sink; /* first: the core hands it back */
    int fd;
    bool head_only;   /* HEAD: no body */
    bool nonblocking; /* fd is */
    bool done;        /* the last call was made */
    bool gone;        /* nobody reads any more */
    struct buf out;   /* waiting bytes, from at on */
    size_t at;
};

void cgi_sink_init(struct cgi_sink *s, int fd);

static inline size_t cgi_sink_waiting(const struct cgi_sink *s)
{
    return s->out.len - s->at;
}

/* Sends what waits, as far as it is taken. */
void cgi_sink_flush(struct cgi_sink *s);

void cgi_sink_free(struct cgi_sink *s);

#endif
