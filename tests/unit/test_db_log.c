/*
 * The layer that gathers what the engine writes to its log: fewer calls, the same bytes at the same moments.
 */
#include "database.h"

#include <sqlite3.h>

/* What lies below the layer here: SQLite's own files, whose writes to logs are counted and, when told, fail. */
static struct {
    int writes;
    bool fail;
} below;

static const sqlite3_io_methods *own_methods;
static sqlite3_io_methods counting_methods;
static sqlite3_vfs *own_vfs;
static sqlite3_vfs counting_vfs;

static int counting_write(sqlite3_file *file, const void *data, int amount, sqlite3_int64 offset)
{
    below.writes++;
    return below.fail ? SQLITE_IOERR_WRITE : own_methods->xWrite(file, data, amount, offset);
}

static int counting_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    (void)vfs;
    int rc = own_vfs->xOpen(own_vfs, name, file, flags, got);
    if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_WAL))
        return rc;
    own_methods = file->pMethods;
    counting_methods = *own_methods;
    counting_methods.xWrite = counting_write;
    file->pMethods = &counting_methods;
    return rc;
}

static void install(void)
{
    own_vfs = sqlite3_vfs_find(NULL);
    counting_vfs = *own_vfs;
    counting_vfs.zName = "counting";
    counting_vfs.xOpen = counting_open;
    sqlite3_vfs_register(&counting_vfs, 1);
}

enum { ROW = 3000 }; /* so that nearly each row has a page of its own */

static enum error_code put(struct db *db, int64_t id, unsigned char fill)
{
    static unsigned char data[ROW];
    memset(data, fill, sizeof data);
    return db_run(db, SQL_PAYLOAD_INSERT, DB_INT(id), DB_INT(fill), DB_BLOB(data, sizeof data));
}

/* Whether rows first to last are there, whole. */
static bool are_there(struct db *db, int64_t first, int64_t last, unsigned char fill)
{
    bool good = true;

    for (int64_t id = first; good && id <= last; id++) {
        size_t len = 0;
        struct db_query *q = db_start(db, SQL_PAYLOAD_FIND, DB_INT(id));
        good = db_step(q);
        const unsigned char *data = good ? db_blob(q, 0, &len) : NULL;
        good = good && len == ROW && data[0] == fill && data[ROW - 1] == fill;
        db_end(q);
    }
    return good;
}

static int64_t count(const struct database *d)
{
    return database_int(d, "SELECT count(*) FROM payload");
}

static void put_many(struct db *db, int64_t first, int64_t last, unsigned char fill)
{
    for (int64_t id = first; id <= last; id++)
        database_must(put(db, id, fill), "insert");
}

static void test_gathering(struct database *d, struct db *db, struct db *relaxed)
{
    put_many(db, 1, 1, 'a');
    below.writes = 0;
    db_write_begin(db);
    put_many(db, 2, 101, 'b');
    is_int(db_commit(db), ERR_OK, "a_commit_of_a_hundred_pages");
    ok(below.writes > 0 && below.writes <= 20, "takes_few_writes: %d", below.writes);
    is_int(count(d), 101, "and_is_seen_by_others_at_once");
    ok(are_there(relaxed, 2, 101, 'b'), "byte_for_byte");
    below.writes = 0;
    db_write_begin(relaxed);
    put_many(relaxed, 102, 201, 'c');
    is_int(db_commit(relaxed), ERR_OK, "a_commit_without_a_sync");
    ok(below.writes > 100, "is_not_gathered: %d", below.writes);
    is_int(count(d), 201, "since_others_must_see_it_at_once_too");
}

/* More than the cache holds: pages go to the log before the commit, and are read from there again. */
static void test_spill(struct database *d, struct db *db)
{
    db_write_begin(db);
    put_many(db, 1001, 3000, 'd');
    ok(are_there(db, 1001, 3000, 'd'), "a_transaction_sees_what_it_wrote_itself");
    is_int(count(d), 201, "others_do_not");
    db_rollback(db);
    put_many(db, 202, 202, 'e');
    is_int(count(d), 202, "nothing_of_it_is_left_after_a_rollback");
    db_write_begin(db);
    put_many(db, 1001, 3000, 'f');
    is_int(db_commit(db), ERR_OK, "committed");
    is_int(count(d), 2202, "all_of_it_is_there");
    ok(are_there(db, 1001, 3000, 'f') && are_there(db, 202, 202, 'e'), "byte_for_byte");
}

static void test_checkpoint(struct database *d, struct db *db)
{
    int64_t left = -1;

    is_int(db_checkpoint(db, false, &left), ERR_OK, "a_checkpoint");
    is_int(left, 0, "copies_all");
    put_many(db, 203, 203, 'g');
    ok(are_there(db, 203, 203, 'g') && count(d) == 2203, "the_log_begins_anew");
    is_int(db_checkpoint(db, true, &left), ERR_OK, "one_that_cuts_the_log");
    put_many(db, 204, 204, 'h');
    ok(are_there(db, 204, 204, 'h') && count(d) == 2204, "and_it_begins_anew");
    ok(database_int(d, "SELECT integrity_check='ok' FROM pragma_integrity_check"), "the_database_is_sound");
}

static void test_failure(struct database *d, struct db *db)
{
    struct db *again = NULL;

    db_write_begin(db);
    put_many(db, 301, 310, 'i');
    below.fail = true;
    is_int(db_commit(db), ERR_UNKNOWN_OUTCOME, "a_commit_whose_bytes_cannot_be_written_is_none");
    below.fail = false;
    is_int(count(d), 2204, "nothing_of_it_is_seen");
    again = database_connect(d, 0);
    put_many(again, 311, 320, 'j');
    is_int(count(d), 2214, "the_next_one_succeeds");
    ok(are_there(again, 311, 320, 'j') && !are_there(again, 301, 301, 'i'), "alone");
    db_close(again);
}

int main(void)
{
    struct database d;

    db_global_init();
    install();
    database_open(&d);
    struct db *db = database_connect(&d, 0);
    test_gathering(&d, db, d.db);
    test_spill(&d, db);
    test_checkpoint(&d, db);
    test_failure(&d, db);
    db_close(db);
    database_close(&d);
    return done_testing();
}
