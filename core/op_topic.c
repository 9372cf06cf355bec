#include <string.h>

#include "access.h"
#include "cursor.h"
#include "enqueue.h"
#include "json_num.h"
#include "ops.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, IDS_MAX = 1000, CHUNK = 500, ANSWER_MAX = 16 << 20 };

struct topic_args {
    const char *topic; /* NULL: every topic (stats) */
    size_t topic_len;
    int64_t limit;
    int64_t after; /* dead: id of the last one of the page before */
    struct cursor_query query;
    int64_t *ids; /* redrive, discard; NULL: all dead letters of the topic */
    size_t id_count;
};

static enum error_code parse_topic(struct call *call, struct fields *f, const char *const *names, bool required,
                                   struct topic_args **args)
{
    struct topic_args *a = call_args(call, sizeof *a);
    if (!a)
        return ERR_NO_MEMORY;
    *args = a;
    enum error_code rc = call_fields(call, f, names);
    if (!rc && required && !fields_find(f, "topic"))
        rc = fields_missing(f, "topic", "a topic's name");
    return rc ? rc : fields_topic(f, "topic", &a->topic, &a->topic_len);
}

enum error_code queue_dead_parse(struct call *call)
{
    static const char *const names[] = {"topic", "limit", "cursor", NULL};
    const unsigned char *place;
    size_t len;
    struct topic_args *a;
    struct fields f;
    enum error_code rc = parse_topic(call, &f, names, true, &a);
    if (rc)
        return rc;
    a->limit = LIMIT_DEFAULT;
    rc = fields_int(&f, "limit", 1, LIMIT_MAX, &a->limit);
    cursor_query_init(&a->query, "dead");
    cursor_query_add(&a->query, a->topic, a->topic_len);
    if (!rc)
        rc = cursor_parse(&f, &a->query, &place, &len);
    if (!rc && place) {
        if (len != sizeof a->after)
            return fields_bad(&f, "cursor", "one that this very query gave");
        memcpy(&a->after, place, len);
    }
    return rc;
}

