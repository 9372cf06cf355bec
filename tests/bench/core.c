/*
 * The core in process, against SQLite alone on the same file:
 *
 *   core load PATH KEYS         fills a store with keys
 *   core queue PATH MESSAGES    fills the topic "bench" with messages
 *   core get PATH KEYS          a get, from the request's text to the answer's, against a prepared SELECT of the same row
 *   core batch PATH KEYS        get-many, atomic, enqueue-many, dequeue, ack-many: microseconds an item
 *   core scale SMALL LARGE KEYS KEYS     get on two stores in turn
 *   core page PATH KEYS         first and last page of a list
 *   core dequeue SMALL LARGE    dequeue and ack on two stores in turn
 *
 * Times are processor time of the measuring thread, so that other work on the machine does not count; rounds alternate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "entry.h"
#include "rig.h"

enum { ROUNDS = 15, BATCH = 100, LOAD_BATCH = 1000 };

/* BENCH_QUICK in the environment: to see that everything runs. */
static double round_seconds = 0.2;
static int turns = 100;

/* Keys are ["user","0000001234"]; only the digits change from one to the next. */
#define DIGITS "0000000000"
enum { DIGIT_COUNT = sizeof DIGITS - 1 };
static const char value_text[] = "{\"name\":\"Grace Hopper\",\"email\":\"grace@example.com\",\"visits\":1906,"
                                 "\"tags\":[\"admin\",\"navy\"]}";

static void put_digits(char *at, uint64_t n)
{
    for (int i = DIGIT_COUNT - 1; i >= 0; i--, n /= 10)
        at[i] = (char)('0' + n % 10);
}

/* A key as it is stored: two string parts. */
struct stored_key {
    unsigned char bytes[8 + DIGIT_COUNT];
};

static const struct stored_key key_template = {"\x02user\0\x02" DIGITS};

/* --- get --- */

struct getter {
    struct client *client;
    sqlite3_stmt *stmt;
    struct db *reader;
    char body[64];
    size_t body_len, digits;
    struct stored_key key;
    uint64_t keys, seed, sum;
};

static void getter_init(struct getter *g, struct rig *rig, uint64_t keys)
{
    *g = (struct getter){.keys = keys, .seed = 88172645463325252U, .key = key_template};
    g->client = client_new(rig);
    if (db_open(&g->reader, rig->config.db_path, DB_READ_ONLY, NULL))
        rig_fail(rig->config.db_path, "cannot be opened");
    g->stmt = rig_prepare(rig, "SELECT revision,version,created,expires,op,encoding,size,sum,value FROM entry "
                               "WHERE bucket=? AND key=?");
    g->body_len = (size_t)snprintf(g->body, sizeof g->body, "{\"key\":[\"user\",\"" DIGITS "\"]}");
    g->digits = (size_t)(strstr(g->body, DIGITS) - g->body);
}

static void getter_free(struct getter *g)
{
    sqlite3_finalize(g->stmt);
    db_close(g->reader);
    client_free(g->client);
}

static void get_by_core(struct getter *g)
{
    put_digits(g->body + g->digits, rig_random(&g->seed, g->keys));
    client_call(g->client, "/kv/get", g->body, g->body_len);
}

/* The least that a program must do with the row: take every column, touch the value. */
static void get_by_select(struct getter *g)
{
    put_digits((char *)g->key.bytes + 7, rig_random(&g->seed, g->keys));
    sqlite3_bind_int64(g->stmt, 1, 1);
    sqlite3_bind_blob(g->stmt, 2, g->key.bytes, sizeof g->key.bytes, SQLITE_STATIC);
    if (sqlite3_step(g->stmt) != SQLITE_ROW)
        rig_fail("SELECT", "no such key");
    for (int i = 0; i < 8; i++)
        g->sum += (uint64_t)sqlite3_column_int64(g->stmt, i);
    size_t len = (size_t)sqlite3_column_bytes(g->stmt, 8);
    memcpy(g->client->answer, sqlite3_column_blob(g->stmt, 8), len);
    sqlite3_reset(g->stmt);
}

