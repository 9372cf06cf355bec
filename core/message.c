#include "message.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"

enum { LAPSED_BATCH = 1000, RANKS_PASSED = 32, READY_FOR_A_RANK = 8 };

void message_lease_text(char out[MESSAGE_LEASE_MAX], int64_t lease)
{
    snprintf(out, MESSAGE_LEASE_MAX, "%016llx", (unsigned long long)lease);
}

bool message_lease_parse(const char *text, size_t len, int64_t *lease)
{
    char *end;
    if (len != MESSAGE_LEASE_MAX - 1 || strspn(text, "0123456789abcdef") != len)
        return false;
    *lease = (int64_t)strtoull(text, &end, 16);
    return *lease != 0;
}

static int64_t new_lease(void)
{
    int64_t lease;
    do
        randombytes_buf(&lease, sizeof lease);
    while (lease == 0 || lease == -1);
    return lease;
}

static int64_t message_sum(const struct message *m)
{
    struct checksum sum;

    checksum_init(&sum);
    checksum_int(&sum, m->id);
    checksum_int(&sum, m->state);
    checksum_int(&sum, m->priority);
    checksum_int(&sum, m->deliver);
    checksum_int(&sum, m->attempts);
    checksum_int(&sum, m->max_attempts);
    checksum_int(&sum, m->enqueued);
    checksum_int(&sum, m->lease);
    checksum_int(&sum, m->lease_until);
    checksum_int(&sum, m->failed);
    checksum_int(&sum, m->payload.encoding);
    checksum_int(&sum, (int64_t)m->payload.size);
    checksum_data(&sum, m->topic, m->topic_len);
    checksum_data(&sum, m->backoff ? m->backoff : "", m->backoff_len);
    checksum_data(&sum, m->dedupe ? m->dedupe : "", m->dedupe_len);
    return checksum_end(&sum);
}

enum error_code message_read(struct db_query *q, struct message *m)
{
    *m = (struct message){
        .id = db_int(q, 0),
        .state = (enum message_state)db_int(q, 2),
        .priority = -db_int(q, 3),
        .deliver = db_int(q, 4),
        .attempts = db_int(q, 5),
        .max_attempts = db_int(q, 6),
        .enqueued = db_int(q, 7),
        .lease = db_int(q, 8),
        .lease_until = db_int(q, 9),
        .failed = db_int(q, 10),
        .payload = {.encoding = (int)db_int(q, 13), .size = (size_t)db_int(q, 14)},
    };
    m->topic = db_text(q, 1, &m->topic_len);
    if (!db_is_null(q, 11))
        m->backoff = db_text(q, 11, &m->backoff_len);
    if (!db_is_null(q, 12))
        m->dedupe = db_blob(q, 12, &m->dedupe_len);
    return db_int(q, 15) == message_sum(m) ? ERR_OK : ERR_CORRUPT;
}

/* Moves the strings of a message that was read into the transaction's arena. */
static enum error_code keep(struct txn *t, struct message *m)
{
    m->topic = arena_dup(&t->arena, m->topic, m->topic_len);
    m->backoff = m->backoff ? arena_dup(&t->arena, m->backoff, m->backoff_len) : NULL;
    m->dedupe = m->dedupe ? arena_dup(&t->arena, m->dedupe, m->dedupe_len) : NULL;
    bool lost = !m->topic || (m->backoff_len && !m->backoff) || (m->dedupe_len && !m->dedupe);
    return lost ? ERR_NO_MEMORY : ERR_OK;
}

enum error_code message_find(struct txn *t, int64_t id, struct message *m)
{
    struct db_query *q = db_start(t->db, SQL_MESSAGE_FIND, DB_INT(id));
    enum error_code rc = ERR_OK;

