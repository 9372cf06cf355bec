/*
 * The queue against a model of it: random requests one by one, on a clock that is put forward and back, each answer compared
 * byte by byte.  One thread and a replaced clock: nothing is ever in doubt.  KVS_SEED repeats a run, KVS_STEPS says how long it
 * is.
 */
#include "check.h"
#include "maint.h"
#include "queue_run.h"

enum {
    STEPS = 16000,
    STEPS_LONG = 1000000,
    FEW = 60,   /* messages from which on fewer are added */
    MANY = 450, /* messages at most: the programs settle all that ran out of a topic in one transaction */
};

static const int64_t noon = INT64_C(1700000000000);

/* --- Enqueue --- */

static struct model_message a_message(struct run *r)
{
    struct model_message message = {
        .topic = below(r, MODEL_TOPICS),
        .payload = below(r, 1000000),
        .deliver = a_delay(r),
        .max_attempts = 1 + below(r, 4),
        .priority = below(r, 3) ? 0 : below(r, 5) - 2,
        .name = below(r, 3) ? -1 : below(r, MODEL_NAMES),
        .backoffs = below(r, 2) ? 0 : below(r, MODEL_BACKOFFS + 1),
    };
    for (int i = 0; i < message.backoffs; i++)
        message.backoff[i] = a_delay(r);
    return message;
}

/* The members but for the payload; defaults are left out now and then. */
static void add_options(struct run *r, const struct model_message *message)
{
    buf_printf(&r->body, "\"topic\":\"t%d\"", message->topic);
    if (message->deliver || below(r, 2))
        buf_printf(&r->body, ",\"delay\":%lld", (long long)message->deliver);
    if (message->max_attempts != 3 || below(r, 2))
        buf_printf(&r->body, ",\"maxAttempts\":%lld", (long long)message->max_attempts);
    if (message->priority)
        buf_printf(&r->body, ",\"priority\":%lld", (long long)message->priority);
    if (message->name >= 0)
        buf_printf(&r->body, ",\"dedupeId\":\"n%d\"", message->name);
    for (int i = 0; i < message->backoffs; i++)
        buf_printf(&r->body, "%s%lld", i ? "," : ",\"backoff\":[", (long long)message->backoff[i]);
    if (message->backoffs)
        buf_printf(&r->body, "]");
}

static void enqueue(struct run *r)
{
    struct model_message message = a_message(r);
    bool duplicate;

    if (r->m.count > MANY || (r->m.count > FEW && below(r, 4)))
        return;
    buf_printf(&r->body, "{\"payload\":%lld,", (long long)message.payload);
    add_options(r, &message);
    buf_printf(&r->body, "}");
    int64_t id = model_enqueue(&r->m, &message, &duplicate);
    buf_printf(&r->want, "{\"ok\":true,\"id\":%lld%s}", (long long)id, duplicate ? ",\"duplicate\":true" : "");
    expect(r, "/queue/enqueue");
}

static void enqueue_many(struct run *r)
{
    int count = below(r, 40) ? below(r, 6) : below(r, 300);
    bool duplicate;

    if (r->m.count > FEW)
        return;
    buf_printf(&r->body, "{\"messages\":[");
    buf_printf(&r->want, "{\"ids\":[");
    for (int i = 0; i < count; i++) {
        struct model_message message = a_message(r);
        buf_printf(&r->body, "%s{\"payload\":%lld,", i ? "," : "", (long long)message.payload);
        add_options(r, &message);
        buf_printf(&r->body, "}");
        buf_printf(&r->want, "%s%lld", i ? "," : "", (long long)model_enqueue(&r->m, &message, &duplicate));
    }
    buf_printf(&r->body, "]}");
    buf_printf(&r->want, "]}");
    expect(r, "/queue/enqueue-many");
}

/* --- Deliveries --- */

/* The messages that must have been handed out, with the leases that the answer gives them. */
static void want_messages(struct run *r, int topic, int limit, int64_t lease_ms, const char *answer)
{
    struct model_message *message;
    char lease[MODEL_LEASE];

    model_settle(&r->m, topic);
    buf_printf(&r->want, "{\"messages\":[");
    for (int i = 0; i < limit && (message = model_next(&r->m, topic)); i++) {
        read_lease(r, &answer, lease);
        model_hand_out(&r->m, message, lease, lease_ms);
        struct delivery *past = &r->past[r->past_count++ % PAST];
        past->id = message->id;
        memcpy(past->lease, lease, sizeof lease);
        buf_str(&r->want, i ? "," : "");
        model_message_text(message, &r->want);
    }
    buf_printf(&r->want, "]}");
}

