/*
 * Tables of the database file and the steps from older versions of them (doc/storage.md describes them for people).
 */
#ifndef KVS_SCHEMA_H
#define KVS_SCHEMA_H

#include "db.h"

enum { SCHEMA_VERSION = 4 };

/*
 * Brings a freshly opened database to SCHEMA_VERSION: creates the tables of an empty one in one transaction, migrates an older
 * one in steps that can each be repeated after a crash, refuses a newer one and what is another program's.  The caller
 * holds the writer lock.
 */
enum error_code schema_prepare(struct db *db, struct error *err);

/* Whether the database is at SCHEMA_VERSION already, so that nothing is to be done; false also on failure. */
bool schema_current(struct db *db);

#endif
