/*
 * A database with the schema in a private directory, without a service around it, and write transactions on it by hand.
 */
#ifndef KVS_TEST_DATABASE_H
#define KVS_TEST_DATABASE_H

#include <sodium.h>

#include "db.h"
#include "schema.h"
#include "service.h"
#include "txn.h"

struct database {
    char dir[256];
    char path[300];
    struct db *db;
    struct txn txn;
};

__attribute__((unused)) static struct db *database_connect(const struct database *d, unsigned flags)
{
    struct error err = ERROR_INIT;
    struct db *db = NULL;

    if (db_open(&db, d->path, flags, &err)) {
        printf("Bail out! %s\n", err.message);
        exit(1);
    }
    return db;
}

__attribute__((unused)) static void database_open(struct database *d)
{
    struct error err = ERROR_INIT;

    if (sodium_init() < 0)
        exit(1);
    memset(d, 0, sizeof *d);
    db_global_init();
    temp_dir(d->dir, sizeof d->dir);
    snprintf(d->path, sizeof d->path, "%s/kv.db", d->dir);
    d->db = database_connect(d, DB_CREATE | DB_RELAXED);
    if (schema_prepare(d->db, &err)) {
        printf("Bail out! %s\n", err.message);
        exit(1);
    }
}

__attribute__((unused)) static void database_close(struct database *d)
{
    arena_free(&d->txn.arena);
    arena_free(&d->txn.scratch);
    db_close(d->db);
    temp_dir_remove(d->dir, "kv.db");
}

static void database_must(enum error_code rc, const char *what)
{
    if (!rc)
        return;
    printf("Bail out! %s: %s\n", what, error_text(rc));
    exit(1);
}

/* Begins a write transaction with one job in it. */
__attribute__((unused)) static struct txn *database_begin(struct database *d)
{
    txn_forget(&d->txn);
    database_must(db_write_begin(d->db), "begin");
    database_must(txn_load(&d->txn, d->db), "load");
    txn_next_job(&d->txn);
    return &d->txn;
}

__attribute__((unused)) static void database_commit(struct database *d)
{
    database_must(txn_flush(&d->txn), "flush");
    database_must(db_commit(d->db), "commit");
}

/* Takes back what the transaction did. */
__attribute__((unused)) static void database_abort(struct database *d)
{
    db_rollback(d->db);
    txn_forget(&d->txn);
}

/* The integer that a query answers. */
__attribute__((unused)) static long long database_int(const struct database *d, const char *sql)
{
    struct service s = {.kvs = NULL};
    snprintf(s.path, sizeof s.path, "%s", d->path);
    return service_sql_int(&s, sql);
}

__attribute__((unused)) static void database_sql(const struct database *d, const char *sql)
{
    struct service s = {.kvs = NULL};
    snprintf(s.path, sizeof s.path, "%s", d->path);
    service_sql(&s, sql);
}

#endif
