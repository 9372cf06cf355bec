/*
 * What goes out on one FastCGI connection: STDOUT records, END_REQUEST, replies.  Never blocks: what the socket does not
 * take is kept here until out_flush gets rid of it.  Not thread safe; the connection's lock guards it.
 */
#ifndef KVS_OUT_H
#define KVS_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct out {
    unsigned char *data; /* owned; NULL while nothing waits */
    size_t start;        /* first byte not yet sent */
    size_t end;
    size_t cap;
};

#define OUT_INIT                                                                                                       \
    {                                                                                                                  \
        NULL, 0, 0, 0                                                                                                  \
    }

/* Bytes on one of the parts that make up a STDOUT stream's piece. */
struct out_part {
    const void *data;
    size_t len;
};

enum { OUT_PARTS = 2 };

/*
 * Sends the parts, one behind the other, as STDOUT records of request id; with last, the end of STDOUT and END_REQUEST
 * follow.  False: the peer is gone, or there is no memory for what it did not take; nothing more can be sent then.
 */
bool out_stdout(struct out *out, int fd, uint16_t id, const struct out_part parts[OUT_PARTS], bool last);

/* Sends bytes as they are: a reply, a record made elsewhere.  False as above. */
bool out_raw(struct out *out, int fd, const void *data, size_t len);

/* Sends what waits, as far as the socket takes it.  False: the peer is gone. */
bool out_flush(struct out *out, int fd);

/* Bytes that wait. */
static inline size_t out_pending(const struct out *out)
{
    return out->end - out->start;
}

/* Drops what waits. */
void out_free(struct out *out);

#endif