static void dequeue(struct run *r)
{
    int topic = below(r, MODEL_TOPICS), limit = below(r, 3) ? 1 : below(r, 30) ? 1 + below(r, 5) : 1000;
    int64_t lease_ms = 1 + a_delay(r);

    buf_printf(&r->body, "{\"topic\":\"t%d\",\"limit\":%d,\"leaseMs\":%lld}", topic, limit, (long long)lease_ms);
    struct reply got = post(r, "/queue/dequeue");
    want_messages(r, topic, limit, lease_ms, got.body);
    compare(r, "/queue/dequeue", &got, 200);
}

static void add_delivery(struct run *r, const struct delivery *d)
{
    buf_printf(&r->body, "\"id\":%lld", (long long)d->id);
    if (d->lease[0])
        buf_printf(&r->body, ",\"lease\":\"%s\"", d->lease);
}

static void ack(struct run *r)
{
    struct delivery d = a_delivery(r);

    buf_printf(&r->body, "{");
    add_delivery(r, &d);
    buf_printf(&r->body, "}");
    buf_printf(&r->want, "{\"ok\":%s}", model_ack(&r->m, d.id, d.lease) ? "true" : "false");
    expect(r, "/queue/ack");
}

static void ack_many(struct run *r)
{
    buf_printf(&r->body, "{\"acks\":[");
    buf_printf(&r->want, "{\"ok\":[");
    for (int i = 0, n = below(r, 6); i < n; i++) {
        struct delivery d = a_delivery(r);
        buf_printf(&r->body, "%s{", i ? "," : "");
        add_delivery(r, &d);
        buf_printf(&r->body, "}");
        buf_printf(&r->want, "%s%s", i ? "," : "", model_ack(&r->m, d.id, d.lease) ? "true" : "false");
    }
    buf_printf(&r->body, "]}");
    buf_printf(&r->want, "]}");
    expect(r, "/queue/ack-many");
}

static void nack(struct run *r)
{
    struct delivery d = a_delivery(r);
    int64_t delay = below(r, 2) ? -1 : a_delay(r);

    buf_printf(&r->body, "{");
    add_delivery(r, &d);
    if (delay >= 0)
        buf_printf(&r->body, ",\"delay\":%lld", (long long)delay);
    buf_printf(&r->body, "}");
    buf_printf(&r->want, "{\"ok\":%s}", model_nack(&r->m, d.id, d.lease, delay) ? "true" : "false");
    expect(r, "/queue/nack");
}

static void extend(struct run *r)
{
    struct delivery d = a_delivery(r);
    int64_t lease_ms = 1 + a_delay(r), until;

    buf_printf(&r->body, "{");
    add_delivery(r, &d);
    buf_printf(&r->body, ",\"leaseMs\":%lld}", (long long)lease_ms);
    if (model_extend(&r->m, d.id, d.lease, lease_ms, &until))
        buf_printf(&r->want, "{\"ok\":true,\"leaseUntil\":%lld}", (long long)until);
    else
        buf_printf(&r->want, "{\"ok\":false}");
    expect(r, "/queue/extend");
}

/* --- Dead letters --- */

/* One page of the topic's dead letters above `after`; answers the last one's id, 0 where no more follow. */
static int64_t dead_page(struct run *r, int topic, int limit, int64_t after, char cursor[256])
{
    int64_t last = 0;
    int count = 0;
    bool more = false;

    buf_printf(&r->body, "{\"topic\":\"t%d\",\"limit\":%d,\"cursor\":%s}", topic, limit, cursor);
    struct reply got = post(r, "/queue/dead");
    buf_printf(&r->want, "{\"messages\":[");
    for (size_t i = 0; i < r->m.count; i++) {
        const struct model_message *message = &r->m.messages[i];
        if (message->topic != topic || message->state != MODEL_DEAD || message->id <= after)
            continue;
        more = count == limit;
        if (more)
            break;
        buf_str(&r->want, count++ ? "," : "");
        model_message_text(message, &r->want);
        last = message->id;
    }
    const char *end = got.body ? strstr(got.body, "\"cursor\":") : NULL;
    snprintf(cursor, 256, "%.*s", end ? (int)strcspn(end + 9, "}") : 0, end ? end + 9 : "");
    if (more && cursor[0] != '"')
        snprintf(cursor, 256, "\"one is missing\"");
    buf_printf(&r->want, "],\"cursor\":%s}", more ? cursor : "null");
    compare(r, "/queue/dead", &got, 200);
    return more ? last : 0;
}

