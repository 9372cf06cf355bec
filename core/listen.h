/*
 * Listeners: streams of messages as they become ready, shared out between those that listen to a topic.
 *
 * Used by the ticking thread alone, but for the operation and what happens in commits.
 */
#ifndef KVS_LISTEN_H
#define KVS_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "commit.h"
#include "error.h"
#include "service.h"
#include "stream.h"

struct listeners; /* all listeners of a process */
struct hub;

enum { LISTEN_LIMIT_MAX = 1000 };

/* A message handed out on a stream and, as far as it knows, not yet settled. */
struct delivery {
    int64_t id;
    int64_t lease;
};

/* In its call's arena; it ends with the call. */
struct listener {
    struct stream stream;
    const char *topic;
    size_t topic_len;
    int64_t limit;
    int64_t lease_ms;
    struct delivery *held; /* room for limit */
    size_t held_count;
    struct commit_job job; /* takes messages; its call's out has them as stream objects, one a line */
    struct delivery *taken;
    size_t taken_count;
    struct buf objects;
    struct hub *hub;
    bool busy;            /* the job is under way; the ticking thread's */
    atomic_bool finished; /* ... and has come back */
    enum error_code rc;
    const char *reason; /* it is over; NULL: it is not */
    struct listener *next;
};

struct listeners *listeners_new(struct kvs *kvs, struct hub *hub);
void listeners_free(struct listeners *l);

/* Takes a listener over; its stream has begun. */
void listeners_add(struct listeners *l, struct listener *listener);
int64_t listeners_count(const struct listeners *l);

/* Hands out what is ready.  Lowers *next as watches_tick. */
void listeners_tick(struct listeners *l, int64_t mono, int64_t *next);

/* Ends all that can be ended now; those with a job under way remain until it has come back. */
void listeners_stop(struct listeners *l);

/* The operation. */
enum error_code queue_listen_parse(struct call *call);
enum error_code queue_listen_allow(struct call *call);
enum error_code queue_listen(struct call *call);

#endif
