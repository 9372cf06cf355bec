/*
 * Stores: what is refused, whose files they are, many openers at once, and one connection for a process with one thread.
 */
#include "store.h"

#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "schema.h"
#include "service.h"

static char dir[256], path[400];

static struct store *open_store(bool alone)
{
    struct store_options options = {
        .path = path, .relaxed = true, .busy_timeout = 5000, .wal_limit = 1 << 20, .alone = alone};
    struct error err = ERROR_INIT;
    struct store *store = NULL;

    if (store_open(&store, &options, &err)) {
        printf("Bail out! %s\n", err.message);
        exit(1);
    }
    return store;
}

static enum error_code refused(struct error *err)
{
    struct store_options options = {.path = path, .busy_timeout = 100, .wal_limit = 1 << 20};
    struct store *store = NULL;

    *err = (struct error)ERROR_INIT;
    enum error_code rc = store_open(&store, &options, err);
    if (!rc)
        store_close(store);
    return rc;
}

static mode_t mode_of(const char *end)
{
    char name[420];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, end);
    return stat(name, &st) ? 0 : st.st_mode & 07777;
}

static void test_files_are_the_groups_too(void)
{
    mode_t mask = umask(077);
    struct store *store = open_store(false);
    struct db *db;

    is_int(store_reader(store, &db), ERR_OK, "a_reader");
    store_reader_done(store, db, false);
    is_int(mode_of(""), 0660, "mode_of_the_database");
    is_int(mode_of("-wal"), 0660, "mode_of_the_log");
    is_int(mode_of("-shm"), 0660, "mode_of_the_shared_memory");
    is_int(mode_of(".lock"), 0660, "mode_of_the_lock");
    umask(mask);
    store_close(store);
    temp_dir_remove(dir, "kv.db");
    mkdir(dir, 0700);
}

static void sql(const char *text)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path, &db) || sqlite3_exec(db, text, NULL, NULL, NULL))
        printf("Bail out! %s: %s\n", text, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void test_what_is_refused(void)
{
    struct error err;
    char text[64];

    store_close(open_store(false));
    sql("PRAGMA user_version=999");
    ok(refused(&err) && strstr(err.message, "999") && strstr(err.message, "newer"), "a_newer_format: %s", err.message);
    snprintf(text, sizeof text, "PRAGMA user_version=%d", (int)SCHEMA_VERSION);
    sql(text);
    is_int(refused(&err), ERR_OK, "but_not_its_own");
    temp_dir_remove(dir, "kv.db");
    ok(refused(&err) && strstr(err.message, dir), "a_missing_directory: %s", err.message);
    mkdir(dir, 0700);
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < 2000; i++)
        fputs("no database", f);
    if (f)
        fclose(f);
    ok(refused(&err) && err.message[0], "a_file_that_is_no_database: %s", err.message);
    temp_dir_remove(dir, "kv.db");
    mkdir(dir, 0700);
}

/* One write in the store; what it answers. */
static enum error_code apply_lock(struct commit_job *job, struct txn *t)
{
    (void)job;
    return db_run(t->db, SQL_LOCK_PUT, DB_TEXT("n", 1), DB_TEXT("t", 1), DB_NULL, DB_INT(txn_next_fence(t)), DB_INT(1));
}

static enum error_code write_something(struct store *store)
{
    struct commit_job job = {.apply = apply_lock};
    return commit_wait(store_commit(store), &job);
}

/* One lock and one log, whatever the name that a process comes by. */
static void test_one_name(void)
{
    char link_path[320], dir_link[270], real[300];
    struct error err;

    store_close(open_store(false));
    snprintf(real, sizeof real, "%s/kv.db", dir);
    snprintf(link_path, sizeof link_path, "%s/other.db", dir);
    snprintf(dir_link, sizeof dir_link, "%s-link", dir);
    is_int(symlink("kv.db", link_path) || symlink(dir, dir_link), 0, "links_are_made");
    snprintf(path, sizeof path, "%s", link_path);
    struct store *store = open_store(false);
    is_str(store_path(store), real, "a_symbolic_link_to_the_file");
    is_int(write_something(store), ERR_OK, "is_written_through");
    snprintf(link_path, sizeof link_path, "%s/other.db.lock", dir);
    ok(access(link_path, F_OK) != 0, "without_a_lock_of_its_own");
    store_close(store);
    snprintf(path, sizeof path, "%s/kv.db", dir_link);
    store = open_store(false);
    is_str(store_path(store), real, "a_symbolic_link_to_its_directory");
    store_close(store);
    snprintf(path, sizeof path, "%s/nothing.db", dir);
    is_int(symlink("not/there", path), 0, "a_link_to_nothing");
    ok(refused(&err) && strstr(err.message, "link to nothing"), "is_refused: %s", err.message);
    unlink(path);
    is_int(link(real, path), 0, "a_hard_link");
    ok(refused(&err) && strstr(err.message, "second name"), "is_refused: %s", err.message);
    unlink(path);
    snprintf(link_path, sizeof link_path, "%s/other.db", dir);
    unlink(link_path);
    unlink(dir_link);
    snprintf(path, sizeof path, "%s", real);
    is_int(refused(&err), ERR_OK, "with_one_name_it_is_opened_again");
}

static struct store *open_with(enum store_loss loss, bool relaxed, struct error *err)
{
    struct store_options options = {
        .path = path, .relaxed = relaxed, .busy_timeout = 5000, .wal_limit = 1 << 20, .loss = loss};
    struct store *store = NULL;

    *err = (struct error)ERROR_INIT;
    store_open(&store, &options, err);
    return store;
}