static void dead(struct run *r)
{
    int topic = below(r, MODEL_TOPICS), limit = 1 + below(r, 10);
    char cursor[256] = "null";
    int64_t after = 0;

    model_settle(&r->m, topic);
    do
        after = dead_page(r, topic, limit, after, cursor);
    while (after && r->good);
}

/* Redrive or discard: all dead letters of the topic, or those of a list that are dead and the topic's. */
static void each_dead(struct run *r, bool redrive)
{
    int topic = below(r, MODEL_TOPICS), count = 1 + below(r, 5);
    bool all = below(r, 4) == 0;
    int64_t ids[5] = {0}, moved = 0;

    buf_printf(&r->body, "{\"topic\":\"t%d\"", topic);
    for (int i = 0; i < count && !all; i++) {
        const struct model_message *message = any_message(r);
        for (int n = 0; n < 6 && message && message->state != MODEL_DEAD; n++)
            message = any_message(r);
        ids[i] = message ? message->id : r->m.last_id + 1;
        buf_printf(&r->body, "%s%lld", i ? "," : ",\"ids\":[", (long long)ids[i]);
    }
    buf_str(&r->body, all ? "}" : "]}");
    model_settle(&r->m, topic);
    for (size_t i = r->m.count; i-- > 0;) {
        struct model_message *message = &r->m.messages[i];
        bool meant = all;
        for (int n = 0; n < count && !all; n++)
            meant |= ids[n] == message->id;
        if (!meant || message->topic != topic || message->state != MODEL_DEAD)
            continue;
        redrive ? model_redrive(&r->m, message) : model_remove(&r->m, message, r->m.dedupe_window);
        moved++;
    }
    buf_printf(&r->want, "{\"ok\":true,\"moved\":%lld}", (long long)moved);
    expect(r, redrive ? "/queue/redrive" : "/queue/discard");
}

static void redrive(struct run *r)
{
    each_dead(r, true);
}

static void discard(struct run *r)
{
    each_dead(r, false);
}

/* --- Topics --- */

static void purge(struct run *r)
{
    int topic = below(r, MODEL_TOPICS);

    buf_printf(&r->body, "{\"topic\":\"t%d\"}", topic);
    buf_printf(&r->want, "{\"ok\":true,\"purged\":%lld}", (long long)model_purge(&r->m, topic));
    expect(r, "/queue/purge");
}

static void stats(struct run *r)
{
    int one = below(r, 2 * MODEL_TOPICS);
    bool some = false;

    if (one < MODEL_TOPICS)
        buf_printf(&r->body, "{\"topic\":\"t%d\"}", one);
    else
        buf_printf(&r->body, "{}");
    buf_printf(&r->want, "{\"topics\":{");
    for (int topic = 0; topic < MODEL_TOPICS; topic++) {
        if (one < MODEL_TOPICS && one != topic)
            continue;
        size_t before = r->want.len;
        buf_str(&r->want, some ? "," : "");
        if (model_stats_text(&r->m, topic, &r->want) || one == topic)
            some = true;
        else
            r->want.len = before;
    }
    buf_printf(&r->want, "}}");
    expect(r, "/queue/stats");
}

/* --- Atomic operations --- */

/* Takes back what a refused operation would have done. */
static void put_back(struct model *m, const struct model *before)
{
    struct model_message *messages = m->messages;
    size_t room = m->room;

    if (before->count > 0)
        memcpy(messages, before->messages, before->count * sizeof *messages);
    *m = *before;
    m->messages = messages;
    m->room = room;
}

