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

/* steps[n] brings version n to n + 1. */
static const char *const steps[SCHEMA_VERSION] = {version_1};

static enum error_code add_default_bucket(struct db *db)
{
    static const char name[] = "default";
    return db_run(db, SQL_BUCKET_INSERT_DEFAULT, DB_TEXT(name, sizeof name - 1), DB_INT(clock_now()));
}

bool schema_current(struct db *db)
{
    int64_t version = 0;
    return !db_user_version(db, &version) && version == SCHEMA_VERSION;
}

static enum error_code migrate(struct db *db, int64_t from, struct error *err)
{
    enum error_code rc = ERR_OK;

    for (int64_t v = from; !rc && v < SCHEMA_VERSION; v++)
        rc = db_script(db, steps[v], err);
    if (!rc && from == 0)
        rc = add_default_bucket(db);
    return rc ? rc : db_set_user_version(db, SCHEMA_VERSION);
}

enum error_code schema_prepare(struct db *db, struct error *err)
{
    int64_t version = 0;
    enum error_code rc = db_write_begin(db);
    if (rc)
        return error_set(err, rc, NULL, "the database cannot be written: %s", error_text(rc));
    rc = db_user_version(db, &version);
    if (!rc && version > SCHEMA_VERSION)
        rc = error_set(err, ERR_INTERNAL, NULL,
                       "the database has format %lld; this program knows up to %d: use a newer kvs", (long long)version,
                       (int)SCHEMA_VERSION);
    if (!rc && version < SCHEMA_VERSION)
        rc = migrate(db, version, err);
    if (!rc)
        return db_commit(db);
    db_rollback(db);
    if (err && err->code == ERR_OK)
        error_set(err, rc, NULL, "the database's tables cannot be prepared: %s", error_text(rc));
    return rc;
}
