/*
 * One request on its way through the core: from kvs_handle to the sink's last call.  A call belongs to one thread at a
 * time: the one that handles it, the leader that commits it, or the hub while it waits.
 */
#ifndef KVS_CALL_H
#define KVS_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "bucket.h"
#include "buf.h"
#include "commit.h"
#include "error.h"
#include "fields.h"
#include "json_out.h"
#include "json_scan.h"
#include "request.h"
#include "service.h"

struct op;
/* What a call that found nothing waits for. */
enum wait_kind { WAIT_TOPIC, WAIT_CHANGES, WAIT_LOCK, WAIT_TIME /* for nothing but the end of its time */ };

struct wait {
    enum wait_kind kind;
    const char *name; /* of the topic, bucket or lock; in the call's arena, or a constant */
    size_t len;
    int64_t since; /* WAIT_CHANGES: a revision of the bucket above this one */
};

enum { CALL_ID = 24 };

struct call {
    struct commit_job job; /* first, so that the job is the call */
    struct kvs *kvs;
    struct kvs_request *request;
    const struct op *op;
    const struct grant *grant; /* what the token allows; NULL on public operations */
    struct json_doc doc;
    struct json_out json;     /* over out */
    void *args;               /* the operation's, made by its parse, in the arena */
    const char *bucket;       /* name of the bucket that is meant; BUCKET_DEFAULT where none was given */
    struct store *store;      /* where that bucket lies */
    bool again;               /* set by apply: commit, then apply once more (long jobs in small transactions) */
    struct store *next_store; /* set with again: go on in that store */
    const char *forget;       /* set by apply: the memory bucket of this name is destroyed */
    int64_t rounds;           /* transactions committed for this request, with again */
    int64_t step;             /* set by apply with again: what this transaction did */
    int64_t total;            /* what earlier ones of the same request did */
    char id[CALL_ID];         /* made here, where the request came with none and needed one; else "" */
    bool failed_login;        /* it came with a token that is none of ours */
    int64_t began;            /* clock_mono_us */
    const char *content_type; /* of a good answer; NULL: JSON */
    bool unhealthy;           /* the answer is 200's, but the status 503 */
    bool empty;               /* set by the operation: there is nothing yet, wait until wait_until */
    int64_t wait_until;       /* clock_mono; 0: do not wait */
    enum error_code late;     /* the outcome when the time is up */
    struct wait wait;         /* what for */
    struct call *next;        /* in whatever list holds it */
    struct call *prev;
    /* From here on, members whose memory is used again by the next call. */
    struct error err;
    struct arena arena;
    struct buf out;     /* the answer's body */
    struct buf headers; /* ... and its header lines */
};

/* What a read sees: one snapshot of one store, and the bucket in it. */
struct view {
    struct db *db;
    struct bucket bucket;
    int64_t now; /* at least the last commit's time */
};

/* A call for a request, with the default bucket; its memory may be an earlier one's.  NULL when out of memory. */
struct call *call_new(struct kvs *kvs, struct kvs_request *request);

/* Frees the memory kept for calls to come. */
void call_drain(struct kvs *kvs);

/* Writes the answer (out with 200, or err) and frees the call. */
void call_answer(struct call *call, enum error_code rc);

/*
 * As call_answer, to a request that may have tried a token: whoever tries tokens that are none of ours waits for each
 * answer.  Nobody else does: it is the answer that is late, not an address that is shut out.
 */
void call_answer_login(struct call *call, enum error_code rc);

/* The head of a stream or of an error, with the header lines that this request needs. */
void call_response(struct call *call, enum error_code rc, struct kvs_response *response, struct buf *headers);

/* Writes {"error":…} for rc into call->out. */
void call_error_body(struct call *call, enum error_code rc);

/* Begins an answer: call->json over an empty call->out. */
void call_begin(struct call *call);

/* Frees the call without an answer (its stream has ended). */
void call_free(struct call *call);

/*
 * Runs the operation: a read answers, a write is submitted.  To be called by whoever owns the call; on return it belongs
 * to somebody else.
 */
void call_run(struct call *call);

/* After the operation: answers, or parks the call where it waits for something to happen. */
void call_finish(struct call *call, enum error_code rc);

/* Opens the body as f; names are the fields that it may have. */
enum error_code call_fields(struct call *call, struct fields *f, const char *const *names);

/* Memory for the operation's arguments, zeroed; NULL when out of memory. */
void *call_args(struct call *call, size_t size);

#endif
