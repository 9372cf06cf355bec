/*
 * Bytes coming in on a connection, before libfcgi and while a request waits.
 */
#ifndef KVS_INPUT_H
#define KVS_INPUT_H

#include "conn.h"

enum input_result {
    INPUT_WAIT,    /* not whole yet */
    INPUT_DIRECT,  /* whole, and still in the socket: libfcgi may read it there */
    INPUT_SPOOLED, /* whole (or known to be too large), in the spool */
    INPUT_ENDED, /* the web server took the request back and wants the connection closed after what waits to be sent */
    INPUT_CLOSE  /* the peer is gone, or sent what is no FastCGI */
};

/* The connection is reading: takes what is there.  With its lock. */
enum input_result input_read(struct conn *c, unsigned char *peek);

/*
 * When a peer that has just sent something is given up unless it sends more: after io_timeout, but no later than one that
 * sends `bytes` slowly may take since `started` (both clock_mono, in ms).
 */
int64_t input_deadline(const struct conn *c, int64_t started, uint64_t bytes);

/* A request waits: sets gone or aborted where the web server has left.  With its lock. */
void input_watch(struct conn *c, unsigned char *peek);

#endif
