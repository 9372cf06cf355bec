/*
 * A database of an older format is brought to this one when it is opened, whatever came in between; and what other programs
 * may do to a database of this format.
 */
#include <sodium.h>

#include "check.h"
#include "core/service.h"
#include "maint.h"
#include "old_format.h"
#include "schema.h"
#include "service.h"

/* A connection as any other program has it. */
static sqlite3 *stranger(const struct service *s)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix") ||
        sqlite3_busy_timeout(db, 5000)) {
        printf("Bail out! %s: %s\n", s->path, sqlite3_errmsg(db));
        exit(1);
    }
    return db;
}

static bool runs(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* The old format, with more done to it. */
static void begin(struct service *s, const char *more)
{
    service_freeze(INT64_C(1795901320000));
    service_prepare(s);
    db_global_init();
    sqlite3 *db = stranger(s);
    chmod(s->path, 0660);
    ok(old_format_fill(db, more), "%.40s", more[0] ? more : "format_1");
    sqlite3_close(db);
}

static void on_finding(void *context, enum check_kind kind, const char *what)
{
    printf("# %s: %s\n", check_name(kind), what);
    ++*(int *)context;
}

static int findings(struct service *s)
{
    struct check_counts counts = {0};
    struct db *db;
    int found = 0;
    struct check_sink sink = {.finding = on_finding, .context = &found};

    if (store_reader(s->kvs->file, &db) || check_contents(db, &sink, &counts) || check_engine(db, &sink, &counts))
        found = -1;
    store_reader_done(s->kvs->file, db, false);
    return found;
}

static void is_whole(struct service *s)
{
    struct reply r = service_post(s, "/kv/history", "{\"bucket\":\"h\",\"key\":[\"k\"]}");

    ok(r.status == 200 && strstr(r.body, "\"value\":1") && strstr(r.body, "\"value\":2") &&
           strstr(r.body, "\"value\":3"),
       "its_history_is_there");
    free(r.body);
    is_int(post_int(s, "/kv/get", "{\"key\":[\"a\"]}", "revision"), 1, "its_keys_are_there");
    is_int(post_int(s, "/queue/enqueue", "{\"topic\":\"t\",\"payload\":1,\"dedupeId\":\"d\"}", "id"), 1,
           "its_messages_are_there");
    is_int(post_int(s, "/kv/set", "{\"key\":[\"new\"],\"value\":1}", "revision"), 4, "revisions_go_on");
    is_int(findings(s), 0, "it_is_sound");
    is_int(service_sql_int(s, "PRAGMA user_version"), SCHEMA_VERSION, "of_this_format");
}

static void test_migrates(const char *more)
{
    struct service s;

    begin(&s, more);
    service_reopen(&s);
    is_whole(&s);
    sqlite3 *db = stranger(&s);
    ok(!runs(db, "UPDATE state SET time=1,message=2,fence=3,bucket=4"), "a_program_of_format_1_can_write_no_more");
    sqlite3_close(db);
    service_reopen(&s);
    is_int(findings(&s), 0, "and_stays_sound");
    service_close(&s);
}

/* From 3 to 4 is an index more. */
static void test_from_3(void)
{
    struct service s;

    service_open(&s);
    post_status(&s, "/queue/enqueue", "{\"topic\":\"t\",\"payload\":1,\"priority\":7}");
    post_status(&s, "/queue/enqueue", "{\"topic\":\"t\",\"payload\":2,\"priority\":9,\"delay\":3600000}");
    kvs_close(s.kvs);
    s.kvs = NULL;
    service_sql(&s, "DROP INDEX message_due; PRAGMA user_version=3");
    service_reopen(&s);
    is_int(service_sql_int(&s, "PRAGMA user_version"), SCHEMA_VERSION, "from_format_3");
    is_int(service_sql_int(&s, "SELECT count(*) FROM message INDEXED BY message_due WHERE state=0"), 2,
           "what_is_due_is_found_by_its_time");
    is_int(findings(&s), 0, "it_is_sound");
    is_int(post_int(&s, "/queue/dequeue", "{\"topic\":\"t\"}", "id"), 1, "its_messages_are_handed_out");
    service_close(&s);
}

static void test_waits_for_older_programs(void)
{
    struct service s;
    char message[400] = "";

    begin(&s, "");
    sqlite3 *db = stranger(&s);
    runs(db, "BEGIN; SELECT * FROM state");
    service_configure(&s, "busy_timeout", "100");
    s.kvs = kvs_open(&s.config, KVS_FASTCGI, message, sizeof message);
    ok(!s.kvs && strstr(message, "stop every program"), "refused_beside_a_reader_of_the_older_version: %s", message);
    sqlite3_close(db);
    service_reopen(&s);
    is_whole(&s);
    service_close(&s);
}

static void test_trims_what_was_left(void)
{
    struct service s;

    begin(&s, "UPDATE bucket SET history=2 WHERE name='h'");
    service_reopen(&s);
    is_int(findings(&s), 1, "a_trim_that_was_cut_short");
    is_int(maint_run(s.kvs, NULL), ERR_OK, "is_finished_by_maintenance");
    is_int(findings(&s), 0, "and_nothing_is_left_over");
    is_int(service_sql_int(&s, "SELECT count(*) FROM lowered"), 0, "nor_remembered");
    service_close(&s);
}

/* sqlite3 as a person would use it; closing it as the last one moves the log into the database, without checksums. */
static void test_other_programs(void)
{
    struct service s;
    char body[6000];

    service_open(&s);
    for (int i = 0; i < 40; i++) {
        snprintf(body, sizeof body, "{\"key\":[%d],\"value\":\"%0*d\"}", i, i * 137 % 5800 + 1, i);
        post_status(&s, "/kv/set", body);
    }
    kvs_close(s.kvs);
    s.kvs = NULL;
    sqlite3 *db = stranger(&s);
    ok(runs(db, "SELECT count(*) FROM entry"), "another_program_reads");
    sqlite3_close(db);
    ok(service_sql_int(&s, "SELECT count(*) FROM entry") == 40, "and_takes_the_log_with_it");
    service_reopen(&s);
    is_int(findings(&s), 0, "which_is_no_damage");
    for (int i = 0; i < 40; i++) {
        snprintf(body, sizeof body, "{\"key\":[%d],\"value\":%d}", i, i);
        post_status(&s, "/kv/set", body);
    }
    service_sql(&s, "PRAGMA wal_checkpoint(TRUNCATE)");
    service_reopen(&s);
    is_int(findings(&s), 0, "nor_what_is_written_afterwards");
    service_close(&s);
}

static void test_foreign(const char *sql, const char *want)
{
    struct service s;
    char message[400] = "";

    service_prepare(&s);
    db_global_init();
    sqlite3 *db = stranger(&s);
    chmod(s.path, 0660);
    runs(db, sql);
    sqlite3_close(db);
    s.kvs = kvs_open(&s.config, KVS_FASTCGI, message, sizeof message);
    ok(!s.kvs && strstr(message, want), "refused, %s: %s", sql, message);
    service_close(&s);
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    test_migrates("");
    test_migrates("PRAGMA user_version=2; ALTER TABLE state RENAME COLUMN bucket TO last_bucket; ALTER TABLE state ADD "
                  "COLUMN commits INTEGER NOT NULL DEFAULT 0; CREATE TABLE lowered(id INTEGER PRIMARY KEY)");
    test_from_3();
    test_waits_for_older_programs();
    test_trims_what_was_left();
    test_other_programs();
    test_foreign("CREATE TABLE notes(text)", "another program's");
    test_foreign("CREATE TABLE notes(text); PRAGMA user_version=3", "another program's");
    return done_testing();
}
