/*
 * Which messages are handed out, and in what order, whatever their priorities and delays; and that neither many priorities nor many
 * messages are looked through for it.
 */
#include "message.h"

#include "database.h"
#include "tests/vfs/random.h"

enum { MESSAGES = 600, ROUNDS = 400, TOPIC_LEN = 1 };

static const char topic[] = "t";

struct known {
    int64_t id, priority, deliver;
    bool gone;
};

static struct known known[MESSAGES];
static int known_count;

static struct rng rng;

static int64_t random_below(int64_t n)
{
    return (int64_t)(rng_next(&rng) % (uint64_t)n);
}

static void enqueue(struct txn *t, int64_t priority, int64_t deliver)
{
    struct message m = {.topic = topic,
                        .topic_len = TOPIC_LEN,
                        .priority = priority,
                        .deliver = deliver,
                        .max_attempts = 1000000,
                        .payload = {.data = (const unsigned char *)"1", .len = 1, .size = 1, .encoding = VALUE_JSON}};
    bool duplicate;

    database_must(message_enqueue(t, &m, &duplicate), "enqueue");
    known[known_count++] = (struct known){m.id, priority, deliver, false};
}

/* A database with nothing in it, in a transaction. */
static struct txn *begin(struct database *d)
{
    database_open(d);
    known_count = 0;
    return database_begin(d);
}

static void end(struct database *d)
{
    database_abort(d);
    database_close(d);
}

/* What has been handed out. */
struct taken {
    int64_t ids[MESSAGES];
    int64_t count;
};

static enum error_code take(void *context, const struct message *m)
{
    struct taken *taken = context;
    taken->ids[taken->count++] = m->id;
    return ERR_OK;
}

static size_t answer_max = SIZE_MAX;

static void claim(struct txn *t, int64_t limit, struct taken *taken)
{
    const struct message_claim claim = {
        .limit = limit, .max_bytes = answer_max, .lease_ms = INT64_C(1) << 50, .visit = take, .context = taken};

    taken->count = 0;
    database_must(message_claim(t, topic, TOPIC_LEN, &claim), "claim");
}

static bool comes_before(const struct known *a, const struct known *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return a->deliver != b->deliver ? a->deliver < b->deliver : a->id < b->id;
}

/* The one that is to be handed out first, as the contract says it. */
static struct known *first(int64_t now)
{
    struct known *best = NULL;

    for (int i = 0; i < known_count; i++)
        if (!known[i].gone && known[i].deliver <= now && (!best || comes_before(&known[i], best)))
            best = &known[i];
    return best;
}

/* Claims, and compares; how many differ. */
static int wrong_after(struct txn *t, int64_t limit)
{
    struct taken taken;
    int wrong = 0;

    claim(t, limit, &taken);
    for (int64_t i = 0; i < taken.count; i++) {
        struct known *want = first(t->now);
        wrong += !want || want->id != taken.ids[i];
        if (want)
            want->gone = true;
    }
    const int64_t fit = answer_max == SIZE_MAX ? limit : (int64_t)(answer_max / MESSAGE_OVERHEAD);
    return wrong + (taken.count > fit) + (taken.count < limit && taken.count < fit && first(t->now));
}

/* The counts and the next moment of interest, of which the database has an index. */
static int wrong_counts(struct txn *t)
{
    struct message_counts c;
    int64_t ready = 0, delayed = 0, oldest = 0, next = 0, when;

    for (const struct known *k = known; k < known + known_count; k++) {
        if (k->gone)
            continue;
        k->deliver <= t->now ? ready++ : delayed++;
        if (k->deliver <= t->now && (!oldest || k->deliver < oldest))
            oldest = k->deliver;
        if (!next || k->deliver < next)
            next = k->deliver;
    }
    database_must(message_count(t->db, topic, TOPIC_LEN, t->now, &c), "count");
    database_must(message_next_due(t->db, topic, TOPIC_LEN, &when), "next");
    /* A lease that runs out counts as well. */
    const bool next_is_right = next ? when == next : when == 0 || when > t->now;
    return (c.ready != ready) + (c.delayed != delayed) + (c.oldest != oldest) + !next_is_right;
}