/* The part of a get that is the store's: look-up, decoding, checksum. */
static void get_by_store(struct getter *g)
{
    struct entry e;
    const struct key key = {g->key.bytes, sizeof g->key.bytes};
    put_digits((char *)g->key.bytes + 7, rig_random(&g->seed, g->keys));
    struct db_query *q = db_start(g->reader, SQL_ENTRY_FIND, DB_INT(1), DB_BLOB(key.data, key.len));
    if (!db_step(q) || entry_read_found(q, 1, &key, &e))
        rig_fail("store", "no such key, or a damaged row");
    memcpy(g->client->answer, e.value.data, e.value.len);
    db_end(q);
}

/* Calls a second, by processor time, in one round. */
static double rate(void (*call)(struct getter *), struct getter *g)
{
    double begin = rig_cpu(), end;
    uint64_t n = 0;
    do {
        for (int i = 0; i < 1000; i++)
            call(g);
        n += 1000;
        end = rig_cpu();
    } while (end - begin < round_seconds);
    return (double)n / (end - begin);
}

static void bench_get(struct rig *rig, uint64_t keys)
{
    struct getter g;
    double core[ROUNDS], bare[ROUNDS], store[ROUNDS];

    getter_init(&g, rig, keys);
    rate(get_by_core, &g);
    rate(get_by_select, &g);
    for (int i = 0; i < ROUNDS; i++) {
        core[i] = rate(get_by_core, &g);
        bare[i] = rate(get_by_select, &g);
        store[i] = rate(get_by_store, &g);
    }
    rig_ratio("get_core_to_select", core, bare, ROUNDS);
    rig_ratio("get_store_to_select", store, bare, ROUNDS);
    rig_result("get_store_us", 1e6 / rig_median(store, ROUNDS));
    rig_result("get_core_us", 1e6 / rig_median(core, ROUNDS));
    rig_result("get_select_us", 1e6 / rig_median(bare, ROUNDS));
    getter_free(&g);
}

static void bench_scale(struct rig *small, struct rig *large, uint64_t small_keys, uint64_t large_keys)
{
    struct getter a, b;
    double few[ROUNDS], many[ROUNDS], few_bare[ROUNDS], many_bare[ROUNDS];

    getter_init(&a, small, small_keys);
    getter_init(&b, large, large_keys);
    rate(get_by_core, &a);
    rate(get_by_core, &b);
    for (int i = 0; i < ROUNDS; i++) {
        few[i] = rate(get_by_core, &a);
        many[i] = rate(get_by_core, &b);
        few_bare[i] = rate(get_by_select, &a);
        many_bare[i] = rate(get_by_select, &b);
    }
    rig_ratio("get_many_keys_to_few", many, few, ROUNDS);
    rig_ratio("select_many_keys_to_few", many_bare, few_bare, ROUNDS);
    rig_result("get_few_keys_us", 1e6 / rig_median(few, ROUNDS));
    rig_result("get_many_keys_us", 1e6 / rig_median(many, ROUNDS));
    getter_free(&a);
    getter_free(&b);
}

/* --- Text of requests --- */

struct text {
    char *data;
    size_t len, cap;
};

static void add(struct text *t, const char *s, size_t len)
{
    if (t->len + len + 1 > t->cap) {
        t->cap = (t->len + len + 1) * 2;
        t->data = realloc(t->data, t->cap);
        if (!t->data)
            rig_fail("text", "out of memory");
    }
    memcpy(t->data + t->len, s, len + 1);
    t->len += len;
}

static void add_str(struct text *t, const char *s)
{
    add(t, s, strlen(s));
}

static void add_key(struct text *t, uint64_t n)
{
    char key[] = "[\"user\",\"" DIGITS "\"]";
    put_digits(strstr(key, DIGITS), n);
    add(t, key, sizeof key - 1);
}

static void add_int(struct text *t, long long n)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", n);
    add_str(t, digits);
}

static void add_set(struct text *t, uint64_t n)
{
    add_str(t, "{\"type\":\"set\",\"key\":");
    add_key(t, n);
    add_str(t, ",\"value\":");
    add_str(t, value_text);
    add_str(t, "}");
}