    m->id = 0;
    if (db_step(q)) {
        rc = message_read(q, m);
        if (!rc)
            rc = keep(t, m);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static struct db_value text_or_null(const char *s, size_t len)
{
    return s ? DB_TEXT(s, len) : DB_NULL;
}

static enum error_code insert(struct txn *t, const struct message *m)
{
    enum error_code rc =
        db_run(t->db, SQL_MESSAGE_INSERT, DB_INT(m->id), DB_TEXT(m->topic, m->topic_len), DB_INT(m->state),
               DB_INT(-m->priority), DB_INT(m->deliver), DB_INT(m->attempts), DB_INT(m->max_attempts),
               DB_INT(m->enqueued), DB_INT(m->lease), DB_INT(m->lease_until), DB_INT(m->failed),
               text_or_null(m->backoff, m->backoff_len), m->dedupe ? DB_BLOB(m->dedupe, m->dedupe_len) : DB_NULL,
               DB_INT(m->payload.encoding), DB_INT((int64_t)m->payload.size), DB_INT(message_sum(m)));
    if (rc)
        return rc;
    return db_run(t->db, SQL_PAYLOAD_INSERT, DB_INT(m->id), DB_INT(checksum_of(m->payload.data, m->payload.len)),
                  DB_BLOB(m->payload.data, m->payload.len));
}

static enum error_code update(struct txn *t, const struct message *m)
{
    return db_run(t->db, SQL_MESSAGE_UPDATE, DB_INT(m->id), DB_INT(m->state), DB_INT(m->deliver), DB_INT(m->attempts),
                  DB_INT(m->lease), DB_INT(m->lease_until), DB_INT(m->failed), DB_INT(message_sum(m)));
}

/* The message that holds this dedupe id now; 0 where none does. */
static enum error_code dedupe_holder(struct txn *t, const struct message *m, int64_t *id)
{
    struct db_query *q =
        db_start(t->db, SQL_DEDUPE_FIND, DB_TEXT(m->topic, m->topic_len), DB_BLOB(m->dedupe, m->dedupe_len));
    *id = 0;
    if (db_step(q) && (db_int(q, 1) == 0 || db_int(q, 1) > t->now))
        *id = db_int(q, 0);
    return db_end(q);
}

enum error_code message_enqueue(struct txn *t, struct message *m, bool *duplicate)
{
    int64_t holder = 0;
    enum error_code rc = m->dedupe ? dedupe_holder(t, m, &holder) : ERR_OK;

    *duplicate = holder != 0;
    if (rc)
        return rc;
    if (holder) {
        m->id = holder;
        return ERR_OK;
    }
    m->id = txn_next_message(t);
    m->enqueued = t->now;
    m->state = MESSAGE_READY;
    rc = insert(t, m);
    if (!rc && m->dedupe)
        rc = db_run(t->db, SQL_DEDUPE_PUT, DB_TEXT(m->topic, m->topic_len), DB_BLOB(m->dedupe, m->dedupe_len),
                    DB_INT(m->id));
    return rc;
}

enum error_code message_load(struct txn *t, const struct message *m, bool *duplicate)
{
    int64_t holder = 0;
    enum error_code rc = m->dedupe ? dedupe_holder(t, m, &holder) : ERR_OK;

    *duplicate = holder != 0;
    if (rc || holder)
        return rc;
    t->touched = true;
    rc = insert(t, m);
    if (!rc && m->dedupe)
        rc = db_run(t->db, SQL_DEDUPE_PUT, DB_TEXT(m->topic, m->topic_len), DB_BLOB(m->dedupe, m->dedupe_len),
                    DB_INT(m->id));
    return rc;
}

bool message_lease_holds(const struct message *m, int64_t lease)
{
    if (!m->id || m->state == MESSAGE_DEAD)
        return false;
    return lease == 0 || lease == m->lease;
}

enum error_code message_remove(struct txn *t, const struct message *m, int64_t dedupe_window)
{
    enum error_code rc = db_run(t->db, SQL_MESSAGE_DROP, DB_INT(m->id));
    if (!rc)
        rc = db_run(t->db, SQL_PAYLOAD_DROP, DB_INT(m->id));
    if (!rc && m->dedupe)
        rc = db_run(t->db, SQL_DEDUPE_LET, DB_TEXT(m->topic, m->topic_len), DB_BLOB(m->dedupe, m->dedupe_len),
                    DB_INT(m->id), DB_INT(t->now + dedupe_window));
    return rc;
}

/* The delay before the next retry: backoff is a comma-separated list, the last of which repeats. */
static int64_t backoff_delay(const struct message *m)
{
    const char *p = m->backoff;
    char *end;

    if (!p)
        return 0;
    int64_t delay = strtoll(p, &end, 10);
    for (int64_t n = 1; n < m->attempts && *end == ','; n++)
        delay = strtoll(end + 1, &end, 10);
    return delay;
}

enum error_code message_fail(struct txn *t, struct message *m, int64_t when, int64_t delay)
{
    m->failed = when;
    m->lease_until = 0;
    if (m->attempts >= m->max_attempts) {
        m->state = MESSAGE_DEAD;
    } else {
        m->state = MESSAGE_READY;
        m->deliver = when + (delay >= 0 ? delay : backoff_delay(m));
    }
    return update(t, m);
}

enum error_code message_extend(struct txn *t, struct message *m, int64_t until)
{
    m->lease_until = until;
    return update(t, m);
}

enum error_code message_revive(struct txn *t, struct message *m)
{
    m->state = MESSAGE_READY;
    m->attempts = 0;
    m->deliver = t->now;
    m->lease = 0;
    return update(t, m);
}

/*
 * Reads up to limit messages of a running query into the transaction's arena; no memory is taken where there are none.  *list is NULL,
 * or what an earlier call with the same or a larger limit has left there: it is used again.
 */
static enum error_code read_all(struct txn *t, struct db_query *q, int64_t limit, struct message **list, size_t *count)
{
    enum error_code rc = ERR_OK;

    *count = 0;
    while (!rc && *count < (size_t)limit && db_step(q)) {
        if (!*list && !(*list = arena_alloc(&t->arena, (size_t)limit * sizeof **list))) {
            rc = ERR_NO_MEMORY;
            break;
        }
        struct message *m = &(*list)[*count];
        rc = message_read(q, m);
        if (!rc)
            rc = keep(t, m);
        *count += 1;
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code message_settle_lapsed(struct txn *t, const char *topic, size_t topic_len, int64_t limit, int64_t *count)
{
    struct message *list = NULL;
    size_t n;
    struct db_query *q = db_start(t->db, SQL_MESSAGE_LAPSED, DB_TEXT(topic, topic_len), DB_INT(t->now), DB_INT(limit));
    enum error_code rc = read_all(t, q, limit, &list, &n);

    for (size_t i = 0; !rc && i < n; i++)
        rc = message_fail(t, &list[i], list[i].lease_until, -1);
    *count = (int64_t)n;
    return rc;
}

enum error_code message_payload(struct db_query *q, int column, struct message *m)
{
    m->payload.data = db_blob(q, column, &m->payload.len);
    bool sound =
        m->payload.len == m->payload.size && db_int(q, column + 1) == checksum_of(m->payload.data, m->payload.len);
    return sound ? ERR_OK : ERR_CORRUPT;
}

/* Hands out one message: counts the delivery, gives it a lease, reads its payload for visit. */
static enum error_code hand_out(struct txn *t, struct message *m, int64_t until,
                                enum error_code (*visit)(void *, const struct message *), void *context)
{
    m->state = MESSAGE_LEASED;
    m->attempts++;
    m->lease = new_lease();
    m->lease_until = until;
    enum error_code rc = update(t, m);
    if (rc)
        return rc;
    struct db_query *q = db_start(t->db, SQL_PAYLOAD_FIND, DB_INT(m->id));
    rc = ERR_CORRUPT;
    if (db_step(q)) {
        rc = message_payload(q, 0, m);
        if (!rc)
            rc = visit(context, m);
    }
    enum error_code end = db_end(q);
    return end ? end : rc;
}

static enum error_code one_count(struct db_query *q, int64_t *n)
{
    if (db_step(q))
        *n = db_int(q, 0);
    return db_end(q);
}

static bool next_rank(struct db *db, const char *topic, size_t topic_len, int64_t *rank, enum error_code *rc)
{
    struct db_query *q = db_start(db, SQL_MESSAGE_RANK, DB_TEXT(topic, topic_len), DB_INT(*rank));
    bool found = db_step(q);
    if (found)
        *rank = db_int(q, 0);
    *rc = db_end(q);
    return found && !*rc;
}

struct claim_state {
    const struct message_claim *claim;
    struct message *list; /* room for all that is claimed */
    int64_t left;
    size_t bytes; /* of the answer */
    enum error_code rc;
};

/* Hands out what is in the list, as long as it has room in the answer; false where that is full. */
static bool hand_out_all(struct txn *t, size_t count, struct claim_state *s)
{
    const struct message_claim *claim = s->claim;

    for (size_t i = 0; !s->rc && i < count; i++) {
        s->bytes += s->list[i].payload.size / 3 * 4 + MESSAGE_OVERHEAD;
        if (s->bytes > claim->max_bytes && s->left < claim->limit)
            return false;
        s->rc = hand_out(t, &s->list[i], t->now + claim->lease_ms, claim->visit, claim->context);
        s->left--;
    }
    return !s->rc;
}

/* Hands out the ready messages that are left, in their order, where they are fewer than `few`. */
static bool claim_few(struct txn *t, struct db_value topic, int64_t few, struct claim_state *s)
{
    size_t count;
    int64_t due = 0;

    s->rc = one_count(db_start(t->db, SQL_MESSAGE_COUNT_DUE, topic, DB_INT(t->now), DB_INT(few)), &due);
    if (s->rc || due == few)
        return false;
    struct db_query *q = db_start(t->db, SQL_MESSAGE_DUE, topic, DB_INT(t->now), DB_INT(s->left));
    s->rc = read_all(t, q, s->left, &s->list, &count);
    if (!s->rc)
        hand_out_all(t, count, s);
    return true;
}

/*
 * Goes from rank to rank.  Where many have nothing that is ready, it looks whether few messages are ready at all, and takes
 * those: so neither ranks whose messages are all delayed nor many ready messages make it slow, unless there are as many of both.
 */
enum error_code message_claim(struct txn *t, const char *topic, size_t topic_len, const struct message_claim *claim)
{
    const struct db_value name = DB_TEXT(topic, topic_len);
    struct claim_state s = {.claim = claim, .left = claim->limit};
    int64_t rank = INT64_MIN, settled, passed = 0, most = RANKS_PASSED;
    size_t count;

    s.rc = message_settle_lapsed(t, topic, topic_len, LAPSED_BATCH, &settled);
    while (!s.rc && s.left > 0 && next_rank(t->db, topic, topic_len, &rank, &s.rc)) {
        struct db_query *q = db_start(t->db, SQL_MESSAGE_READY, name, DB_INT(rank), DB_INT(t->now), DB_INT(s.left));
        s.rc = read_all(t, q, s.left, &s.list, &count);
        if (!s.rc && !hand_out_all(t, count, &s))
            break;
        if (s.rc || count > 0 || ++passed < most)
            continue;
        if (claim_few(t, name, most * READY_FOR_A_RANK, &s))
            break;
        most *= 2;
    }
    return s.rc;
}

bool message_next_topic(struct db *db, const char *after, size_t after_len, const char **topic, size_t *topic_len,
                        struct arena *arena, enum error_code *rc)
{
    static const enum sql_id by_state[] = {SQL_TOPIC_NEXT_READY, SQL_TOPIC_NEXT_LEASED, SQL_TOPIC_NEXT_DEAD};
    const char *best = NULL;
    size_t best_len = 0;

    *rc = ERR_OK;
    for (size_t i = 0; !*rc && i < sizeof by_state / sizeof by_state[0]; i++) {
        struct db_query *q = db_start(db, by_state[i], DB_TEXT(after, after_len));
        if (db_step(q)) {
            size_t len;
            const char *name = db_text(q, 0, &len);
            if (!best || strcmp(name, best) < 0) {
                best = arena_dup(arena, name, len);
                best_len = len;
            }
        }
        *rc = db_end(q);
    }
    *topic = best;
    *topic_len = best_len;
    return best && !*rc;
}

/* Adds what a lapsed lease amounts to by now. */
static void count_lapsed(const struct message *m, int64_t now, struct message_counts *c)
{
    int64_t due = m->lease_until + backoff_delay(m);

    if (m->attempts >= m->max_attempts) {
        c->dead++;
    } else if (due > now) {
        c->delayed++;
    } else {
        c->ready++;
        if (!c->oldest || due < c->oldest)
            c->oldest = due;
    }
}

enum error_code message_count(struct db *db, const char *topic, size_t topic_len, int64_t now, struct message_counts *c)
{
    struct db_value name = DB_TEXT(topic, topic_len);
    int64_t pending = 0;
    struct message m;

    *c = (struct message_counts){0};
    enum error_code rc = one_count(db_start(db, SQL_TOPIC_COUNT_PENDING, name), &pending);
    if (!rc)
        rc = one_count(db_start(db, SQL_TOPIC_COUNT_LEASED, name, DB_INT(now)), &c->leased);
    if (!rc)
        rc = one_count(db_start(db, SQL_TOPIC_COUNT_DEAD, name), &c->dead);
    if (!rc) {
        struct db_query *ready = db_start(db, SQL_TOPIC_COUNT_READY, name, DB_INT(now));
        if (db_step(ready)) {
            c->ready = db_int(ready, 0);
            c->oldest = db_int(ready, 1);
        }
        rc = db_end(ready);
    }
    c->delayed = pending - c->ready;
    struct db_query *q = rc ? NULL : db_start(db, SQL_TOPIC_LAPSED, name, DB_INT(now));
    while (q && !rc && db_step(q)) {
        rc = message_read(q, &m);
        count_lapsed(&m, now, c);
    }
    enum error_code end = q ? db_end(q) : ERR_OK;
    return rc ? rc : end;
}

enum error_code message_next_due(struct db *db, const char *topic, size_t topic_len, int64_t *when)
{
    *when = 0;
    enum error_code rc = one_count(db_start(db, SQL_MESSAGE_NEXT_READY, DB_TEXT(topic, topic_len)), when);
    int64_t lapse = 0;
    if (!rc)
        rc = one_count(db_start(db, SQL_MESSAGE_NEXT_LAPSE, DB_TEXT(topic, topic_len)), &lapse);
    if (lapse && (!*when || lapse < *when))
        *when = lapse;
    return rc;
}

enum error_code message_to_json(struct json_out *out, const struct message *m)
{
    char lease[MESSAGE_LEASE_MAX];
    bool dead = m->state == MESSAGE_DEAD;

    json_out_object(out);
    json_out_name(out, "id");
    json_out_int(out, m->id);
    json_out_name(out, "topic");
    json_out_str(out, m->topic, m->topic_len);
    value_to_json(out, "payload", &m->payload);
    json_out_name(out, "enqueuedAt");
    json_out_int(out, m->enqueued);
    json_out_name(out, "deliverAt");
    json_out_int(out, m->deliver);
    json_out_name(out, "attempts");
    json_out_int(out, dead ? m->attempts : m->attempts - 1);
    json_out_name(out, "maxAttempts");
    json_out_int(out, m->max_attempts);
    if (dead) {
        json_out_name(out, "lastErrorAt");
        json_out_int(out, m->failed);
    } else {
        message_lease_text(lease, m->lease);
        json_out_name(out, "lease");
        json_out_cstr(out, lease);
    }
    json_out_end(out);
    return ERR_OK;
}

enum error_code message_purge(struct txn *t, const char *topic, size_t topic_len, int64_t *count)
{
    static const enum sql_id payloads[] = {SQL_PAYLOAD_PURGE_READY, SQL_PAYLOAD_PURGE_LEASED, SQL_PAYLOAD_PURGE_DEAD};
    static const enum sql_id messages[] = {SQL_TOPIC_PURGE_READY, SQL_TOPIC_PURGE_LEASED, SQL_TOPIC_PURGE_DEAD};
    enum error_code rc = db_run(t->db, SQL_DEDUPE_PURGE, DB_TEXT(topic, topic_len));

    *count = 0;
    for (size_t i = 0; !rc && i < sizeof messages / sizeof messages[0]; i++) {
        int64_t n = 0;
        rc = db_run(t->db, payloads[i], DB_TEXT(topic, topic_len));
        if (!rc)
            rc = db_run_count(t->db, &n, messages[i], DB_TEXT(topic, topic_len));
        *count += n;
    }
    return rc;
}

enum error_code message_drop_dead(struct txn *t, const char *topic, size_t topic_len, int64_t until, int64_t limit,
                                  int64_t *count)
{
    int64_t *ids = arena_alloc(&t->arena, (size_t)limit * sizeof *ids);
    size_t n = 0;
    struct message m;

    if (!ids)
        return ERR_NO_MEMORY;
    struct db_query *q = db_start(t->db, SQL_MESSAGE_DEAD_OLD, DB_TEXT(topic, topic_len), DB_INT(until), DB_INT(limit));
    while (db_step(q))
        ids[n++] = db_int(q, 0);
    enum error_code rc = db_end(q);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = message_find(t, ids[i], &m);
        if (!rc)
            rc = message_remove(t, &m, 0);
    }
    *count = (int64_t)n;
    return rc;
}
