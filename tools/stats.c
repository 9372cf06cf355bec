#include <stdio.h>

#include "arena.h"
#include "bucket.h"
#include "clock.h"
#include "db.h"
#include "message.h"
#include "service.h"
#include "storage.h"
#include "tool.h"

/* One snapshot, and how it is printed: as text at once, or collected with --json. */
struct stats {
    struct kvs *kvs;
    struct db *db;
    struct arena arena;
    int64_t now;
    cJSON *json; /* NULL: text */
};

static enum error_code print_sizes(struct stats *s, const struct store *store)
{
    const char *path = store_path(store);
    int64_t bytes = 0, spare = 0, log = store_log_bytes(store);
    enum error_code rc = db_size(s->db, &bytes, &spare);

    if (rc)
        return rc;
    if (!s->json) {
        printf("database %s: %lld bytes, of which %lld free; log %lld bytes\n", path, (long long)bytes,
               (long long)spare, (long long)log);
        return ERR_OK;
    }
    cJSON *database = cJSON_AddObjectToObject(s->json, "database");
    cJSON_AddStringToObject(database, "path", path);
    tool_json_int(database, "bytes", bytes);
    tool_json_int(database, "free", spare);
    tool_json_int(database, "log", log);
    return ERR_OK;
}

/* Keys that have expired, but were not removed yet: nobody sees them. */
static enum error_code expired_keys(struct stats *s, const struct bucket *b, int64_t *keys)
{
    struct db_query *q = db_start(s->db, SQL_ENTRY_EXPIRED_SUM, DB_INT(b->id), DB_INT(s->now));
    *keys = db_step(q) ? db_int(q, 0) : 0;
    return db_end(q);
}

/* The counters of a memory bucket are in its own store; where that is not there, it holds nothing. */
static enum error_code fill_memory(struct stats *s, struct bucket *b)
{
    struct store *memory;
    struct bucket there;
    enum error_code rc = storage_look(s->kvs, b->name, &memory, &there, &s->arena);

    if (rc || !memory || there.created != b->created)
        return rc;
    b->keys = there.keys;
    b->held = there.held;
    b->bytes = there.bytes;
    b->revision = there.revision;
    return ERR_OK;
}

/* list is the object of all of them, with --json. */
static void print_bucket(const struct stats *s, cJSON *list, const struct bucket *b, int64_t keys)
{
    bool memory = b->options.storage == BUCKET_MEMORY;

    if (!s->json) {
        printf("bucket %s: %lld keys, %lld values, %lld bytes, revision %lld%s\n", b->name, (long long)keys,
               (long long)b->held, (long long)b->bytes, (long long)b->revision, memory ? " (in memory)" : "");
        return;
    }
    cJSON *bucket = cJSON_AddObjectToObject(list, b->name);
    tool_json_int(bucket, "keys", keys);
    tool_json_int(bucket, "values", b->held);
    tool_json_int(bucket, "bytes", b->bytes);
    tool_json_int(bucket, "revision", b->revision);
    cJSON_AddStringToObject(bucket, "storage", memory ? "memory" : "file");
}

static enum error_code print_buckets(struct stats *s)
{
    struct db_query *q = db_start(s->db, SQL_BUCKET_LIST, DB_TEXT("", 0));
    cJSON *list = s->json ? cJSON_AddObjectToObject(s->json, "buckets") : NULL;
    enum error_code rc = ERR_OK;
    struct bucket b;
    int64_t gone;

    while (!rc && db_step(q)) {
        rc = bucket_read(q, &b, &s->arena);
        gone = 0;
        if (!rc)
            rc = b.options.storage == BUCKET_MEMORY ? fill_memory(s, &b) : expired_keys(s, &b, &gone);
        if (!rc)
            print_bucket(s, list, &b, b.keys - gone);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static void print_topic(const struct stats *s, cJSON *list, const char *name, const struct message_counts *c)
{
    int64_t age = c->ready && s->now > c->oldest ? s->now - c->oldest : 0;

    if (!s->json) {
        printf("topic %s: %lld ready, %lld delayed, %lld leased, %lld dead", name, (long long)c->ready,
               (long long)c->delayed, (long long)c->leased, (long long)c->dead);
        if (c->ready)
            printf("; the oldest has waited %lld.%03lld s", (long long)(age / 1000), (long long)(age % 1000));
        putchar('\n');
        return;
    }
    cJSON *topic = cJSON_AddObjectToObject(list, name);
    tool_json_int(topic, "ready", c->ready);
    tool_json_int(topic, "delayed", c->delayed);
    tool_json_int(topic, "leased", c->leased);
    tool_json_int(topic, "dead", c->dead);
    if (c->ready)
        tool_json_int(topic, "oldestReadyMs", age);
    else
        cJSON_AddNullToObject(topic, "oldestReadyMs");
}

static enum error_code print_topics(struct stats *s)
{
    cJSON *list = s->json ? cJSON_AddObjectToObject(s->json, "topics") : NULL;
    const char *topic = "";
    size_t len = 0;
    struct message_counts counts;
    enum error_code rc;

    while (message_next_topic(s->db, topic, len, &topic, &len, &s->arena, &rc)) {
        rc = message_count(s->db, topic, len, s->now, &counts);
        if (rc)
            break;
        print_topic(s, list, topic, &counts);
    }
    return rc;
}

/* In one snapshot. */
static enum error_code print_all(struct stats *s, struct store *store)
{
    enum error_code rc = store_reader(store, &s->db);

    if (rc)
        return rc;
    rc = db_read_begin(s->db);
    if (!rc)
        rc = print_sizes(s, store);
    if (!rc)
        rc = print_buckets(s);
    if (!rc)
        rc = print_topics(s);
    db_read_end(s->db);
    store_reader_done(store, s->db, rc != ERR_OK);
    return rc;
}

int command_stats(struct tool *tool)
{
    struct stats s = {.kvs = tool->kvs,
                      .arena = ARENA_INIT,
                      .now = clock_now(),
                      .json = tool->json ? cJSON_CreateObject() : NULL};
    enum error_code rc = tool->json && !s.json ? ERR_NO_MEMORY : print_all(&s, tool->kvs->file);

    arena_free(&s.arena);
    if (!rc)
        return tool->json ? tool_print_json(s.json) : TOOL_DONE;
    cJSON_Delete(s.json);
    return tool_failed("the database cannot be read", rc, NULL);
}