/* What all of it must come to; answers the number of the ack that refuses it, -1 where none does. */
static int want_atomic(struct run *r, const struct model_message *messages, int enqueues, const struct delivery *acks,
                       int ack_count, bool raise)
{
    struct buf ids = BUF_INIT;
    int refused = -1;
    bool duplicate;

    for (int i = 0; i < enqueues; i++)
        buf_printf(&ids, "%s%lld", i ? "," : "", (long long)model_enqueue(&r->m, &messages[i], &duplicate));
    for (int i = 0; refused < 0 && i < ack_count; i++)
        refused = model_ack(&r->m, acks[i].id, acks[i].lease[0] ? acks[i].lease : "none") ? -1 : i;
    if (refused < 0 && raise) {
        r->counter++;
        r->revision++;
        model_wrote(&r->m);
    }
    buf_printf(&r->want, "{\"ok\":true,\"results\":[");
    if (raise)
        buf_printf(&r->want, "{\"value\":%lld,\"version\":%lld}", (long long)r->counter, (long long)r->counter);
    buf_printf(&r->want, "],\"ids\":[%s],\"version\":%lld,\"revision\":%lld}", text_of(&ids),
               (long long)(raise ? r->counter : 0), (long long)r->revision);
    buf_free(&ids);
    return refused;
}

static void want_refusal(struct run *r, int refused)
{
    buf_clear(&r->want);
    buf_printf(&r->want,
               "{\"error\":{\"code\":\"conflict\",\"message\":\"the message is gone, or its lease is not the current "
               "one\",\"field\":\"acks[%d]\"}}",
               refused);
}

static void atomic(struct run *r)
{
    struct model before = r->m;
    struct model_message messages[3];
    struct delivery acks[3];
    int enqueues = r->m.count > FEW ? 0 : below(r, 4), ack_count = below(r, 4);
    bool raise = below(r, 2);

    before.messages = malloc((before.count + 1) * sizeof *before.messages);
    if (!before.messages)
        abort();
    if (before.count > 0)
        memcpy(before.messages, r->m.messages, before.count * sizeof *before.messages);
    buf_printf(&r->body, "{\"mutations\":[%s],\"enqueues\":[", raise ? "{\"type\":\"increment\",\"key\":[\"n\"]}" : "");
    for (int i = 0; i < enqueues; i++) {
        messages[i] = a_message(r);
        buf_printf(&r->body, "%s{\"payload\":%lld,\"options\":{", i ? "," : "", (long long)messages[i].payload);
        add_options(r, &messages[i]);
        buf_printf(&r->body, "}}");
    }
    buf_printf(&r->body, "],\"acks\":[");
    for (int i = 0; i < ack_count; i++) {
        acks[i] = a_delivery(r);
        buf_printf(&r->body, "%s{\"id\":%lld,\"lease\":\"%s\"}", i ? "," : "", (long long)acks[i].id,
                   acks[i].lease[0] ? acks[i].lease : "none");
    }
    buf_printf(&r->body, "]}");
    int refused = want_atomic(r, messages, enqueues, acks, ack_count, raise);
    if (refused >= 0) {
        put_back(&r->m, &before);
        want_refusal(r, refused);
    }
    struct reply got = post(r, "/kv/atomic");
    compare(r, "/kv/atomic", &got, refused >= 0 ? 409 : 200);
    free(before.messages);
}

/* --- Time, maintenance, restarts --- */

/* A moment at which something changes for some message, or just before or after it. */
static int64_t a_moment(struct run *r)
{
    const struct model_message *message = any_message(r);
    const struct model_name *name = &r->m.names[below(r, MODEL_TOPICS)][below(r, MODEL_NAMES)];
    int64_t at = model_now(&r->m);

    if (message && message->state == MODEL_READY)
        at = message->deliver;
    else if (message && message->state == MODEL_LEASED)
        at = message->lease_until + (below(r, 2) ? model_backoff(message) : 0);
    else if (message)
        at = message->failed + r->m.dead_ttl;
    if (name->until && below(r, 3) == 0)
        at = name->until;
    return at + below(r, 3) - 1;
}

static void set_clock(struct run *r)
{
    int how = below(r, 40);
    int64_t moment = a_moment(r);

    if (r->m.wall < r->m.committed && below(r, 6) == 0)
        r->m.wall = r->m.committed + below(r, 3) - 1; /* it has caught up with the store */
    else if (how == 0)
        r->m.wall += HOUR;
    else if (how == 1)
        r->m.wall -= HOUR;
    else if (how < 16 && moment > r->m.wall - 2 * HOUR && moment < r->m.wall + 2 * HOUR)
        r->m.wall = moment;
    else
        r->m.wall += below(r, 30);
    service_freeze(r->m.wall);
}

