/*
 * Whether the token of a call covers what the call is about to touch.  Each answers ERR_OK, or ERR_FORBIDDEN with what is
 * not covered.
 */
#ifndef KVS_ACCESS_H
#define KVS_ACCESS_H

#include <stdbool.h>

#include "call.h"
#include "error.h"
#include "selector.h"

/* Whether the token names buckets, keys or topics; where it does not, nothing else need be asked. */
bool access_is_limited(const struct call *call);

/* The operation itself. */
enum error_code access_operation(struct call *call);

enum error_code access_bucket(struct call *call, const char *name);
enum error_code access_key(struct call *call, const char *field, const struct key *key);
enum error_code access_range(struct call *call, const char *field, const struct key *from, const struct key *to);
enum error_code access_selector(struct call *call, const struct selector *s);
enum error_code access_topic(struct call *call, const char *field, const char *topic, size_t len);

/* A message that is known by its id alone: its topic is not the caller's to learn. */
enum error_code access_message(struct call *call, const char *field, int64_t id, const char *topic, size_t len);

/* For operations that ask by themselves for each thing they find. */
enum error_code access_anything(struct call *call);

/* For operations on what no restriction can name. */
enum error_code access_whole(struct call *call);

#endif
