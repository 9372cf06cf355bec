/*
 * What all requests that make or settle messages read alike.
 */
#ifndef KVS_ENQUEUE_H
#define KVS_ENQUEUE_H

#include "call.h"
#include "fields.h"
#include "message.h"

/* Members of an enqueue beside the payload. */
extern const char *const enqueue_option_names[];

#define QUEUE_DEFAULT_TOPIC "default"

/* Sets topic "default", no delay, 3 attempts. */
enum error_code enqueue_defaults(struct message *m);

/* The payload, within the configured limit. */
enum error_code enqueue_parse_payload(struct call *call, const struct fields *f, struct message *m);

/* topic, delay (left in m->deliver, to be added to the commit's time), maxAttempts, backoff, dedupeId, priority. */
enum error_code enqueue_parse_options(const struct fields *f, struct message *m);

/* `backoff`: an array of durations, kept as comma-separated text. */
enum error_code enqueue_parse_backoff(const struct fields *f, struct message *m);

/* `lease`: *lease stays 0 where it is absent.  A text that is no lease of ours becomes one that none holds. */
enum error_code enqueue_parse_lease(const struct fields *f, int64_t *lease);

#endif
