/*
 * One connection from the web server and the request on it.
 *
 *   READING ──request whole──► RUNNING ──last sink call──► FLUSHING ──all sent──► READING (keep-alive), or closed,
 *                                                                                 or DRAINING where the peer still sends
 *
 * A connection is an entry in the epoll set (edge-triggered, added only when it has to wait for something) or in the
 * hands of whichever threads call into it; its lock guards all of it, but for what a request's reader has to itself
 * while holds > 0 (arena, body, spool).  Objects are pooled and never freed before the end, so that an event that comes
 * late finds an object, if maybe another connection's: every event is a hint and nothing more.
 */
#ifndef KVS_CONN_H
#define KVS_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "out.h"
#include "request.h"
#include "spool.h"

struct front;

enum { CONN_PEEK = 65536 }; /* bytes looked at at once */

enum conn_state {
    CONN_FREE,
    CONN_READING,  /* between requests, or one is coming in */
    CONN_RUNNING,  /* the core has the request: it runs, or waits */
    CONN_FLUSHING, /* answered; the socket has not taken all of it yet */
    CONN_DRAINING  /* all sent; what the peer still sends is thrown away, lest a reset eats the answer */
};

struct conn {
    struct kvs_sink sink; /* first: the core hands it back */
    pthread_mutex_t lock;
    struct front *front;
    struct conn *next_free;
    int fd;
    enum conn_state state;

    bool registered;  /* in the epoll set */
    bool want_out;    /* ... for EPOLLOUT too */
    bool event;       /* something happened that has not been looked into */
    bool fresh;       /* no request has been served on it */
    bool paused;      /* waits for its share of the spool budget */
    bool to_pool;     /* closed by the thread that holds the lock */
    int64_t deadline; /* clock_mono; 0: none */
    struct out out;
    struct spool *spool;  /* NULL while requests come in one piece */
    size_t replied;       /* bytes of replies to records that are no request's, since the last request */
    int64_t drained;      /* bytes thrown away */
    int64_t drained_from; /* clock_mono: since when */

    /* The request */
    struct kvs_request request;
    struct arena arena;
    char *body; /* a large body, owned; small ones are in the arena */
    uint16_t id;
    int64_t content_length; /* as declared; -1: not */
    uint64_t body_len;      /* as received */
    uint32_t params_len;    /* bytes of the parameters, */
    uint32_t pairs;         /* and how many they are */
    bool keep;              /* FCGI_KEEP_CONN */
    bool unread;            /* bytes of the request are still to come */
    bool streaming;         /* sink->start was called */
    bool done;              /* the last sink call was made */
    bool gone;              /* nothing can be sent any more */
    bool aborted;           /* the web server gave the request up */
    bool cancelled;         /* kvs_cancel was called */
    unsigned holds;         /* threads in the core on its behalf: the last one finishes */
};

/* Frees what a connection object owns.  Only when no thread uses it. */
void conn_destroy(struct conn *c);

/* Prepares a pooled object for a new socket. */
void conn_begin(struct conn *c, struct front *front, int fd);

/* Does whatever the connection is ready for.  peek is the calling worker's CONN_PEEK bytes. */
void conn_work(struct conn *c, unsigned char *peek);

/* Puts it into the epoll set, so that some worker gets it. */
void conn_hand_over(struct conn *c);

/* Ends what is overdue and watches requests that wait for long. */
void conn_sweep(struct conn *c, int64_t now);

/* When stopping: whether a request on it runs right now, or has begun to come in, or may well do so. */
bool conn_is_busy(struct conn *c);

enum conn_close_which {
    CONN_CLOSE_READING, /* no whole request is there */
    CONN_CLOSE_ANSWERED /* also where an answer is not taken */
};
/* When stopping: closes it where that holds. */
void conn_close(struct conn *c, enum conn_close_which which);

#endif
