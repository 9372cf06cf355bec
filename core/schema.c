#include "schema.h"

#include "clock.h"

/*
 * entry has the newest state of each key, a marker where it was deleted; history what came before, newest first to go when
 * a bucket keeps one value only.  A destroyed bucket keeps its row, so that its revisions go on, with id NULL; its entries
 * wait in doomed for maintenance.
 */
static const char version_1[] =
    "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK(id=1), time INTEGER NOT NULL, message INTEGER NOT NULL,"
    " fence INTEGER NOT NULL, bucket INTEGER NOT NULL);"
    "INSERT INTO state VALUES(1,0,0,0,1);"
    "CREATE TABLE bucket(name TEXT PRIMARY KEY, id INTEGER UNIQUE, revision INTEGER NOT NULL,"
    " compacted INTEGER NOT NULL, created INTEGER NOT NULL, keys INTEGER NOT NULL, held INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, history INTEGER NOT NULL, ttl INTEGER NOT NULL, max_value INTEGER NOT NULL,"
    " max_bytes INTEGER NOT NULL, max_keys INTEGER NOT NULL, description TEXT NOT NULL, metadata TEXT NOT NULL,"
    " storage INTEGER NOT NULL, compression INTEGER NOT NULL, marker_ttl INTEGER NOT NULL, republish TEXT)"
    " WITHOUT ROWID;"
    "CREATE TABLE doomed(id INTEGER PRIMARY KEY);"
    "CREATE TABLE entry(bucket INTEGER NOT NULL, key BLOB NOT NULL, revision INTEGER NOT NULL,"
    " version INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, op INTEGER NOT NULL,"
    " encoding INTEGER NOT NULL, size INTEGER NOT NULL, sum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(bucket,key)) WITHOUT ROWID;"
    "CREATE INDEX entry_revision ON entry(bucket,revision);"
    "CREATE INDEX entry_expiry ON entry(expires) WHERE expires>0;"
    "CREATE INDEX entry_marker ON entry(bucket,created) WHERE op>0;"
    "CREATE TABLE history(bucket INTEGER NOT NULL, key BLOB NOT NULL, revision INTEGER NOT NULL,"
    " version INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, op INTEGER NOT NULL,"
    " encoding INTEGER NOT NULL, size INTEGER NOT NULL, sum INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(bucket,key,revision)) WITHOUT ROWID;"
    "CREATE INDEX history_revision ON history(bucket,revision);"
    "CREATE TABLE message(id INTEGER PRIMARY KEY, topic TEXT NOT NULL, state INTEGER NOT NULL, rank INTEGER NOT NULL,"
    " deliver INTEGER NOT NULL, attempts INTEGER NOT NULL, max_attempts INTEGER NOT NULL, enqueued INTEGER NOT NULL,"
    " lease INTEGER NOT NULL, lease_until INTEGER NOT NULL, failed INTEGER NOT NULL, backoff TEXT, dedupe BLOB,"
    " encoding INTEGER NOT NULL, size INTEGER NOT NULL, sum INTEGER NOT NULL);"
    "CREATE INDEX message_ready ON message(topic,rank,deliver) WHERE state=0;"
    "CREATE INDEX message_lease ON message(topic,lease_until) WHERE state=1;"
    "CREATE INDEX message_dead ON message(topic) WHERE state=2;"
    "CREATE TABLE payload(id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL);"
    "CREATE TABLE dedupe(topic TEXT NOT NULL, name BLOB NOT NULL, message INTEGER NOT NULL, until INTEGER NOT NULL,"
    " PRIMARY KEY(topic,name)) WITHOUT ROWID;"
    "CREATE INDEX dedupe_until ON dedupe(until) WHERE until>0;"
    "CREATE TABLE lock(name TEXT PRIMARY KEY, token TEXT NOT NULL, owner TEXT, fence INTEGER NOT NULL,"
    " expires INTEGER NOT NULL) WITHOUT ROWID;";

/*
 * entry and history were trees of whole rows.  A search in such a tree reads every row that it compares to its end, values
 * of a mebibyte included: their neighbours could take seconds to find.  In a table with an index it compares keys alone.
 */
#define ROW_COLUMNS                                                                                                    \
    "bucket INTEGER NOT NULL, key BLOB NOT NULL, revision INTEGER NOT NULL, version INTEGER NOT NULL,"                 \
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, op INTEGER NOT NULL, encoding INTEGER NOT NULL,"             \
    " size INTEGER NOT NULL, sum INTEGER NOT NULL, value BLOB NOT NULL"

/*
 * On the way to 3.  Commits are counted, so that lost ones are missed; buckets whose history is to be trimmed are remembered:
 * all, since a trim may have been cut short before.
 *
 * In 3 pages have checksums, and get them by being written anew; a program of format 1 that is still running would write pages
 * without.  So its writes are made to fail first: each needs the column that is renamed.
 */
