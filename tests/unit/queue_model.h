/*
 * What the queue must do, written a second time in the simplest way: messages in one list, every question asked of all of them.
 * Time is the caller's; answers are built as text, to be compared byte by byte.
 */
#ifndef KVS_TEST_QUEUE_MODEL_H
#define KVS_TEST_QUEUE_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

enum { MODEL_TOPICS = 3, MODEL_NAMES = 5, MODEL_BACKOFFS = 3, MODEL_LEASE = 17 };

enum model_state { MODEL_READY, MODEL_LEASED, MODEL_DEAD };

struct model_message {
    int64_t id, priority, deliver, attempts, max_attempts, enqueued, lease_until, failed, payload;
    int topic, name; /* name: of its dedupe id, -1 for none */
    enum model_state state;
    char lease[MODEL_LEASE]; /* of the last delivery; "" before the first, and once it was given back */
    int backoffs;
    int64_t backoff[MODEL_BACKOFFS];
};

/* Who holds a dedupe id of a topic. */
struct model_name {
    int64_t id;    /* 0: nobody */
    int64_t until; /* once the message is gone; 0 before */
};

struct model {
    int64_t wall;      /* the machine's clock */
    int64_t committed; /* time of the last commit that changed anything */
    int64_t last_id;
    int64_t dedupe_window, dead_ttl;
    struct model_message *messages; /* by id */
    size_t count, room;
    struct model_name names[MODEL_TOPICS][MODEL_NAMES];
};

/* The store's time: it never goes back. */
static int64_t model_now(const struct model *m)
{
    return m->wall > m->committed ? m->wall : m->committed;
}

static void model_wrote(struct model *m)
{
    m->committed = model_now(m);
}

static struct model_message *model_find(struct model *m, int64_t id)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->messages[i].id == id)
            return &m->messages[i];
    return NULL;
}

/* message's id, strings and delay (in deliver) are given; *duplicate where another one holds its name. */
static int64_t model_enqueue(struct model *m, const struct model_message *given, bool *duplicate)
{
    struct model_name *name = given->name >= 0 ? &m->names[given->topic][given->name] : NULL;

    *duplicate = name && name->id && (name->until == 0 || name->until > model_now(m));
    if (*duplicate)
        return name->id;
    if (m->count == m->room) {
        m->room = m->room ? 2 * m->room : 64;
        m->messages = realloc(m->messages, m->room * sizeof *m->messages);
        if (!m->messages)
            abort();
    }
    struct model_message *message = &m->messages[m->count++];
    *message = *given;
    message->id = ++m->last_id;
    message->enqueued = model_now(m);
    message->deliver += message->enqueued;
    message->state = MODEL_READY;
    if (name)
        *name = (struct model_name){message->id, 0};
    model_wrote(m);
    return message->id;
}

/* The message goes; its name stays held for window. */
static void model_remove(struct model *m, struct model_message *message, int64_t window)
{
    if (message->name >= 0)
        m->names[message->topic][message->name].until = model_now(m) + window;
    size_t at = (size_t)(message - m->messages);
    memmove(message, message + 1, (m->count - at - 1) * sizeof *message);
    m->count--;
    model_wrote(m);
}

static int64_t model_backoff(const struct model_message *message)
{
    int64_t retry = message->attempts < message->backoffs ? message->attempts : message->backoffs;
    return message->backoffs ? message->backoff[retry > 0 ? retry - 1 : 0] : 0;
}

/* The delivery failed; delay < 0: the backoff. */
static void model_fail(struct model *m, struct model_message *message, int64_t when, int64_t delay)
{
    message->failed = when;
    if (message->attempts >= message->max_attempts) {
        message->state = MODEL_DEAD;
    } else {
        message->state = MODEL_READY;
        message->deliver = when + (delay < 0 ? model_backoff(message) : delay);
    }
    model_wrote(m);
}

/* The leases of a topic that ran out; answers how many. */
static int64_t model_settle(struct model *m, int topic)
{
    int64_t settled = 0, now = model_now(m);

    for (size_t i = 0; i < m->count; i++) {
        struct model_message *message = &m->messages[i];
        if (message->topic != topic || message->state != MODEL_LEASED || message->lease_until > now)
            continue;
        model_fail(m, message, message->lease_until, -1);
        settled++;
    }
    return settled;
}

static bool model_before(const struct model_message *a, const struct model_message *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->deliver != b->deliver ? a->deliver < b->deliver : a->id < b->id;
}

/* The one that must be handed out next; NULL where none may be. */
static struct model_message *model_next(struct model *m, int topic)
{
    struct model_message *best = NULL;

    for (size_t i = 0; i < m->count; i++) {
        struct model_message *message = &m->messages[i];
        if (message->topic == topic && message->state == MODEL_READY && message->deliver <= model_now(m) &&
            (!best || model_before(message, best)))
            best = message;
    }
    return best;
}

static void model_hand_out(struct model *m, struct model_message *message, const char *lease, int64_t lease_ms)
{
    message->state = MODEL_LEASED;
    message->attempts++;
    message->lease_until = model_now(m) + lease_ms;
    memcpy(message->lease, lease, MODEL_LEASE);
    model_wrote(m);
}