/* Some commits in the log, which then loses its end. */
static void lose_commits(void)
{
    struct error err;
    char log[420];
    struct store *store = open_with(STORE_ACCEPTS, false, &err);

    snprintf(log, sizeof log, "%s-wal", path);
    for (int i = 0; i < 5; i++)
        write_something(store);
    struct stat st;
    store_close(store);
    is_int(stat(log, &st) || truncate(log, st.st_size - 5000), 0, "the_log_is_cut");
}

static void test_lost_commits(void)
{
    struct error err;
    struct store *store;

    lose_commits();
    ok(!open_with(STORE_REFUSES, false, &err) && strstr(err.message, "lost its last") &&
           strstr(err.message, "kvs-maint check"),
       "refused: %s", err.message);
    store = open_with(STORE_TELLS, false, &err);
    ok(store && store_lost(store) > 0 && store_lost(store) <= 2, "told");
    is_int(store ? write_something(store) : ERR_INTERNAL, ERR_CORRUPT, "but_not_written");
    store_close(store);
    ok(!open_with(STORE_REFUSES, false, &err), "still_refused");
    store_close(open_with(STORE_ACCEPTS, false, &err));
    store = open_with(STORE_REFUSES, false, &err);
    ok(store && !store_lost(store), "once_accepted_it_goes_on");
    is_int(store ? write_something(store) : ERR_INTERNAL, ERR_OK, "with_writes");
    store_close(store);
    lose_commits();
    store = open_with(STORE_REFUSES, true, &err);
    ok(store != NULL, "relaxed_the_last_commits_may_go");
    is_int(store ? write_something(store) : ERR_INTERNAL, ERR_OK, "and_it_goes_on");
    store_close(store);
}

/* Writes len bytes into the database's file itself. */
static void overwrite(const char *bytes, size_t len, off_t at)
{
    FILE *f = fopen(path, "r+");
    is_int(f && !fseeko(f, at, SEEK_SET) && fwrite(bytes, 1, len, f) == len && !fclose(f), 1,
           "the_file_is_written_over");
}

/* The power fails while a checkpoint writes the first page: the log has it whole, the file in pieces. */
static void test_torn_first_page(void)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
        off_t at;
    } torn[] = {
        {"the_magic_is_torn", "=\xa2\x97\0sKa", 7, 15},
        {"all_behind_the_magic_is_torn", "\x97\x13sKa\xdf\x28\x30\xb6\xf5uO8\xaf\xd7\xb2k", 17, 16},
        {"it_denies_that_pages_have_checksums", "\0", 1, 20},
    };
    char from[420], to[430], command[2400];
    struct error err;

    snprintf(from, sizeof from, "%s-wal", path);
    snprintf(to, sizeof to, "%s/log", dir);
    temp_dir_remove(dir, "kv.db");
    mkdir(dir, 0700);
    store_close(open_with(STORE_ACCEPTS, false, &err));
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    is_int(system(command), 0, "a_log_with_the_first_page");
    sqlite3 *db = NULL;
    is_int(sqlite3_open(path, &db) || sqlite3_exec(db, "PRAGMA wal_checkpoint", NULL, NULL, NULL), 0, "is_moved");
    sqlite3_close(db);
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        snprintf(command, sizeof command, "cp '%s' '%s' && rm -f '%s-shm' '%s.lock'", to, from, path, path);
        is_int(system(command), 0, "the_log_as_it_was");
        overwrite(torn[i].bytes, torn[i].len, torn[i].at);
        struct store *store = open_with(STORE_REFUSES, false, &err);
        ok(store != NULL, "%s: %s", torn[i].what, store ? "opened by the log" : err.message);
        is_int(store ? write_something(store) : ERR_INTERNAL, ERR_OK, "and_written");
        store_close(store);
    }
    unlink(to);
}

static void test_many_make_the_same_file(void)
{
    enum { CHILDREN = 6 };
    pid_t pids[CHILDREN];

    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct store *store = open_store(false);
            enum error_code rc = write_something(store);
            store_close(store);
            _exit(rc ? 1 : 0);
        }
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        is_int(status, 0, "process_%d_opens_and_writes", i);
    }
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    sqlite3_open(path, &db);
    sqlite3_prepare_v2(db, "SELECT fence FROM state", -1, &stmt, NULL);
    sqlite3_step(stmt);
    is_int(sqlite3_column_int64(stmt, 0), CHILDREN, "each_wrote_once");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static void test_one_connection_for_one_thread(void)
{
    struct store *store = open_store(true);
    struct db *a = NULL, *b = NULL;

    is_int(store_reader(store, &a), ERR_OK, "the_writer_is_borrowed");
    is_int(store_reader(store, &b), ERR_OK, "and_another_reader_beside_it");
    ok(a != b, "has_its_own_connection");
    store_reader_done(store, b, false);
    store_reader_done(store, a, false);
    is_int(write_something(store), ERR_OK, "whichever_came_back_first_writes");
    is_int(store_reader(store, &a), ERR_OK, "borrowed_again");
    is_int(write_something(store), ERR_OK, "a_write_meanwhile_has_its_own");
    store_reader_done(store, a, false);
    is_int(store_reader(store, &a), ERR_OK, "borrowed_once_more");
    store_reader_done(store, a, true);
    is_int(write_something(store), ERR_OK, "after_a_broken_one_too");
    store_close(store);
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    db_global_init();
    temp_dir(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/kv.db", dir);
    test_files_are_the_groups_too();
    test_what_is_refused();
    test_one_name();
    test_lost_commits();
    test_torn_first_page();
    temp_dir_remove(dir, "kv.db");
    mkdir(dir, 0700);
    test_many_make_the_same_file();
    test_one_connection_for_one_thread();
    temp_dir_remove(dir, "kv.db");
    return done_testing();
}
