/*
 * What watches and listeners have in common: the head of a stream, its objects as lines or server-sent events, heartbeats,
 * its end.  Used by the ticking thread alone, but for stream_start.
 */
#ifndef KVS_STREAM_H
#define KVS_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "call.h"
#include "fields.h"

enum { STREAM_BACKLOG_MAX = 1 << 20 }; /* bytes that a client may be behind */

struct stream {
    struct call *call;
    struct buf out;    /* objects of this tick, not yet handed to the sink */
    bool events;       /* server-sent events, not lines */
    int64_t heartbeat; /* ms */
    int64_t next_beat; /* clock_mono */
    int64_t until;     /* clock_mono when it ends by itself; INT64_MAX: never */
    int64_t expires;   /* wall time when the token does that began it; 0: never */
    int64_t revision;  /* to show in heartbeats and at the end */
    bool gone;         /* the client is */
};

/* Reads member "heartbeat" and what the request's Accept asks for. */
enum error_code stream_parse(struct call *call, const struct fields *f, struct stream *s);

/* Sends the head. */
void stream_start(struct stream *s);

/*
 * Whether the token that began it has expired: then nothing more is to be read for it, and "expired" is the reason of its
 * end.  Lowers *next to the clock_mono time at which it will have.
 */
bool stream_expired(const struct stream *s, int64_t mono, int64_t *next);

/* One object: {"type":type, <body>}; body is JSON members without braces, maybe empty.  id > 0 becomes the event's id. */
void stream_object(struct stream *s, const char *type, const char *body, size_t len, int64_t id);

/* {"type":type,"revision":n} */
void stream_mark(struct stream *s, const char *type);

/* Adds a heartbeat where it is due, hands everything to the sink.  Returns the bytes that the client is behind; -1: gone. */
long stream_flush(struct stream *s, int64_t mono);

/* {"type":"end",…}, and lets go of the call; s is not to be used again.  reason NULL: the client is gone. */
void stream_end(struct stream *s, const char *reason);

#endif