/* --- Loading --- */

static void load_keys(struct rig *rig, uint64_t keys)
{
    struct client *c = client_new(rig);
    struct text t = {NULL, 0, 0};

    for (uint64_t n = 0; n < keys;) {
        t.len = 0;
        add_str(&t, "{\"mutations\":[");
        for (int i = 0; i < LOAD_BATCH && n < keys; i++, n++) {
            if (i)
                add_str(&t, ",");
            add_set(&t, n);
        }
        add_str(&t, "]}");
        client_call(c, "/kv/atomic", t.data, t.len);
    }
    free(t.data);
    client_free(c);
}

static void add_messages(struct text *t, int count)
{
    t->len = 0;
    add_str(t, "{\"messages\":[");
    for (int i = 0; i < count; i++) {
        add_str(t, i ? ",{\"topic\":\"bench\",\"payload\":" : "{\"topic\":\"bench\",\"payload\":");
        add_str(t, value_text);
        add_str(t, "}");
    }
    add_str(t, "]}");
}

static void load_queue(struct rig *rig, uint64_t messages)
{
    struct client *c = client_new(rig);
    struct text t = {NULL, 0, 0};

    for (uint64_t n = 0; n < messages; n += LOAD_BATCH) {
        add_messages(&t, messages - n < LOAD_BATCH ? (int)(messages - n) : LOAD_BATCH);
        client_call(c, "/queue/enqueue-many", t.data, t.len);
    }
    free(t.data);
    client_free(c);
}

/* --- Batches --- */

struct batcher {
    struct client *client;
    struct text text;
    uint64_t keys, seed;
    double get_many, atomic, enqueue, dequeue, ack; /* seconds */
    uint64_t items;
};

static double timed(struct batcher *b, const char *path)
{
    double begin = rig_cpu();
    client_call(b->client, path, b->text.data, b->text.len);
    return rig_cpu() - begin;
}

static void run_get_many(struct batcher *b)
{
    b->text.len = 0;
    add_str(&b->text, "{\"keys\":[");
    for (int i = 0; i < BATCH; i++) {
        if (i)
            add_str(&b->text, ",");
        add_key(&b->text, rig_random(&b->seed, b->keys));
    }
    add_str(&b->text, "]}");
    b->get_many += timed(b, "/kv/get-many");
}

static void run_atomic(struct batcher *b)
{
    b->text.len = 0;
    add_str(&b->text, "{\"mutations\":[");
    for (int i = 0; i < BATCH; i++) {
        if (i)
            add_str(&b->text, ",");
        add_set(&b->text, rig_random(&b->seed, b->keys));
    }
    add_str(&b->text, "]}");
    b->atomic += timed(b, "/kv/atomic");
}

/* The acks of what a dequeue has just answered, found by the text of its members. */
static void make_acks(struct batcher *b)
{
    const char *p = b->client->answer;
    char lease[32];
    long long id;

    b->text.len = 0;
    add_str(&b->text, "{\"acks\":[");
    for (int i = 0; (p = strstr(p, "{\"id\":")); i++) {
        id = strtoll(p + 6, NULL, 10);
        p = strstr(p, "\"lease\":\"");
        if (!p || sscanf(p, "\"lease\":\"%31[0-9a-f]", lease) != 1)
            rig_fail("dequeue", "no lease");
        add_str(&b->text, i ? ",{\"id\":" : "{\"id\":");
        add_int(&b->text, id);
        add_str(&b->text, ",\"lease\":\"");
        add_str(&b->text, lease);
        add_str(&b->text, "\"}");
    }
    add_str(&b->text, "]}");
}

static void run_queue(struct batcher *b)
{
    static const char take[] = "{\"topic\":\"bench\",\"limit\":100}";

    add_messages(&b->text, BATCH);
    b->enqueue += timed(b, "/queue/enqueue-many");
    b->text.len = 0;
    add_str(&b->text, take);
    b->dequeue += timed(b, "/queue/dequeue");
    make_acks(b);
    b->ack += timed(b, "/queue/ack-many");
}

