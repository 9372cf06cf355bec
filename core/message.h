/*
 * Messages as stored, and the one place that decides about leases and retries.
 *
 *   ready (or delayed: deliver > now) → leased → gone, or ready again after its backoff, or dead
 */
#ifndef KVS_MESSAGE_H
#define KVS_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "error.h"
#include "json_out.h"
#include "txn.h"
#include "value.h"

/* Stored in the database: the numbers are part of the file format. */
enum message_state { MESSAGE_READY = 0, MESSAGE_LEASED = 1, MESSAGE_DEAD = 2 };

struct message {
    int64_t id;
    const char *topic;
    size_t topic_len;
    enum message_state state;
    int64_t priority;
    int64_t deliver;      /* when it may be handed out */
    int64_t attempts;     /* deliveries made */
    int64_t max_attempts; /* at least 1 */
    int64_t enqueued;
    int64_t lease;       /* random, new at every delivery; 0 before the first */
    int64_t lease_until; /* while leased */
    int64_t failed;      /* when the last delivery failed (nack, lease over); 0 never */
    const char *backoff; /* milliseconds, comma-separated; NULL for none */
    size_t backoff_len;
    const char *dedupe; /* NULL for none */
    size_t dedupe_len;
    struct value payload; /* encoding and size; data only where it was read */
};

enum { MESSAGE_BACKOFF_MAX = 100, MESSAGE_DEDUPE_MAX = 256, MESSAGE_PRIORITY_MAX = INT32_MAX, MESSAGE_BATCH = 1000 };

/* Stores a new message (id, enqueued are set here).  With a dedupe id that is held already, *duplicate and its id. */
enum error_code message_enqueue(struct txn *t, struct message *m, bool *duplicate);

/*
 * Stores a message as it was in another database, id and all; loaded from a dump.  One whose dedupe id is held here is a
 * duplicate, and left out.
 */
enum error_code message_load(struct txn *t, const struct message *m, bool *duplicate);

/* id 0 in m where there is none.  Strings are in the transaction's arena; the payload is not read. */
enum error_code message_find(struct txn *t, int64_t id, struct message *m);

/* How much to hand out and to whom. */
struct message_claim {
    int64_t limit; /* messages */
    size_t
        max_bytes; /* of payloads and what surrounds them in an answer; one message is handed out whatever its size */
    int64_t lease_ms;
    enum error_code (*visit)(void *context, const struct message *m); /* m's strings live during the call */
    void *context;
};

enum { MESSAGE_OVERHEAD = 1024 }; /* bytes that an answer needs beside a payload, at most */

/* Hands out ready messages of a topic in order.  Leases that ran out are settled first. */
enum error_code message_claim(struct txn *t, const char *topic, size_t topic_len, const struct message_claim *claim);

/*
 * Whether a lease (0: none was given) entitles to settle m now: while it is leased, or its lease is over but it has not been
 * handed out again.  Dead letters and, with a lease, messages never handed out are nobody's.
 */
bool message_lease_holds(const struct message *m, int64_t lease);

/* Removes it: acknowledged, discarded or purged.  Its dedupe id is held for dedupe_window ms more. */
enum error_code message_remove(struct txn *t, const struct message *m, int64_t dedupe_window);

/*
 * The delivery under way failed at time `when`: back to the queue after delay (< 0: its backoff, else at once), or, with no
 * attempts left, a dead letter.
 */
enum error_code message_fail(struct txn *t, struct message *m, int64_t when, int64_t delay);

/* The lease lasts until then. */
enum error_code message_extend(struct txn *t, struct message *m, int64_t until);

/* A dead letter starts anew, with no attempts made. */
enum error_code message_revive(struct txn *t, struct message *m);

/* Settles leases of one topic that ran out, at most limit of them; *count gets how many. */
enum error_code message_settle_lapsed(struct txn *t, const char *topic, size_t topic_len, int64_t limit,
                                      int64_t *count);

/* Removes the topic's dead letters that failed last at or before `until`, at most limit; *count gets how many. */
enum error_code message_drop_dead(struct txn *t, const char *topic, size_t topic_len, int64_t until, int64_t limit,
                                  int64_t *count);

/* Removes every message of a topic, and its dedupe ids; *count gets how many. */
enum error_code message_purge(struct txn *t, const char *topic, size_t topic_len, int64_t *count);

/* Steps through the topics that have messages, in byte order: the first one after `after` ("" to begin).  False at the end. */
bool message_next_topic(struct db *db, const char *after, size_t after_len, const char **topic, size_t *topic_len,
                        struct arena *arena, enum error_code *rc);

struct message_counts {
    int64_t ready, delayed, leased, dead;
    int64_t oldest; /* deliver time of the oldest ready one, 0 where none is */
};

/* Counts as a dequeue now would find them: a lapsed lease counts as what it has become. */
enum error_code message_count(struct db *db, const char *topic, size_t topic_len, int64_t now,
                              struct message_counts *counts);

/*
 * When the next message of the topic can be handed out: now or before where one can be at once; 0 where none is waiting.
 */
enum error_code message_next_due(struct db *db, const char *topic, size_t topic_len, int64_t *when);

/* Reads the SQL_MESSAGE columns, pointers are the row's; ERR_CORRUPT where the checksum is wrong. */
enum error_code message_read(struct db_query *q, struct message *m);

/* Reads the payload and its checksum from `column` on. */
enum error_code message_payload(struct db_query *q, int column, struct message *m);

/* As answered by dequeue (attempts = earlier deliveries, with its lease); or, dead, by /queue/dead. */
enum error_code message_to_json(struct json_out *out, const struct message *m);

enum { MESSAGE_LEASE_MAX = 17 };
/* The lease as the opaque text that clients hold; and back (false where it is none). */
void message_lease_text(char out[MESSAGE_LEASE_MAX], int64_t lease);
bool message_lease_parse(const char *text, size_t len, int64_t *lease);

#endif
