#include <string.h>

#include "check_pass.h"
#include "message.h"
#include "utf8.h"

enum { TOPIC_MAX = 256 };

static const char *wrong_state(const struct message *m)
{
    if ((int)m->state < MESSAGE_READY || m->state > MESSAGE_DEAD)
        return "its state is unknown";
    if (m->max_attempts < 1 || m->attempts < 0 || m->attempts > m->max_attempts)
        return "its attempts are out of range";
    if (m->state == MESSAGE_LEASED && (!m->lease || !m->lease_until || !m->attempts))
        return "it is leased, but has no lease";
    if (m->state != MESSAGE_LEASED && m->lease_until)
        return "it is not leased, but its lease has an end";
    if (m->state == MESSAGE_READY && m->attempts == m->max_attempts)
        return "it is ready, but its attempts are used up";
    if (m->deliver < 0 || m->failed < 0 || m->priority < -MESSAGE_PRIORITY_MAX || m->priority > MESSAGE_PRIORITY_MAX)
        return "its priority or a time of it is out of range";
    return NULL;
}

/* A topic: UTF-8 without control characters; a backoff: numbers and commas. */
static const char *wrong_text(const struct message *m)
{
    if (m->topic_len < 1 || m->topic_len > TOPIC_MAX || utf8_valid(m->topic, m->topic_len) != m->topic_len)
        return "its topic is malformed";
    for (size_t i = 0; i < m->topic_len; i++)
        if ((unsigned char)m->topic[i] < 0x20 || m->topic[i] == 0x7f)
            return "its topic has control characters";
    if (m->backoff && (m->backoff_len == 0 || strspn(m->backoff, "0123456789,") != m->backoff_len))
        return "its backoff is malformed";
    return NULL;
}

/* Columns 16 and 17 are the payload and its checksum, 18 its id, 19 the message that holds the dedupe id. */
static enum error_code judge_message(struct check *c, struct db_query *q, struct message *m, bool sound)
{
    enum error_code rc = ERR_OK;
    const char *wrong = sound ? wrong_state(m) : "its checksum is wrong: the row is damaged";

    if (!wrong)
        wrong = wrong_text(m);
    if (!wrong && (m->id < 1 || m->id > c->last_message))
        wrong = "its id was never given out";
    if (!wrong && m->enqueued > c->time)
        wrong = "it was enqueued after the last commit";
    if (!wrong && db_is_null(q, 18))
        wrong = "it has no payload";
    if (!wrong && message_payload(q, 16, m))
        wrong = "its payload is damaged: size or checksum is wrong";
    if (!wrong)
        wrong = check_wrong_value(c, &m->payload, &rc);
    if (!wrong && m->dedupe && db_int(q, 19) != m->id)
        wrong = "its dedupeId is not held for it";
    if (wrong)
        check_found(c, CHECK_MESSAGE, "message %lld, topic %.256s: %s", (long long)m->id, m->topic, wrong);
    return rc;
}

enum error_code check_message_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_MESSAGES, DB_INT(c->id), DB_INT(CHECK_PAGE));
    struct message m;
    int rows = 0;
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        enum error_code sum = message_read(q, &m);
        if (sum && sum != ERR_CORRUPT)
            rc = sum;
        else
            rc = judge_message(c, q, &m, sum == ERR_OK);
        arena_reset(&c->arena);
        c->counts->messages++;
        c->done++;
        rows++;
        c->id = m.id;
    }
    *more = rows == CHECK_PAGE;
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code check_payload_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_PAYLOADS, DB_INT(c->id), DB_INT(CHECK_PAGE));
    int rows = 0;

    while (db_step(q)) {
        rows++;
        c->id = db_int(q, 0);
        if (db_is_null(q, 1))
            check_found(c, CHECK_PAYLOAD, "payload %lld has no message", (long long)c->id);
    }
    *more = rows == CHECK_PAGE;
    return db_end(q);
}

/* Columns: topic, name, message, until, the message's id, whether that one has this topic and name. */
enum error_code check_dedupe_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_DEDUPE, DB_TEXT(c->name.data, c->name.len),
                                  DB_BLOB(c->part.data, c->part.len), DB_INT(CHECK_PAGE));
    const char *topic = "";
    const void *name = "";
    size_t topic_len = 0, len = 0;
    int rows = 0;

    while (db_step(q)) {
        const char *wrong = NULL;
        rows++;
        topic = db_text(q, 0, &topic_len);
        name = db_blob(q, 1, &len);
        if (db_int(q, 3) == 0 && !db_int(q, 5))
            wrong = "is held for a message that is not there";
        else if (db_int(q, 3) != 0 && !db_is_null(q, 4))
            wrong = "is to be let go of, but its message is still there";
        else if (db_int(q, 2) > c->last_message)
            wrong = "is held for a message that never was";
        if (wrong)
            check_found(c, CHECK_DEDUPE, "topic %.256s: a dedupeId %s (message %lld)", topic, wrong,
                        (long long)db_int(q, 2));
        if (rows == CHECK_PAGE) {
            check_place(&c->name, topic, topic_len);
            check_place(&c->part, name, len);
        }
    }
    *more = rows == CHECK_PAGE;
    return db_end(q);
}

/* Columns: name, token, owner, fence, expires. */
enum error_code check_lock_page(struct check *c, bool *more)
{
    struct db_query *q = db_start(c->db, SQL_CHECK_LOCKS, DB_TEXT(c->name.data, c->name.len), DB_INT(CHECK_PAGE));
    size_t len;
    int rows = 0;

    while (db_step(q)) {
        const char *name = db_text(q, 0, &len);
        int64_t fence = db_int(q, 3);
        if (fence < 1 || fence > c->last_fence)
            check_found(c, CHECK_LOCK, "lock %.256s: its fence %lld was never given out", name, (long long)fence);
        if (db_int(q, 4) < 0)
            check_found(c, CHECK_LOCK, "lock %.256s: it ends before the epoch", name);
        if (++rows == CHECK_PAGE)
            check_place(&c->name, name, len);
    }
    *more = rows == CHECK_PAGE;
    return db_end(q);
}
