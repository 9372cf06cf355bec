/*
 * What the acknowledged operations come to, reckoned from the answers alone: keys of the default bucket, a bucket with history, a
 * queue.  Plain data, to be copied.
 */
#ifndef KVS_TEST_MODEL_H
#define KVS_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_KEYS = 8, MODEL_HISTORY = 3, MODEL_MESSAGES = 64, MODEL_LEASE = 64 };

struct model_value {
    bool there; /* false: deleted, or never written where revision is 0 */
    int64_t value, version, revision;
};

struct model_message {
    int64_t id;
    bool leased;
    char lease[MODEL_LEASE]; /* as JSON */
};

struct model {
    struct model_value keys[MODEL_KEYS];                /* ["k",n] of the default bucket */
    struct model_value held[MODEL_KEYS][MODEL_HISTORY]; /* ["h",n] of the bucket `held`, the newest first */
    struct model_message messages[MODEL_MESSAGES];      /* of the topic `work`, by id */
    size_t message_count;
    int64_t revision, held_revision, fence;
};

void model_set(struct model *m, unsigned key, int64_t value, int64_t version, int64_t revision);
void model_delete(struct model *m, unsigned key, int64_t revision);
/* A write of the bucket with history; there: a value, else a marker. */
void model_hold(struct model *m, unsigned key, bool there, int64_t value, int64_t version, int64_t revision);
/* False where the id is not above all before it. */
bool model_enqueue(struct model *m, int64_t id);
void model_ack(struct model *m, size_t at);

/*
 * Whether the answers of /kv/list (default bucket, prefix ["k"]) and /kv/history (bucket held), and the ids of the topic's messages
 * as "1,2,3," say what the model does.  Says on standard output where they do not.
 */
bool model_agrees(const struct model *m, const char *list, const char *history, const char *ids);

#endif
