/*
 * The engine's module: statements, values, snapshots, savepoints, and what its failures are called.
 */
#include "database.h"

/* The table of locks serves as an example: name, token, owner, fence, expires. */
static enum error_code put(struct db *db, const char *name, int64_t fence)
{
    return db_run(db, SQL_LOCK_PUT, DB_TEXT(name, strlen(name)), DB_TEXT("token", 5), DB_NULL, DB_INT(fence),
                  DB_INT(1));
}

/* The fence of name; -1 where there is none. */
static int64_t get(struct db *db, const char *name)
{
    struct db_query *q = db_start(db, SQL_LOCK_FIND, DB_TEXT(name, strlen(name)));
    int64_t n = db_step(q) ? db_int(q, 2) : -1;
    return db_end(q) ? -2 : n;
}

static void test_values(struct db *db)
{
    static const char name[] = "a\0b";
    size_t len;

    is_int(db_run(db, SQL_LOCK_PUT, DB_TEXT(name, 3), DB_TEXT("", 0), DB_NULL, DB_INT(INT64_MIN), DB_INT(INT64_MAX)),
           ERR_OK, "values_are_bound");
    struct db_query *q = db_start(db, SQL_LOCK_FIND, DB_TEXT(name, 3));
    ok(db_step(q), "text_with_a_nul_is_found");
    is_str(db_text(q, 0, &len), "", "empty_text");
    ok(!db_is_null(q, 0) && db_is_null(q, 1), "is_not_null");
    ok(db_int(q, 2) == INT64_MIN && db_int(q, 3) == INT64_MAX, "integers_of_64_bits");
    ok(!db_step(q), "one_row");
    is_int(db_end(q), ERR_OK, "and_no_failure");
    is_int(get(db, "a"), -1, "shorter_text_is_another");
    db_run(db, SQL_DEDUPE_PUT, DB_TEXT("t", 1), DB_BLOB("", 0), DB_INT(7));
    q = db_start(db, SQL_DEDUPE_FIND, DB_TEXT("t", 1), DB_BLOB(NULL, 0));
    ok(db_step(q) && db_int(q, 0) == 7, "an_empty_blob_is_a_value");
    db_end(q);
    q = db_start(db, SQL_DEDUPE_FIND, DB_TEXT("t", 1), DB_TEXT("", 0));
    ok(!db_step(q), "and_no_text");
    db_end(q);
}

static void test_changes(struct db *db)
{
    int64_t changes = -1, before = db_total_changes(db);

    put(db, "x", 1);
    put(db, "y", 1);
    is_int(db_run_count(db, &changes, SQL_LOCK_DROP, DB_TEXT("x", 1)), ERR_OK, "deleted");
    is_int(changes, 1, "one_row_went");
    is_int(db_run_count(db, &changes, SQL_LOCK_DROP, DB_TEXT("x", 1)), ERR_OK, "deleted_again");
    is_int(changes, 0, "none_went");
    is_int(db_total_changes(db) - before, 3, "three_changes_in_all");
}

static void test_snapshot(struct database *d)
{
    struct db *reader = database_connect(d, DB_READ_ONLY);
    int64_t version, later;
    uint32_t state;

    put(d->db, "s", 1);
    db_read_begin(reader);
    is_int(get(reader, "s"), 1, "a_snapshot");
    state = db_state(reader);
    put(d->db, "s", 2);
    is_int(get(reader, "s"), 1, "does_not_see_what_is_committed_later");
    is_int(db_state(reader), state, "and_is_one_state");
    ok(!db_is_idle(reader), "it_is_open");
    db_read_end(reader);
    ok(db_is_idle(reader), "until_its_end");
    is_int(get(reader, "s"), 2, "after_which_all_is_seen");
    ok(db_state(reader) != state, "another_state");
    db_data_version(reader, &version);
    get(reader, "s");
    db_data_version(reader, &later);
    is_int(later, version, "reading_is_no_news");
    put(d->db, "s", 3);
    db_data_version(reader, &later);
    ok(later != version, "a_commit_of_another_connection_is");
    is_int(put(reader, "s", 4), ERR_INTERNAL, "a_reader_cannot_write");
    is_int(get(reader, "s"), 3, "and_reads_on");
    db_close(reader);
}

static void test_transactions(struct db *db)
{
    db_write_begin(db);
    put(db, "t", 1);
    db_rollback(db);
    is_int(get(db, "t"), -1, "rolled_back");
    db_rollback(db);
    ok(db_is_idle(db), "rolling_back_nothing_is_nothing");
    db_write_begin(db);
    put(db, "t", 1);
    db_savepoint(db);
    put(db, "t", 2);
    put(db, "u", 2);
    is_int(db_savepoint_end(db, true), ERR_OK, "undone");
    is_int(get(db, "t"), 1, "to_what_it_was_at_the_savepoint");
    is_int(get(db, "u"), -1, "new_rows_too");
    db_savepoint(db);
    put(db, "u", 3);
    is_int(db_savepoint_end(db, false), ERR_OK, "kept");
    is_int(db_commit(db), ERR_OK, "committed");
    ok(get(db, "t") == 1 && get(db, "u") == 3, "all_but_what_was_undone_is_there");
}

