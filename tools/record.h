/*
 * The lines of a dump: one JSON object each.  First "dump", then every "bucket", then what each bucket holds: its "entry"
 * lines and behind them its "history", the older values, both in the order of their keys; then "message", "dedupe",
 * "lock", last "end".  Values are the bytes that the store holds, as JSON or in base64; where JSON is nested too deep for a
 * line to be read back it stands in a string ("valueText", "payloadText").
 */
#ifndef KVS_RECORD_H
#define KVS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bucket.h"
#include "entry.h"
#include "error.h"
#include "json_out.h"
#include "message.h"

enum { RECORD_FORMAT = 1 };

enum record_type {
    RECORD_DUMP,
    RECORD_BUCKET,
    RECORD_ENTRY,
    RECORD_HISTORY,
    RECORD_MESSAGE,
    RECORD_DEDUPE,
    RECORD_LOCK,
    RECORD_END
};

struct record_lock {
    const char *name, *token, *owner; /* owner NULL: none */
    size_t name_len, token_len, owner_len;
    int64_t fence, expires;
};

/* One line; which members are set depends on the type.  Strings and values are in the arena or the line. */
struct record {
    enum record_type type;
    int64_t last_message, last_fence; /* dump: the highest ever given out */
    struct bucket bucket;             /* bucket: name, options, revision, compacted, created; id 0: destroyed */
    const char *bucket_name;          /* history, entry */
    struct entry entry;
    struct message message; /* message; of dedupe: topic, dedupe and the message's id */
    int64_t until;          /* dedupe */
    struct record_lock lock;
    int64_t lines; /* end: how many stand before it */
};

/* Writes the record, its line's end included.  ERR_CORRUPT where a key or value is damaged: the line is to be dropped. */
enum error_code record_write(struct buf *line, struct record *r, struct arena *arena);

/* Reads one line, without its end.  ERR_BAD_JSON or ERR_BAD_REQUEST with a message. */
enum error_code record_read(const char *line, size_t len, struct arena *arena, struct record *r, struct error *err);

/* Names by type and, for entries, by operation; for messages, by state. */
extern const char *const record_types[RECORD_END + 1];
extern const char *const record_operations[ENTRY_EXPIRE + 1];
extern const char *const record_states[MESSAGE_DEAD + 1];

#endif