/* The same rows by SQLite alone: one transaction of BATCH prepared upserts into a table like entry. */
static double bare_puts(struct rig *rig, sqlite3_stmt *put, struct batcher *b)
{
    struct stored_key key = key_template;
    double begin = rig_cpu();

    rig_exec(rig, "BEGIN IMMEDIATE");
    for (int i = 0; i < BATCH; i++) {
        put_digits((char *)key.bytes + 7, rig_random(&b->seed, b->keys));
        sqlite3_bind_blob(put, 1, key.bytes, sizeof key.bytes, SQLITE_STATIC);
        sqlite3_bind_int64(put, 2, 1000 + i);
        sqlite3_bind_blob(put, 3, value_text, sizeof value_text - 1, SQLITE_STATIC);
        if (sqlite3_step(put) != SQLITE_DONE)
            rig_fail("INSERT", sqlite3_errmsg(rig->bare));
        sqlite3_reset(put);
    }
    rig_exec(rig, "COMMIT");
    return rig_cpu() - begin;
}

static sqlite3_stmt *bare_table(struct rig *rig)
{
    rig_exec(rig, "CREATE TABLE IF NOT EXISTS bench_entry(bucket INTEGER, key BLOB, revision INTEGER, version INTEGER, "
                  "created INTEGER, expires INTEGER, op INTEGER, encoding INTEGER, size INTEGER, sum INTEGER, value "
                  "BLOB, PRIMARY KEY(bucket,key))");
    rig_exec(rig, "CREATE INDEX IF NOT EXISTS bench_revision ON bench_entry(bucket,revision)");
    rig_exec(rig, "INSERT OR REPLACE INTO bench_entry SELECT * FROM entry");
    return rig_prepare(rig, "INSERT INTO bench_entry VALUES(1,?,?,1,1,0,0,0,1,1,?) ON CONFLICT(bucket,key) "
                            "DO UPDATE SET revision=excluded.revision,value=excluded.value");
}

static void bench_batch(struct rig *rig, uint64_t keys)
{
    struct batcher b = {.client = client_new(rig), .keys = keys, .seed = 88172645463325252U};
    struct getter g;
    double single[ROUNDS], many[ROUNDS], put[ROUNDS], atomic[ROUNDS];
    sqlite3_stmt *stmt = bare_table(rig);

    getter_init(&g, rig, keys);
    run_queue(&b);
    b.enqueue = b.dequeue = b.ack = 0;
    for (int i = 0; i < ROUNDS; i++) {
        b.get_many = b.atomic = put[i] = 0;
        for (int j = 0; j < turns; j++) {
            run_get_many(&b);
            run_atomic(&b);
            put[i] += bare_puts(rig, stmt, &b);
            run_queue(&b);
        }
        single[i] = rate(get_by_core, &g);
        many[i] = turns * BATCH / b.get_many;
        atomic[i] = turns * BATCH / b.atomic;
        put[i] = turns * BATCH / put[i];
    }
    rig_ratio("get_many_to_get", many, single, ROUNDS);
    rig_ratio("atomic_to_insert", atomic, put, ROUNDS);
    rig_result("get_many_item_us", 1e6 / rig_median(many, ROUNDS));
    rig_result("atomic_item_us", 1e6 / rig_median(atomic, ROUNDS));
    rig_result("insert_item_us", 1e6 / rig_median(put, ROUNDS));
    rig_result("enqueue_item_us", b.enqueue / (ROUNDS * turns * BATCH) * 1e6);
    rig_result("dequeue_item_us", b.dequeue / (ROUNDS * turns * BATCH) * 1e6);
    rig_result("ack_item_us", b.ack / (ROUNDS * turns * BATCH) * 1e6);
    rig_exec(rig, "DROP TABLE bench_entry");
    getter_free(&g);
    client_free(b.client);
    free(b.text.data);
}

/* --- Lists --- */

static void run_page(struct getter *g)
{
    client_call(g->client, "/kv/list", g->body, g->body_len);
}