/* A write that began as a read, on a state that is out of date by now, must not wait for anything: it can never succeed. */
static void test_busy(struct database *d)
{
    struct db *other = database_connect(d, 0);
    int64_t start = clock_mono();

    db_read_begin(other);
    get(other, "s");
    put(d->db, "s", 5);
    is_int(put(other, "s", 6), ERR_BUSY, "an_outdated_snapshot_is_busy");
    ok(clock_mono() - start < 4000, "at_once");
    db_read_end(other);
    is_int(put(other, "s", 6), ERR_OK, "and_not_for_ever");
    db_close(other);
}

static void test_full(struct database *d)
{
    struct db *db = database_connect(d, 0);
    static char large[300000];
    char text[64];

    snprintf(text, sizeof text, "PRAGMA max_page_count=%lld", database_int(d, "PRAGMA page_count") + 20);
    db_script(db, text, NULL);
    db_write_begin(db);
    put(db, "f", 1);
    is_int(db_run(db, SQL_PAYLOAD_INSERT, DB_INT(1), DB_INT(1), DB_BLOB(large, sizeof large)), ERR_FULL,
           "no_room_is_full");
    db_rollback(db);
    ok(db_is_idle(db), "the_transaction_can_be_left");
    is_int(get(db, "f"), -1, "with_nothing_done");
    is_int(put(db, "f", 1), ERR_OK, "and_small_writes_go_on");
    db_close(db);
}

static void test_checkpoint(struct database *d)
{
    struct db *reader = database_connect(d, DB_READ_ONLY);
    int64_t left = -1;

    put(d->db, "c", 1);
    ok(db_wal_bytes(d->db) > 0, "the_log_has_something");
    db_read_begin(reader);
    get(reader, "c");
    put(d->db, "c", 2);
    is_int(db_checkpoint(d->db, false, &left), ERR_OK, "a_checkpoint_beside_a_reader");
    ok(left > 0, "leaves_what_the_reader_does_not_see");
    is_int(db_checkpoint(d->db, true, &left), ERR_OK, "nor_does_cutting_fail");
    is_int(get(reader, "c"), 1, "the_reader_sees_what_it_saw");
    db_read_end(reader);
    is_int(db_checkpoint(d->db, true, &left), ERR_OK, "without_a_reader");
    is_int(left, 0, "nothing_is_left");
    is_int(db_wal_bytes(d->db), 0, "of_the_log");
    is_int(get(reader, "c"), 2, "and_nothing_is_lost");
    db_close(reader);
}

static void on_line(void *context, const char *line)
{
    (void)line;
    ++*(int *)context;
}

static void test_backup(struct database *d)
{
    char path[340];
    struct error err = ERROR_INIT;
    struct db *copy = NULL;
    int lines = 0;

    snprintf(path, sizeof path, "%s/copy", d->dir);
    put(d->db, "b", 9);
    is_int(db_backup(d->db, path, NULL, NULL, &err), ERR_OK, "a_backup %s", err.message);
    put(d->db, "b", 10);
    is_int(db_open(&copy, path, DB_CREATE, &err), ERR_OK, "can_be_opened");
    is_int(get(copy, "b"), 9, "and_has_what_was_there");
    is_int(db_integrity(copy, on_line, &lines), ERR_OK, "it_can_be_checked");
    is_int(lines, 0, "and_is_sound");
    db_close(copy);
    for (int i = 0; i < 3; i++) {
        static const char *const ends[] = {"", "-wal", "-shm"};
        snprintf(path, sizeof path, "%s/copy%s", d->dir, ends[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/none/copy", d->dir);
    ok(db_backup(d->db, path, NULL, NULL, &err) && strstr(err.message, path), "a_backup_to_nowhere: %s", err.message);
    ok(db_is_idle(d->db), "leaves_no_snapshot_open");
}

static void test_open(struct database *d)
{
    char path[340];
    struct error err = ERROR_INIT;
    struct db *db = NULL;

    snprintf(path, sizeof path, "%s/none.db", d->dir);
    ok(db_open(&db, path, 0, &err) && strstr(err.message, path), "what_is_not_there: %s", err.message);
    ok(access(path, F_OK) != 0, "is_not_made");
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < 1000; i++)
        fputs("no database", f);
    if (f)
        fclose(f);
    is_int(db_open(&db, path, DB_CREATE, &err), ERR_CORRUPT, "what_is_no_database");
    is_int(db_open(&db, path, DB_CREATE, NULL), ERR_CORRUPT, "is_called_so_without_a_message_too");
    unlink(path);
    is_int(db_script(d->db, "SELECT nonsense", &err), ERR_INTERNAL, "a_script_that_is_wrong");
    ok(strstr(err.message, "nonsense"), "says_why: %s", err.message);
}

int main(void)
{
    struct database d;

    database_open(&d);
    test_values(d.db);
    test_changes(d.db);
    test_snapshot(&d);
    test_transactions(d.db);
    test_busy(&d);
    test_full(&d);
    test_checkpoint(&d);
    test_backup(&d);
    test_open(&d);
    database_close(&d);
    return done_testing();
}
