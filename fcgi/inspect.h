/*
 * Looks at the bytes of a FastCGI connection before libfcgi does: says when a request is whole, and keeps from libfcgi
 * whatever it would answer with a blocking write, misread or fall over.  No I/O and no allocation (but for the copy):
 * bytes in, an event out, and the same events however the bytes are cut up.
 *
 * What a web server may send: BEGIN_REQUEST (a responder), PARAMS…, an empty PARAMS, STDIN…, an empty STDIN, all of one
 * request id; in between, and while the answer is being made, management records (id 0), ABORT_REQUEST, and records of
 * other ids, which are refused (BEGIN) or passed over (the rest), as the FastCGI specification has it.
 */
#ifndef KVS_INSPECT_H
#define KVS_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum {
    INSPECT_PARAMS_MAX = 65536, /* bytes of all PARAMS together */
    INSPECT_SIDE_MAX = 256,     /* bytes of a GET_VALUES record */
    INSPECT_REPLY_MAX = 96
};

enum inspect_event {
    INSPECT_MORE,  /* every byte is used and the request is not whole */
    INSPECT_HEAD,  /* the parameters are whole: content_length is known; go on with the bytes not used */
    INSPECT_READY, /* the request is whole */
    INSPECT_REPLY, /* reply is to be sent; go on with the bytes not used, unless close is set */
    INSPECT_ABORT, /* the web server has given the request up; END_REQUEST is due */
    INSPECT_BAD    /* not FastCGI as it should be: close; why says more */
};

enum inspect_kind {
    INSPECT_BEGIN,
    INSPECT_PARAMS,
    INSPECT_STDIN,
    INSPECT_ABORTING,
    INSPECT_VALUES,
    INSPECT_UNKNOWN,
    INSPECT_SKIP
};

struct inspect {
    /* What was found; for reading. */
    uint16_t id;            /* of the request, once begun */
    bool begun;             /* BEGIN_REQUEST has been seen */
    bool keep;              /* FCGI_KEEP_CONN */
    bool head_done;         /* the parameters are whole */
    bool plain;             /* every byte so far can go to libfcgi as it came */
    int64_t content_length; /* CONTENT_LENGTH as sent; -1: none, or no number */
    uint64_t body_len;      /* STDIN bytes so far */
    uint32_t params_len;    /* PARAMS bytes so far */
    uint32_t pairs;         /* name-value pairs in them */
    unsigned char reply[INSPECT_REPLY_MAX];
    size_t reply_len;
    bool close; /* with INSPECT_REPLY: the connection ends with the reply */
    const char *why;

    /* Where in a record it stands. */
    bool busy; /* the request is being answered: only ABORT_REQUEST and strangers are expected */
    unsigned char header[8];
    unsigned header_len;
    enum inspect_kind kind;
    uint32_t content_left;
    uint32_t padding_left;
    unsigned char side[INSPECT_SIDE_MAX]; /* content of a BEGIN_REQUEST or GET_VALUES record */
    size_t side_len;

    /* Where in a name-value pair it stands. */
    unsigned pair_phase; /* 0 and 1: the lengths of name and value; 2 and 3: their bytes */
    unsigned pair_more;  /* bytes of the length at hand still to come */
    uint32_t pair_len[2];
    uint32_t pair_at;
    bool pair_is_length; /* the name so far is that of CONTENT_LENGTH */
    int64_t pair_number;
};

/* For a connection that stands before a request. */
void inspect_init(struct inspect *in);

/* For a connection whose request id is being answered. */
void inspect_init_busy(struct inspect *in, uint16_t id, bool keep);

/* The answer is out: what follows is a next request.  A record that has come in part stays begun. */
void inspect_next(struct inspect *in);

/* Whether it stands between records, so that it can be forgotten. */
bool inspect_between(const struct inspect *in);

/*
 * Takes up to n bytes and returns the first event among them; *used is how many it took, all of them with INSPECT_MORE.
 * copy, where not NULL, gets the request's records as libfcgi reads them rightly: without padding and without the
 * records in between.  After INSPECT_READY, INSPECT_ABORT and INSPECT_BAD it must be initialised anew.
 */
enum inspect_event inspect_feed(struct inspect *in, const unsigned char *data, size_t n, size_t *used,
                                struct buf *copy);

/* Writes an END_REQUEST record for id (16 bytes) with a protocol status of FastCGI's. */
size_t inspect_end_request(unsigned char *out, uint16_t id, unsigned char protocol_status);

#endif