/* Whether a lease ("" for none) may settle the message at all, and whether its delivery is still under way. */
static bool model_holds(const struct model_message *message, const char *lease)
{
    return message && message->state != MODEL_DEAD && (!lease[0] || strcmp(lease, message->lease) == 0);
}

static bool model_leased(const struct model_message *message, const char *lease)
{
    return model_holds(message, lease) && message->state == MODEL_LEASED;
}

static bool model_ack(struct model *m, int64_t id, const char *lease)
{
    struct model_message *message = model_find(m, id);

    if (!model_holds(message, lease))
        return false;
    model_remove(m, message, m->dedupe_window);
    return true;
}

static bool model_nack(struct model *m, int64_t id, const char *lease, int64_t delay)
{
    struct model_message *message = model_find(m, id);

    if (!model_leased(message, lease))
        return false;
    model_fail(m, message, model_now(m), delay);
    message->lease[0] = '\0';
    return true;
}

static bool model_extend(struct model *m, int64_t id, const char *lease, int64_t lease_ms, int64_t *until)
{
    struct model_message *message = model_find(m, id);

    if (!model_leased(message, lease))
        return false;
    *until = message->lease_until = model_now(m) + lease_ms;
    model_wrote(m);
    return true;
}

/* A dead letter begins anew, or goes for good. */
static void model_redrive(struct model *m, struct model_message *message)
{
    message->state = MODEL_READY;
    message->attempts = 0;
    message->deliver = model_now(m);
    message->lease[0] = '\0';
    model_wrote(m);
}

static int64_t model_purge(struct model *m, int topic)
{
    int64_t purged = 0;

    for (size_t i = m->count; i-- > 0;) {
        if (m->messages[i].topic == topic) {
            model_remove(m, &m->messages[i], 0);
            purged++;
        }
    }
    for (int name = 0; name < MODEL_NAMES; name++) {
        if (m->names[topic][name].id)
            model_wrote(m);
        m->names[topic][name] = (struct model_name){0, 0};
    }
    return purged;
}

/* What maintenance must report: leases settled, dead letters dropped, names let go. */
struct model_tidied {
    int64_t lapsed, dead, names;
};

static struct model_tidied model_tidy(struct model *m)
{
    struct model_tidied done = {0, 0, 0};
    int64_t now = model_now(m);

    for (int topic = 0; topic < MODEL_TOPICS; topic++)
        done.lapsed += model_settle(m, topic);
    for (size_t i = m->count; i-- > 0;) {
        if (m->messages[i].state == MODEL_DEAD && m->messages[i].failed <= now - m->dead_ttl) {
            model_remove(m, &m->messages[i], 0);
            done.dead++;
        }
    }
    for (int i = 0; i < MODEL_TOPICS * MODEL_NAMES; i++) {
        struct model_name *name = &m->names[i / MODEL_NAMES][i % MODEL_NAMES];
        if (!name->id || !name->until || name->until > now)
            continue;
        *name = (struct model_name){0, 0};
        done.names++;
        model_wrote(m);
    }
    return done;
}

/* --- Answers --- */

static void model_message_text(const struct model_message *message, struct buf *out)
{
    bool dead = message->state == MODEL_DEAD;

    buf_printf(out, "{\"id\":%lld,\"topic\":\"t%d\",\"payload\":%lld,\"enqueuedAt\":%lld,\"deliverAt\":%lld",
               (long long)message->id, message->topic, (long long)message->payload, (long long)message->enqueued,
               (long long)message->deliver);
    buf_printf(out, ",\"attempts\":%lld,\"maxAttempts\":%lld", (long long)(message->attempts - (dead ? 0 : 1)),
               (long long)message->max_attempts);
    if (dead)
        buf_printf(out, ",\"lastErrorAt\":%lld}", (long long)message->failed);
    else
        buf_printf(out, ",\"lease\":\"%s\"}", message->lease);
}

/* How a topic stands for whoever asks now; a lease that ran out counts as what it has become. */
static bool model_stats_text(const struct model *m, int topic, struct buf *out)
{
    int64_t ready = 0, delayed = 0, leased = 0, dead = 0, oldest = INT64_MAX, now = model_now(m);

    for (size_t i = 0; i < m->count; i++) {
        const struct model_message *message = &m->messages[i];
        bool lapsed = message->state == MODEL_LEASED && message->lease_until <= now;
        if (message->topic != topic)
            continue;
        if (message->state == MODEL_DEAD || (lapsed && message->attempts >= message->max_attempts)) {
            dead++;
        } else if (message->state == MODEL_LEASED && !lapsed) {
            leased++;
        } else {
            int64_t due = lapsed ? message->lease_until + model_backoff(message) : message->deliver;
            *(due <= now ? &ready : &delayed) += 1;
            oldest = due <= now && due < oldest ? due : oldest;
        }
    }
    buf_printf(out, "\"t%d\":{\"ready\":%lld,\"delayed\":%lld,\"leased\":%lld,\"dead\":%lld,\"oldestReadyMs\":", topic,
               (long long)ready, (long long)delayed, (long long)leased, (long long)dead);
    if (ready)
        buf_printf(out, "%lld}", (long long)(now - oldest));
    else
        buf_printf(out, "null}");
    return ready + delayed + leased + dead > 0;
}

#endif
