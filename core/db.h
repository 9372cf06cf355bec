/*
 * The database engine: the only module that knows SQLite.  One struct db is one connection, used by one thread at a time
 * and never carried across fork().  Statements come from the table in sql.h and are prepared on first use.
 */
#ifndef KVS_DB_H
#define KVS_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "sql.h"

struct db;
struct db_query; /* a running statement; owned by its db */

enum db_open_flags {
    DB_CREATE = 1,    /* make the file where it is missing */
    DB_RELAXED = 2,   /* a commit survives a crash of the program, not of the machine */
    DB_READ_ONLY = 4, /* statements that write are refused */
    DB_BRIEF = 8      /* not for long, and not of a new file: what tunes it for long use is left out */
};

/* To be called once before anything else in a process. */
void db_global_init(void);

/* Opens path in WAL mode.  ERR_* with a message that says what is wrong with the file and what would be right. */
enum error_code db_open(struct db **db, const char *path, unsigned flags, struct error *err);
/* Closes without a checkpoint.  NULL is fine. */
void db_close(struct db *db);

/* A value to bind. */
struct db_value {
    enum { DB_TYPE_NULL, DB_TYPE_INT, DB_TYPE_BLOB, DB_TYPE_TEXT } type;
    int64_t i;
    const void *p; /* must live until db_end */
    size_t len;
};
#define DB_INT(n)     ((struct db_value){.type = DB_TYPE_INT, .i = (n)})
#define DB_BLOB(d, n) ((struct db_value){.type = DB_TYPE_BLOB, .p = (d), .len = (n)})
#define DB_TEXT(d, n) ((struct db_value){.type = DB_TYPE_TEXT, .p = (d), .len = (n)})
#define DB_NULL       ((struct db_value){.type = DB_TYPE_NULL})

/*
 * Starts statement id with its parameters in order.  Always pair with db_end.  A failure to prepare or bind shows at the
 * first db_step.
 */
struct db_query *db_start_n(struct db *db, enum sql_id id, const struct db_value *values, size_t count);
#define db_start(db, id, ...)                                                                                          \
    db_start_n((db), (id), (const struct db_value[]){__VA_ARGS__},                                                     \
               sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))

/* true: a row is there.  false: the end, or a failure that db_end reports. */
bool db_step(struct db_query *q);

/* Columns of the current row; pointers live until the next db_step or db_end. */
int64_t db_int(struct db_query *q, int column);
bool db_is_null(struct db_query *q, int column);
const void *db_blob(struct db_query *q, int column, size_t *len);
const char *db_text(struct db_query *q, int column, size_t *len); /* NUL-terminated */

/* Ends the statement; ERR_OK or what went wrong on the way. */
enum error_code db_end(struct db_query *q);

/* Starts, steps to the end, ends.  *changes (may be NULL) gets the number of rows changed. */
enum error_code db_run_n(struct db *db, enum sql_id id, const struct db_value *values, size_t count, int64_t *changes);
#define db_run(db, id, ...)                                                                                            \
    db_run_n((db), (id), (const struct db_value[]){__VA_ARGS__},                                                       \
             sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value), NULL)
#define db_run_count(db, changes, id, ...)                                                                             \
    db_run_n((db), (id), (const struct db_value[]){__VA_ARGS__},                                                       \
             sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value), (changes))

/* Several statements of text without parameters (the schema). */
enum error_code db_script(struct db *db, const char *sql, struct error *err);

/* Transactions.  A read snapshot is the state at db_read_begin, whatever others commit. */
enum error_code db_read_begin(struct db *db);
void db_read_end(struct db *db);
enum error_code db_write_begin(struct db *db);
/* ERR_UNKNOWN_OUTCOME where the commit may or may not be on disk; the connection is then to be closed. */
enum error_code db_commit(struct db *db);
void db_rollback(struct db *db);

/*
 * Whether a sync of this connection has failed.  The kernel then takes what it could not write for written: the log reads as
 * ever, a later sync succeeds, and yet a part of it is not on the disk.  Whatever is committed behind that part would be lost with
 * it when the power fails.
 */
bool db_is_doubtful(const struct db *db);
/*
 * Ends the doubt: writes the log over itself, so that the next sync, whoever makes it, is one of all of it.  Only under the writer
 * lock.  Nothing may be committed, by anybody, before it has succeeded.
 */
enum error_code db_mend_log(struct db *db);

/* Whether no transaction is open.  False after db_rollback or db_read_end: the connection is good for closing alone. */
bool db_is_idle(const struct db *db);
enum error_code db_savepoint(struct db *db);
/* Keeps (or with undo, takes back) what was done since db_savepoint. */
enum error_code db_savepoint_end(struct db *db, bool undo);

/* Rows changed on this connection so far, to see whether something was written. */
int64_t db_total_changes(struct db *db);

/* Changes whenever another connection committed. */
enum error_code db_data_version(struct db *db, int64_t *version);

/*
 * A number for the state of the database that the connection saw last, for comparison with an earlier one: equal, and
 * nobody has committed in between.  Costs no look at the file; a statement moves on to a new state at its first db_step.
 */
uint32_t db_state(struct db *db);

/* DB_NOTE bytes, zero at first, that stay with the connection for whoever uses it next (peek.c). */
enum { DB_NOTE = 128 };
void *db_note(struct db *db);

/* The format of the tables; setting it also says that the database is ours. */
enum error_code db_user_version(struct db *db, int64_t *version);
enum error_code db_set_user_version(struct db *db, int64_t version);
/* Whether it said so, ever. */
enum error_code db_is_ours(struct db *db, bool *ours);

/* Bytes of the write-ahead log after this connection's last commit. */
int64_t db_wal_bytes(const struct db *db);
/*
 * Copies the log into the database file.  Only under the writer lock.  truncate: also cuts the log to nothing where no
 * reader needs it.  *left gets the frames that could not be copied because of readers.
 */
enum error_code db_checkpoint(struct db *db, bool truncate, int64_t *left);

/*
 * Whether the database's pages have checksums, which every one made by this program has; and giving them to one of before, by
 * writing all of it anew: only under the writer lock, outside a transaction, and with no other program at it.  ERR_BUSY where
 * a reader is in the way.
 */
bool db_has_sums(struct db *db);
enum error_code db_add_sums(struct db *db);

/*
 * From now on a damaged page is read all the same, for who knows from the rows' own checksums what is sound.  Such a connection
 * must not be used for anything else afterwards.
 */
void db_be_lenient(struct db *db);

/* Page count and size of the database, and free pages in it. */
enum error_code db_size(struct db *db, int64_t *bytes, int64_t *free_bytes);

/* The engine's own integrity check; report is called for each line that is not "ok". */
enum error_code db_integrity(struct db *db, void (*report)(void *, const char *), void *context);

/* Copies the whole database, consistent, into a new file; progress (may be NULL) gets done and total pages. */
enum error_code db_backup(struct db *db, const char *path, void (*progress)(void *, int64_t, int64_t), void *context,
                          struct error *err);

/*
 * The other way: the whole content becomes that of the database file at path, in one transaction; others see the old or the
 * new.  Only under the writer lock.
 */
enum error_code db_replace(struct db *db, const char *path, void (*progress)(void *, int64_t, int64_t), void *context,
                           struct error *err);

/*
 * Writes the database anew without its free pages.  Only under the writer lock, outside a transaction; needs room for a copy
 * in the log and in the directory for temporary files.
 */
enum error_code db_compact(struct db *db);

#endif
