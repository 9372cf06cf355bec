/*
 * One HTTP request and where its answer goes, free of any transport.  The adapter owns both and keeps them alive until
 * the sink was called for the last time.
 */
#ifndef KVS_REQUEST_H
#define KVS_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum kvs_method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_OPTIONS, METHOD_OTHER };

enum kvs_body_state {
    BODY_WHOLE,     /* body and body_len hold all of it (maybe 0 bytes) */
    BODY_TOO_LARGE, /* over the limit; not read further than needed */
    BODY_CUT        /* the peer sent less than it announced */
};

struct kvs_response {
    int status;
    const char *content_type; /* NULL: no body */
    const char *headers;      /* further header lines, each ended by \r\n; "" for none */
    const char *body;
    size_t body_len;
};

struct kvs_sink {
    /* The whole answer; the bytes are valid during the call only.  Final. */
    void (*answer)(struct kvs_sink *sink, const struct kvs_response *response);
    /* A stream's head (body NULL).  Followed by any number of writes and one end. */
    void (*start)(struct kvs_sink *sink, const struct kvs_response *response);
    /*
     * Bytes of a stream, to be sent at once.  Never blocks: what the peer does not take is buffered by the sink.  Returns
     * the bytes now waiting to be taken, or -1 when the peer is gone.
     */
    long (*write)(struct kvs_sink *sink, const void *data, size_t len);
    /* The stream is over.  Final. */
    void (*end)(struct kvs_sink *sink);
};

struct kvs_request {
    enum kvs_method method;
    const char *path;               /* endpoint behind the mount point, "/kv/get"; never NULL */
    const char *query;              /* raw query string, "" for none */
    const char *authorization;      /* header values, NULL where absent */
    const char *authorization_name; /* which meta-variable that came in; NULL: not known */
    const char *token;              /* X-KVS-Token */
    const char *content_type;
    const char *accept;
    const char *origin;
    const char *last_event_id;
    const char *request_id;
    const char *body;
    size_t body_len;
    enum kvs_body_state body_state;
    struct kvs_sink *sink;
    void *core;       /* the core's, NULL before kvs_handle */
    atomic_bool gone; /* the core's: kvs_cancel was called; false before kvs_handle */
};

#endif