static void bench_page(struct rig *rig, uint64_t keys)
{
    struct getter first, last;
    double a[ROUNDS], b[ROUNDS];
    char start[] = "[\"user\",\"" DIGITS "\"]";

    getter_init(&first, rig, keys);
    getter_init(&last, rig, keys);
    put_digits(strstr(start, DIGITS), keys - BATCH);
    first.body_len = (size_t)snprintf(first.body, sizeof first.body, "{\"limit\":100}");
    last.body_len = (size_t)snprintf(last.body, sizeof last.body, "{\"limit\":100,\"start\":%s}", start);
    for (int i = 0; i < ROUNDS; i++) {
        a[i] = rate(run_page, &last);
        b[i] = rate(run_page, &first);
    }
    rig_ratio("list_last_to_first", a, b, ROUNDS);
    rig_result("list_item_us", 1e6 / rig_median(b, ROUNDS) / BATCH);
    getter_free(&first);
    getter_free(&last);
}

/* --- Dequeue --- */

/* One message in, one out and settled: the number that wait stays the same. */
static double deliveries(struct batcher *b)
{
    static const char one_in[] = "{\"topic\":\"bench\",\"payload\":1}", one_out[] = "{\"topic\":\"bench\"}";
    double spent = 0;
    const int count = turns * 20;

    for (int i = 0; i < count; i++) {
        client_call(b->client, "/queue/enqueue", one_in, sizeof one_in - 1);
        b->text.len = 0;
        add_str(&b->text, one_out);
        spent += timed(b, "/queue/dequeue");
        make_acks(b);
        spent += timed(b, "/queue/ack-many");
    }
    return count / spent;
}

static void bench_dequeue(struct rig *small, struct rig *large)
{
    struct batcher a = {.client = client_new(small)}, b = {.client = client_new(large)};
    double few[ROUNDS], many[ROUNDS];

    deliveries(&a);
    deliveries(&b);
    for (int i = 0; i < ROUNDS; i++) {
        few[i] = deliveries(&a);
        many[i] = deliveries(&b);
    }
    rig_ratio("dequeue_many_to_few", many, few, ROUNDS);
    rig_result("dequeue_few_us", 1e6 / rig_median(few, ROUNDS));
    rig_result("dequeue_many_us", 1e6 / rig_median(many, ROUNDS));
    client_free(a.client);
    client_free(b.client);
    free(a.text.data);
    free(b.text.data);
}

static uint64_t count_of(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    if (*end || n < 1000)
        rig_fail(text, "a number of at least 1000 is needed");
    return n;
}

int main(int argc, char **argv)
{
    static struct rig one, two;
    const char *mode = argc > 2 ? argv[1] : "";

    log_init("bench", LOG_WARNING, false);
    if (getenv("BENCH_QUICK")) {
        round_seconds = 0.005;
        turns = 1;
    }
    if (argc > 2)
        rig_open(&one, argv[2], false);
    if (argc == 6 || (argc == 4 && strcmp(mode, "dequeue") == 0))
        rig_open(&two, argv[3], false);
    if (argc == 4 && strcmp(mode, "load") == 0)
        load_keys(&one, count_of(argv[3]));
    else if (argc == 4 && strcmp(mode, "queue") == 0)
        load_queue(&one, count_of(argv[3]));
    else if (argc == 4 && strcmp(mode, "get") == 0)
        bench_get(&one, count_of(argv[3]));
    else if (argc == 4 && strcmp(mode, "batch") == 0)
        bench_batch(&one, count_of(argv[3]));
    else if (argc == 4 && strcmp(mode, "page") == 0)
        bench_page(&one, count_of(argv[3]));
    else if (argc == 4 && strcmp(mode, "dequeue") == 0)
        bench_dequeue(&one, &two);
    else if (argc == 6 && strcmp(mode, "scale") == 0)
        bench_scale(&one, &two, count_of(argv[4]), count_of(argv[5]));
    else
        rig_fail("usage", "core load|queue|get|batch|page PATH COUNT, core dequeue|scale …");
    rig_close(&one);
    if (two.kvs)
        rig_close(&two);
    return 0;
}