/* Times move on while messages with this many priorities and these delays are handed out. */
static void test_order(int64_t priorities, int64_t delay, const char *what)
{
    struct database d;
    int wrong = 0, miscounted = 0;
    struct txn *t = begin(&d);
    const int64_t start = t->now;

    for (int i = 0; i < MESSAGES / 2; i++)
        enqueue(t, random_below(priorities), start + random_below(delay));
    for (int i = 0; i < ROUNDS; i++) {
        t->now = start + delay * i / ROUNDS;
        wrong += wrong_after(t, 1 + random_below(4));
        miscounted += wrong_counts(t);
        if (known_count < MESSAGES)
            enqueue(t, random_below(priorities), t->now + (random_below(2) ? random_below(delay) : 0));
    }
    t->now = start + 2 * delay;
    wrong += wrong_after(t, MESSAGES);
    end(&d);
    is_int(wrong, 0, "%s_are_handed_out_in_their_order", what);
    is_int(miscounted, 0, "%s_are_counted", what);
    is_int(known_count, MESSAGES, "%s_all", what);
}

/* What many priorities take of memory. */
static void test_room(void)
{
    struct database d;
    struct taken taken;
    size_t bytes = 0;
    struct txn *t = begin(&d);

    for (int i = 0; i < MESSAGES; i++)
        enqueue(t, i, t->now);
    claim(t, MESSAGES, &taken);
    for (const struct arena_block *b = t->arena.head; b; b = b->next)
        bytes += b->size;
    end(&d);
    is_int(taken.count, MESSAGES, "a_message_of_each_priority");
    ok(bytes < 1 << 20, "takes_the_memory_of_one_list (%zu KiB)", bytes >> 10);
}

/* A dump may have it. */
static void test_the_first_moment(void)
{
    struct database d;
    struct taken taken;
    int64_t when = 0;
    struct txn *t = begin(&d);

    enqueue(t, 0, 0);
    database_must(message_next_due(t->db, topic, TOPIC_LEN, &when), "next");
    ok(when > 0 && when <= t->now, "what_was_due_at_0_is_due");
    claim(t, 1, &taken);
    is_int(taken.count, 1, "and_is_handed_out");
    end(&d);
}

/* A statement's text. */
#define TEXT_OF(name, text) [name] = (text),
static const char *const statements[] = {SQL_QUEUE_TABLE(TEXT_OF)};

/* How the engine goes about it. */
static void is_planned(struct database *d, enum sql_id id, const char *want)
{
    char sql[1000], plan[1000] = "";
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;

    snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", statements[id]);
    if (sqlite3_open(d->path, &db) || sqlite3_prepare_v2(db, sql, -1, &stmt, NULL))
        snprintf(plan, sizeof plan, "%s", sqlite3_errmsg(db));
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const size_t len = strlen(plan);
        snprintf(plan + len, sizeof plan - len, "%s; ", (const char *)sqlite3_column_text(stmt, 3));
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    ok(strstr(plan, want), "%.60s (%s)", statements[id], plan);
}

static void test_plans(void)
{
    struct database d;

    database_open(&d);
    is_planned(&d, SQL_MESSAGE_RANK, "INDEX message_ready (topic=? AND rank>?)");
    is_planned(&d, SQL_MESSAGE_READY, "INDEX message_ready (topic=? AND rank=? AND deliver<?)");
    is_planned(&d, SQL_MESSAGE_COUNT_DUE, "COVERING INDEX message_due (topic=? AND deliver<?)");
    is_planned(&d, SQL_MESSAGE_DUE, "COVERING INDEX message_due (topic=? AND deliver<?)");
    is_planned(&d, SQL_MESSAGE_DUE, "SEARCH m USING INTEGER PRIMARY KEY");
    is_planned(&d, SQL_MESSAGE_NEXT_READY, "COVERING INDEX message_due (topic=?)");
    is_planned(&d, SQL_TOPIC_COUNT_READY, "COVERING INDEX message_due (topic=? AND deliver<?)");
    database_close(&d);
}

int main(void)
{
    test_order(1, 1000, "messages_of_one_priority");
    test_order(5, 1000, "those_of_a_few");
    test_order(1000000, 1000, "those_of_a_priority_each");
    test_order(1000000, 1, "those_that_are_all_ready");
    test_order(1000000, INT64_C(1) << 40, "those_that_are_mostly_delayed");
    answer_max = 2 * MESSAGE_OVERHEAD + 100;
    test_order(5, 1000, "of_answers_for_two_those_of_a_few");
    test_order(1000000, INT64_C(1) << 40, "of_answers_for_two_those_that_are_mostly_delayed");
    answer_max = SIZE_MAX;
    test_room();
    test_the_first_moment();
    test_plans();
    return done_testing();
}
