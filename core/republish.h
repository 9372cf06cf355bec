/*
 * A bucket's republish option: matching changes are also enqueued on a topic, in the same transaction.
 */
#ifndef KVS_REPUBLISH_H
#define KVS_REPUBLISH_H

#include "entry.h"
#include "error.h"
#include "fields.h"
#include "txn.h"

struct republish; /* in the arena it was parsed into */

/* Reads {"filter"?, "topic", "metaOnly"?} at node. */
enum error_code republish_parse(const struct json_doc *doc, size_t node, const char *path, struct arena *arena,
                                struct republish **rule, struct error *err);

/*
 * To be called for every entry and marker as it is written.  A message lost here would break the promise that a change and
 * its message are both there or neither, so its failure fails the write.
 */
enum error_code republish_entry(struct txn *t, struct bucket *b, const struct entry *e);

#endif
