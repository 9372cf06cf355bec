/*
 * Snapshots for reads.
 */
#ifndef KVS_VIEW_H
#define KVS_VIEW_H

#include "call.h"
#include "error.h"

/*
 * Takes a read connection for the call; with OP_SNAPSHOT also begins a snapshot and finds the call's bucket in it.
 */
enum error_code view_open(struct call *call, struct view *view);

/* Gives it back; rc is what the read came to. */
void view_close(struct call *call, struct view *view, enum error_code rc);

#endif