static void maintain(struct run *r)
{
    struct maint_report report = {0};
    struct model_tidied want = model_tidy(&r->m);
    enum error_code rc = maint_run(r->s.kvs, &report);

    if (!rc && report.lapsed == want.lapsed && report.dead == want.dead && report.names == want.names)
        return;
    printf("# maintenance (%d)\n#   got  %lld lapsed, %lld dead, %lld names\n#   want %lld, %lld, %lld\n", (int)rc,
           (long long)report.lapsed, (long long)report.dead, (long long)report.names, (long long)want.lapsed,
           (long long)want.dead, (long long)want.names);
    r->good = false;
}

static void on_finding(void *context, enum check_kind kind, const char *what)
{
    struct run *r = context;

    if (kind == CHECK_CLOCK) /* it is behind, as the test wants it */
        return;
    printf("# %s: %s\n", check_name(kind), what);
    r->good = false;
}

static void check(struct run *r)
{
    const struct check_sink sink = {.finding = on_finding, .context = r};
    struct check_counts counts = {0};
    struct db *db;

    if (store_reader(r->s.kvs->file, &db) || check_contents(db, &sink, &counts)) {
        printf("# the database cannot be checked\n");
        r->good = false;
        return;
    }
    store_reader_done(r->s.kvs->file, db, false);
}

static void reopen(struct run *r)
{
    service_reopen(&r->s);
}

/* --- The run --- */

static const struct kind {
    const char *name;
    int weight;
    void (*run)(struct run *r);
} kinds[] = {
    {"enqueue", 260, enqueue},    {"enqueue-many", 30, enqueue_many},
    {"dequeue", 200, dequeue},    {"ack", 110, ack},
    {"ack-many", 20, ack_many},   {"nack", 80, nack},
    {"extend", 40, extend},       {"dead", 20, dead},
    {"redrive", 15, redrive},     {"discard", 20, discard},
    {"purge", 3, purge},          {"stats", 40, stats},
    {"atomic", 50, atomic},       {"clock", 140, set_clock},
    {"maintenance", 6, maintain}, {"check", 1, check},
    {"reopen", 1, reopen},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *a_kind(struct run *r)
{
    int sum = 0;
    for (int i = 0; i < KINDS; i++)
        sum += kinds[i].weight;
    int at = below(r, sum), i = 0;
    while (at >= kinds[i].weight)
        at -= kinds[i++].weight;
    return &kinds[i];
}

/* Every message still there and no other: what is left is compared as the dead letters and counts tell it. */
static void test_run(uint64_t seed, long steps)
{
    struct run *r = calloc(1, sizeof *r);
    long step, counts[KINDS] = {0};

    if (!r)
        abort();
    r->random = seed;
    r->good = true;
    r->m.wall = noon;
    service_freeze(noon);
    service_prepare(&r->s);
    service_configure(&r->s, "dedupe_window", "2000");
    service_configure(&r->s, "dead_ttl", "120");
    service_reopen(&r->s);
    r->m.dedupe_window = 2000;
    r->m.dead_ttl = 120000;
    r->m.committed = 0;
    for (step = 0; r->good && step < steps; step++) {
        const struct kind *kind = a_kind(r);
        counts[kind - kinds]++;
        kind->run(r);
    }
    if (r->good)
        check(r);
    for (int i = 0; i < KINDS; i++)
        printf("# %ld %s\n", counts[i], kinds[i].name);
    printf("# %zu deliveries, %lld messages\n", r->past_count, (long long)r->m.last_id);
    ok(r->good, "seed %llu: %ld of %ld random requests answered as the model says", (unsigned long long)seed,
       r->good ? step : step - 1, steps);
    service_close(&r->s);
    buf_free(&r->body);
    buf_free(&r->want);
    free(r->m.messages);
    free(r->leases);
    free(r);
}

static long number_from(const char *name, long fallback)
{
    const char *text = getenv(name);
    return text && text[0] ? strtol(text, NULL, 10) : fallback;
}

int main(void)
{
    const char *wide = getenv("KVS_LONG");
    long seed = number_from("KVS_SEED", (long)(clock_now() % 1000000000));

    test_run((uint64_t)seed, number_from("KVS_STEPS", wide && wide[0] ? STEPS_LONG : STEPS));
    clock_replace(NULL);
    return done_testing();
}
