/*
 * The table of operations.  Reading it is reading the product.
 */
#ifndef KVS_DISPATCH_H
#define KVS_DISPATCH_H

#include "auth.h"
#include "call.h"
#include "error.h"
#include "txn.h"

enum op_flags {
    OP_GET = 1,      /* answers GET and HEAD */
    OP_POST = 2,     /* answers POST with a JSON body */
    OP_EMPTY = 4,    /* the body may be missing */
    OP_SNAPSHOT = 8, /* read gets a snapshot with the bucket found in it */
    OP_BUCKET = 16   /* it is about call->bucket, which the token must cover */
};

struct op {
    const char *path;
    unsigned flags;
    enum scope scope;
    /* Syntax and limits: the body into call->args.  NULL: there are no fields. */
    enum error_code (*parse)(struct call *call);
    /* One of the three: answers from a snapshot, does its writes in a transaction, or takes the call over and
     * answers it in its own time (streams, health). */
    enum error_code (*read)(struct call *call, struct view *view);
    enum error_code (*apply)(struct call *call, struct txn *txn);
    enum error_code (*own)(struct call *call);
    /*
     * Whether a token that is restricted to buckets, keys or topics covers the arguments.  Asked for such tokens only, after
     * parse.  NULL: it does not, whatever they are.
     */
    enum error_code (*allow)(struct call *call);
};

/* The row for an endpoint; NULL where there is none. */
const struct op *dispatch_find(const char *path);

/* All rows, in the order of the table. */
const struct op *dispatch_table(size_t *count);

/*
 * Judges the request up to its arguments: endpoint, token, method, media type, body, fields.  On success call->op and
 * call->args are set.
 */
enum error_code dispatch_prepare(struct call *call);

#endif
