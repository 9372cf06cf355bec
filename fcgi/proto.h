/*
 * The FastCGI record layer's numbers (version 1), and its header.
 */
#ifndef KVS_PROTO_H
#define KVS_PROTO_H

#include <stddef.h>
#include <stdint.h>

enum { PROTO_VERSION = 1, PROTO_HEADER = 8, PROTO_RESPONDER = 1, PROTO_KEEP_CONN = 1 };

enum {
    PROTO_BEGIN_REQUEST = 1,
    PROTO_ABORT_REQUEST = 2,
    PROTO_END_REQUEST = 3,
    PROTO_PARAMS = 4,
    PROTO_STDIN = 5,
    PROTO_STDOUT = 6,
    PROTO_DATA = 8,
    PROTO_GET_VALUES = 9,
    PROTO_GET_VALUES_RESULT = 10,
    PROTO_UNKNOWN_TYPE = 11
};

/* What END_REQUEST says. */
enum { PROTO_REQUEST_COMPLETE = 0, PROTO_CANT_MPX_CONN = 1, PROTO_UNKNOWN_ROLE = 3 };

/* Bytes that bring a record of this length to a multiple of eight. */
static inline size_t proto_padding(size_t length)
{
    return (8 - length % 8) % 8;
}

static inline void proto_header(unsigned char out[PROTO_HEADER], unsigned char type, uint16_t id, uint16_t length,
                                unsigned char padding)
{
    out[0] = PROTO_VERSION;
    out[1] = type;
    out[2] = (unsigned char)(id >> 8);
    out[3] = (unsigned char)(id & 0xff);
    out[4] = (unsigned char)(length >> 8);
    out[5] = (unsigned char)(length & 0xff);
    out[6] = padding;
    out[7] = 0;
}

#endif