/* Writes the page of dead letters; *last gets the id of the last one, *more whether others follow. */
static enum error_code list_dead(struct call *call, struct txn *t, const struct topic_args *a, int64_t *last,
                                 bool *more)
{
    struct db_query *q =
        db_start(t->db, SQL_MESSAGE_DEAD, DB_TEXT(a->topic, a->topic_len), DB_INT(a->after), DB_INT(a->limit + 1));
    struct message m;
    int64_t count = 0;
    enum error_code rc = ERR_OK;

    while (!rc && !*more && db_step(q)) {
        rc = message_read(q, &m);
        if (!rc)
            rc = message_payload(q, 16, &m);
        if (rc)
            break;
        size_t size = m.payload.size / 3 * 4 + MESSAGE_OVERHEAD;
        if (count == a->limit || (count && call->out.len + size > ANSWER_MAX)) {
            *more = true;
        } else {
            message_to_json(&call->json, &m);
            *last = m.id;
            count++;
        }
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

/* A write, because what ran out of its last attempt must be seen as dead although nobody has settled it yet. */
enum error_code queue_dead(struct call *call, struct txn *t)
{
    const struct topic_args *a = call->args;
    int64_t settled, last = 0;
    bool more = false;
    enum error_code rc = message_settle_lapsed(t, a->topic, a->topic_len, CHUNK, &settled);

    call->again = settled == CHUNK;
    json_out_object(&call->json);
    json_out_name(&call->json, "messages");
    json_out_array(&call->json);
    if (!rc)
        rc = list_dead(call, t, a, &last, &more);
    if (rc)
        return rc;
    json_out_end(&call->json);
    json_out_name(&call->json, "cursor");
    if (more)
        cursor_to_json(&call->json, &a->query, &last, sizeof last, &call->arena);
    else
        json_out_null(&call->json);
    json_out_end(&call->json);
    return ERR_OK;
}

enum error_code queue_redrive_parse(struct call *call)
{
    static const char *const names[] = {"topic", "ids", NULL};
    struct topic_args *a;
    struct fields f;
    size_t node, len;
    enum error_code rc = parse_topic(call, &f, names, true, &a);
    if (!rc)
        rc = fields_array(&f, "ids", IDS_MAX, &node, &a->id_count);
    if (rc || !node)
        return rc;
    a->ids = arena_alloc(&call->arena, (a->id_count + 1) * sizeof *a->ids);
    if (!a->ids)
        return ERR_NO_MEMORY;
    for (size_t n = 0, i = node + 1; n < a->id_count; n++, i = call->doc.nodes[i].next) {
        char path[32];
        const char *text = json_text(&call->doc, i, &len);
        if (call->doc.nodes[i].type == JSON_NUMBER && json_num_int(text, len, &a->ids[n]) == JSON_NUM_INT &&
            a->ids[n] > 0)
            continue;
        fields_item_path(path, sizeof path, "ids", n);
        return fields_bad(&f, path, "a message's id");
    }
    return ERR_OK;
}

typedef enum error_code dead_action(struct call *call, struct txn *t, struct message *m);

static enum error_code revive(struct call *call, struct txn *t, struct message *m)
{
    (void)call;
    return message_revive(t, m);
}

static enum error_code discard(struct call *call, struct txn *t, struct message *m)
{
    return message_remove(t, m, call->kvs->config->dedupe_window);
}

/* Ids of the topic's first dead letters, at most CHUNK. */
static enum error_code some_dead(struct txn *t, const struct topic_args *a, int64_t *ids, size_t *count)
{
    struct db_query *q = db_start(t->db, SQL_MESSAGE_DEAD_IDS, DB_TEXT(a->topic, a->topic_len), DB_INT(CHUNK));
    *count = 0;
    while (db_step(q))
        ids[(*count)++] = db_int(q, 0);
    return db_end(q);
}

/* Does action to the dead letters that are meant: those listed, or all of the topic in transactions of CHUNK. */
static enum error_code each_dead(struct call *call, struct txn *t, dead_action *action)
{
    struct topic_args *a = call->args;
    int64_t found[CHUNK], settled;
    const int64_t *ids = a->ids ? a->ids : found;
    size_t count = a->id_count;
    struct message m;
    enum error_code rc = message_settle_lapsed(t, a->topic, a->topic_len, CHUNK, &settled);

    if (!rc && !a->ids)
        rc = some_dead(t, a, found, &count);
    int64_t moved = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        rc = message_find(t, ids[i], &m);
        bool meant = !rc && m.id && m.state == MESSAGE_DEAD && m.topic_len == a->topic_len &&
                     memcmp(m.topic, a->topic, a->topic_len) == 0;
        if (!meant)
            continue;
        rc = action(call, t, &m);
        moved++;
    }
    if (rc)
        return rc;
    call->again = !a->ids && (count == CHUNK || settled == CHUNK);
    call->step = moved;
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
    json_out_name(&call->json, "moved");
    json_out_int(&call->json, call->total + moved);
    json_out_end(&call->json);
    return ERR_OK;
}

enum error_code queue_redrive(struct call *call, struct txn *t)
{
    return each_dead(call, t, revive);
}

enum error_code queue_discard(struct call *call, struct txn *t)
{
    return each_dead(call, t, discard);
}

enum error_code queue_stats_parse(struct call *call)
{
    static const char *const names[] = {"topic", NULL};
    struct topic_args *a;
    struct fields f;
    return parse_topic(call, &f, names, false, &a);
}

/* Without a topic (stats), it tells of those that the token covers. */
enum error_code queue_topic_allow(struct call *call)
{
    const struct topic_args *a = call->args;
    return a->topic ? access_topic(call, "topic", a->topic, a->topic_len) : ERR_OK;
}

static void stats_to_json(struct call *call, const char *topic, size_t len, const struct message_counts *c, int64_t now)
{
    struct json_out *o = &call->json;

    json_out_name_str(o, topic, len);
    json_out_object(o);
    json_out_name(o, "ready");
    json_out_int(o, c->ready);
    json_out_name(o, "delayed");
    json_out_int(o, c->delayed);
    json_out_name(o, "leased");
    json_out_int(o, c->leased);
    json_out_name(o, "dead");
    json_out_int(o, c->dead);
    json_out_name(o, "oldestReadyMs");
    if (c->ready)
        json_out_int(o, now > c->oldest ? now - c->oldest : 0);
    else
        json_out_null(o);
    json_out_end(o);
}

enum error_code queue_stats(struct call *call, struct view *view)
{
    const struct topic_args *a = call->args;
    const char *topic = a->topic ? a->topic : "";
    size_t len = a->topic_len;
    struct message_counts counts;
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "topics");
    json_out_object(&call->json);
    while (!rc && (a->topic || message_next_topic(view->db, topic, len, &topic, &len, &call->arena, &rc))) {
        if (access_is_limited(call) && !grant_topic(call->grant, topic, len))
            continue;
        rc = message_count(view->db, topic, len, view->now, &counts);
        stats_to_json(call, topic, len, &counts, view->now);
        if (a->topic)
            break;
    }
    json_out_end(&call->json);
    json_out_end(&call->json);
    return rc;
}

enum error_code queue_purge_parse(struct call *call)
{
    static const char *const names[] = {"topic", NULL};
    struct topic_args *a;
    struct fields f;
    return parse_topic(call, &f, names, true, &a);
}

enum error_code queue_purge(struct call *call, struct txn *t)
{
    struct topic_args *a = call->args;
    int64_t purged = 0;
    enum error_code rc = message_purge(t, a->topic, a->topic_len, &purged);
    if (rc)
        return rc;
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
    json_out_name(&call->json, "purged");
    json_out_int(&call->json, purged);
    json_out_end(&call->json);
    return ERR_OK;
}