static const char version_2[] = "ALTER TABLE state RENAME COLUMN bucket TO last_bucket;"
                                "ALTER TABLE state ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;"
                                "CREATE TABLE lowered(id INTEGER PRIMARY KEY);"
                                "INSERT INTO lowered SELECT id FROM bucket WHERE id IS NOT NULL AND held>keys;"
                                "DROP INDEX entry_revision; DROP INDEX entry_expiry; DROP INDEX entry_marker;"
                                "DROP INDEX history_revision;"
                                "ALTER TABLE entry RENAME TO entry_1; ALTER TABLE history RENAME TO history_1;"
                                "CREATE TABLE entry(" ROW_COLUMNS ", PRIMARY KEY(bucket,key));"
                                "CREATE TABLE history(" ROW_COLUMNS ", PRIMARY KEY(bucket,key,revision));"
                                "INSERT INTO entry SELECT * FROM entry_1; DROP TABLE entry_1;"
                                "INSERT INTO history SELECT * FROM history_1; DROP TABLE history_1;"
                                "CREATE INDEX entry_revision ON entry(bucket,revision);"
                                "CREATE INDEX entry_expiry ON entry(expires) WHERE expires>0;"
                                "CREATE INDEX entry_marker ON entry(bucket,created) WHERE op>0;"
                                "CREATE INDEX history_revision ON history(bucket,revision);";

/* What is due, however many priorities there are.  Rank and state are there so that the index is all that is read. */
static const char version_4[] = "CREATE INDEX message_due ON message(topic,deliver,rank,state) WHERE state=0;";

/* The first whose pages have checksums: that comes to the file between two steps, and is none of the tables. */
enum { WITH_SUMS = 3 };

/* steps[n] brings version n to n + 1. */
static const char *const steps[SCHEMA_VERSION] = {version_1, version_2, "", version_4};

static enum error_code add_default_bucket(struct db *db)
{
    static const char name[] = "default";
    return db_run(db, SQL_BUCKET_INSERT_DEFAULT, DB_TEXT(name, sizeof name - 1), DB_INT(clock_now()));
}

bool schema_current(struct db *db)
{
    int64_t version = 0;
    bool ours = false;

    return !db_user_version(db, &version) && version == SCHEMA_VERSION && !db_is_ours(db, &ours) && ours &&
           db_has_sums(db);
}

/* Refuses what is not ours, or not for us. */
static enum error_code judge(struct db *db, int64_t *version, struct error *err)
{
    bool ours = false;
    enum error_code rc = db_user_version(db, version);

    if (!rc)
        rc = db_is_ours(db, &ours);
    if (rc)
        return rc;
    if (!ours || *version < 0)
        return error_set(err, ERR_INTERNAL, NULL,
                         "the database is another program's: set KV_DB_PATH to a file of its own");
    if (*version > SCHEMA_VERSION)
        return error_set(err, ERR_INTERNAL, NULL,
                         "the database has format %lld; this program knows up to %d: use a newer kvs",
                         (long long)*version, (int)SCHEMA_VERSION);
    if (*version >= WITH_SUMS && !db_has_sums(db))
        return error_set(err, ERR_CORRUPT, NULL,
                         "the database's header is damaged: restore a backup (kvs-maint restore)");
    return ERR_OK;
}

/* The steps of one transaction: all that are left, or up to the checksums where those are missing.  A new file has them. */
static enum error_code migrate(struct db *db, int64_t from, struct error *err)
{
    const int to = db_has_sums(db) ? SCHEMA_VERSION : WITH_SUMS - 1;
    enum error_code rc = ERR_OK;

    for (int64_t v = from; !rc && v < to; v++)
        rc = db_script(db, steps[v], err);
    if (!rc && from == 0)
        rc = add_default_bucket(db);
    return rc ? rc : db_set_user_version(db, to);
}

static enum error_code in_transaction(struct db *db, int64_t *version, struct error *err)
{
    enum error_code rc = db_write_begin(db);

    if (rc)
        return rc;
    rc = judge(db, version, err);
    if (!rc && *version < SCHEMA_VERSION)
        rc = migrate(db, *version, err);
    if (!rc)
        return db_commit(db);
    db_rollback(db);
    return rc;
}

/* On the way to WITH_SUMS every page is written anew. */
static enum error_code add_sums(struct db *db, struct error *err)
{
    enum error_code rc = db_add_sums(db);

    if (rc == ERR_BUSY)
        return error_set(err, rc, NULL,
                         "the database cannot be brought to this program's format while others use it: stop every "
                         "program of the older version");
    if (rc == ERR_FULL)
        return error_set(
            err, rc, NULL,
            "no space left to bring the database to this program's format: it needs as much as it has, twice");
    return rc;
}

enum error_code schema_prepare(struct db *db, struct error *err)
{
    struct error why = ERROR_INIT;
    int64_t version = 0;
    enum error_code rc = in_transaction(db, &version, &why);

    if (!rc && version < SCHEMA_VERSION && !db_has_sums(db)) {
        rc = add_sums(db, &why);
        if (!rc)
            rc = in_transaction(db, &version, &why);
    }
    if (rc && why.code == ERR_OK)
        error_set(&why, rc, NULL, "the database's tables cannot be prepared: %s", error_text(rc));
    if (rc && err)
        *err = why;
    return rc;
}
