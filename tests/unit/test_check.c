/* A sound store has no findings; each invariant, broken by hand, has its own. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "entry.h"
#include "message.h"
#include "oom.h"
#include "schema.h"
#include "tap.h"
#include "txn.h"

static char path[128];

struct seen {
    int count;
    enum check_kind kind;
    char what[1024];
    int64_t done, total;
};

static void finding(void *context, enum check_kind kind, const char *what)
{
    struct seen *seen = context;
    seen->count++;
    seen->kind = kind;
    snprintf(seen->what, sizeof seen->what, "%s", what);
}

static void progress(void *context, int64_t done, int64_t total)
{
    struct seen *seen = context;
    seen->done = done;
    seen->total = total;
}

static enum error_code check(struct db *db, struct seen *seen, struct check_counts *counts)
{
    struct check_sink sink = {finding, progress, seen};
    *seen = (struct seen){.count = 0};
    *counts = (struct check_counts){.findings = 0};
    return check_contents(db, &sink, counts);
}

static void must(enum error_code rc)
{
    if (rc) {
        printf("Bail out! %s\n", error_text(rc));
        exit(1);
    }
}

static struct key key_of(unsigned char bytes[4], int n)
{
    bytes[0] = 0x02;
    bytes[1] = (unsigned char)('a' + n / 26 % 26);
    bytes[2] = (unsigned char)('a' + n % 26);
    bytes[3] = 0;
    return (struct key){bytes, 4};
}

static void set(struct txn *t, struct bucket *b, int n, const char *text)
{
    unsigned char bytes[4];
    struct key key = key_of(bytes, n);
    struct value value = {(const unsigned char *)text, strlen(text), strlen(text), VALUE_JSON};
    struct entry old, e;

    must(entry_find(t->db, b->id, &key, &old, &t->arena));
    txn_next_job(t);
    must(entry_put(t, b, &old, &key, &value, 0, &e));
}

static void enqueue(struct txn *t, const char *topic, const char *dedupe)
{
    struct message m = {.topic = topic, .topic_len = strlen(topic), .max_attempts = 3};
    bool duplicate;

    m.payload = (struct value){(const unsigned char *)"1", 1, 1, VALUE_JSON};
    m.dedupe = dedupe;
    m.dedupe_len = dedupe ? strlen(dedupe) : 0;
    must(message_enqueue(t, &m, &duplicate));
}

/* More rows than a page has of each, a history, messages, a dedupe id that outlives its message. */
static void fill(struct db *db)
{
    struct txn t = {.db = NULL};
    struct bucket *b;
    struct message m;

    must(db_write_begin(db));
    must(txn_load(&t, db));
    must(txn_bucket(&t, "default", &b, NULL));
    b->options.history = 3;
    must(bucket_put(db, b));
    for (int round = 0; round < 5; round++)
        for (int n = 0; n < 600; n++)
            set(&t, b, n, round % 2 ? "[1,2]" : "\"x\"");
    for (int n = 0; n < 1100; n++)
        enqueue(&t, n % 2 ? "even" : "odd", NULL);
    enqueue(&t, "t", "held");
    enqueue(&t, "t", "let go");
    must(message_find(&t, t.last_message, &m));
    must(message_remove(&t, &m, 1000000));
    must(txn_flush(&t));
    must(db_commit(db));
    arena_free(&t.arena);
}

static struct db *open_filled(void)
{
    struct error err = ERROR_INIT;
    struct db *db;

    must(db_open(&db, path, DB_CREATE | DB_RELAXED, &err));
    must(schema_prepare(db, &err));
    fill(db);
    return db;
}

static void test_sound(struct db *db)
{
    struct check_counts counts;
    struct seen seen;

    is_int(check(db, &seen, &counts), ERR_OK, "a sound store can be checked");
    is_int(seen.count, 0, "and has no findings%s%s", seen.count ? ": " : "", seen.what);
    is_int(counts.buckets, 1, "it has one bucket");
    is_int(counts.entries, 600, "all entries were looked at, over page ends");
    is_int(counts.history, 1200, "and all of the history");
    is_int(counts.messages, 1101, "and all messages");
    is_int(seen.done, seen.total, "progress arrives at its end");
    struct check_sink sink = {finding, NULL, &seen};
    is_int(check_engine(db, &sink, &counts), ERR_OK, "the engine has been asked");
    is_int(counts.findings, 0, "and finds nothing");
}

/* What is done to the store, and what is found then; all of it is taken back. */
static const struct {
    const char *sql;
    enum check_kind kind;
    const char *what;
    int count; /* 0: one */
} damages[] = {
    {"UPDATE bucket SET keys=keys+1", CHECK_COUNTERS, "there are 600 keys", 0},
    {"UPDATE bucket SET held=held-1", CHECK_COUNTERS, "counts 600 keys, 1799 values", 0},
    {"UPDATE bucket SET bytes=0", CHECK_COUNTERS, "0 bytes; there", 0},
    {"UPDATE bucket SET revision=2999", CHECK_ENTRY, "revision 3000: its revision is beyond its bucket's", 0},
    {"UPDATE bucket SET compacted=revision+1", CHECK_BUCKET, "beyond its revision", 0},
    {"UPDATE bucket SET history=0", CHECK_BUCKET, "out of range", 0},
    {"UPDATE bucket SET metadata='[]'", CHECK_BUCKET, "no JSON object", 0},
    {"UPDATE bucket SET republish='{'", CHECK_BUCKET, "no JSON object", 0},
    {"UPDATE bucket SET description=CAST(x'ff' AS TEXT)", CHECK_BUCKET, "not UTF-8", 0},
    {"INSERT INTO bucket SELECT 'a b',7,0,0,0,0,0,0,1,0,-1,-1,-1,'','{}',0,0,0,NULL; UPDATE state SET last_bucket=7",
     CHECK_BUCKET, "that is no bucket's name", 0},
    {"INSERT INTO bucket SELECT 'c',7,0,0,0,0,0,0,1,0,-1,-1,-1,'','{}',0,0,0,NULL", CHECK_BUCKET, "never given out", 0},
    {"INSERT INTO doomed VALUES(1)", CHECK_DOOMED, "marked for removal", 0},
    {"INSERT INTO doomed VALUES(99)", CHECK_DOOMED, "id 99", 0},
    {"UPDATE entry SET value=CAST('[1,3]' AS BLOB),size=5 WHERE revision=2999", CHECK_ENTRY, "its checksum is wrong",
     2},
    {"UPDATE entry SET version=version+1 WHERE revision=2999", CHECK_ENTRY, "its checksum is wrong", 0},
    {"UPDATE history SET created=created+1 WHERE revision=1800", CHECK_HISTORY, "revision 1800: its checksum", 0},
    {"DELETE FROM entry WHERE revision=2999; UPDATE bucket SET keys=599,held=1799,bytes=bytes-7", CHECK_HISTORY,
     "has a history, but no entry", 2},
    {"UPDATE bucket SET history=2", CHECK_KEPT, "2 older values are held, the bucket keeps 1", 600},
    {"DELETE FROM history WHERE revision=1800", CHECK_COUNTERS, "there are 600 keys, 1799 values", 0},
    {"UPDATE message SET state=3 WHERE id=1", CHECK_MESSAGE, "message 1, topic odd: its checksum is wrong", 0},
    {"UPDATE state SET message=1100", CHECK_DEDUPE, "never was (message 1102)", 3},
    {"UPDATE state SET message=1100; DELETE FROM dedupe WHERE until>0; UPDATE dedupe SET message=1", CHECK_DEDUPE,
     "not there (message 1)", 2},
    {"DELETE FROM payload WHERE id=7", CHECK_MESSAGE, "message 7, topic odd: it has no payload", 0},
    {"UPDATE payload SET data=x'32' WHERE id=7", CHECK_MESSAGE, "its payload is damaged", 0},
    {"DELETE FROM message WHERE id=7", CHECK_PAYLOAD, "payload 7 has no message", 0},
    {"DELETE FROM dedupe WHERE until=0", CHECK_MESSAGE, "its dedupeId is not held", 0},
    {"UPDATE dedupe SET message=5 WHERE until>0", CHECK_DEDUPE, "its message is still there", 0},
    {"UPDATE dedupe SET message=99999 WHERE until>0", CHECK_DEDUPE, "never was", 0},
    {"INSERT INTO dedupe VALUES('t',x'61',1,0)", CHECK_DEDUPE, "not there", 0},
    {"INSERT INTO lock VALUES('l','t',NULL,1,1)", CHECK_LOCK, "its fence 1 was never given out", 0},
    {"INSERT INTO lock VALUES('l','t',NULL,1,-1); UPDATE state SET fence=1", CHECK_LOCK, "before the epoch", 0},
    {"UPDATE state SET time=time+864060000", CHECK_CLOCK, "240 hours ahead", 0},
    {"UPDATE state SET time=1", CHECK_MESSAGE, "enqueued after the last commit", 600 + 1200 + 1101},
    {"UPDATE state SET message=-1", CHECK_DEDUPE, "never was", 1 + 1101 + 2},
    {"DELETE FROM state", CHECK_STATE, "missing", 0},
};

/* The finding is made in a transaction of its own, so the damage is committed, and the file made anew from a copy. */
static void test_damage(struct db *db, size_t i)
{
    struct error err = ERROR_INIT;
    struct check_counts counts;
    struct seen seen;
    int want = damages[i].count ? damages[i].count : 1;

    must(db_script(db, damages[i].sql, &err));
    is_int(check(db, &seen, &counts), ERR_OK, "checked after %.50s", damages[i].sql);
    is_int(seen.count, want, "%.50s: the number of findings", damages[i].sql);
    is_int(counts.findings, want, "counted as well");
    is_str(check_name(seen.kind), check_name(damages[i].kind), "of this kind");
    if (!ok(strstr(seen.what, damages[i].what), "it says: %s", damages[i].what))
        printf("#   got %s\n", seen.what);
    ok(check_advice(seen.kind)[0], "and what to do");
}

static enum error_code body(void *context)
{
    struct check_counts counts;
    struct seen seen;
    return check(context, &seen, &counts);
}

static void remove_files(const char *name)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char file[160];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(file, sizeof file, "%s%s", name, ends[i]);
        unlink(file);
    }
}

int main(void)
{
    char dir[] = "/tmp/kvs-check-XXXXXX", copy[160];
    struct error err = ERROR_INIT;
    struct db *db;
    long failures;

    if (sodium_init() < 0 || !mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/kv.db", dir);
    snprintf(copy, sizeof copy, "%s/copy.db", dir);
    db_global_init();
    db = open_filled();
    test_sound(db);
    must(db_backup(db, copy, NULL, NULL, &err));
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        test_damage(db, i);
        must(db_replace(db, copy, NULL, NULL, &err));
    }
    test_sound(db);
    is_int(oom_each(body, db, &failures), ERR_OK, "out of memory anywhere is an error code");
    ok(failures > 0, "and was tried");
    db_close(db);
    remove_files(path);
    remove_files(copy);
    rmdir(dir);
    return done_testing();
}
