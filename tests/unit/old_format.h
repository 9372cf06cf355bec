/*
 * A database of the oldest format: tests/vectors/format1.sql.
 */
#ifndef KVS_TEST_OLD_FORMAT_H
#define KVS_TEST_OLD_FORMAT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Fills an empty database with it, and does more to it.  Bails out where the vector cannot be read. */
__attribute__((unused)) static bool old_format_fill(sqlite3 *db, const char *more)
{
    static char sql[1 << 16];
    const char *dir = getenv("srcdir");
    char name[600];

    snprintf(name, sizeof name, "%s/tests/vectors/format1.sql", dir ? dir : ".");
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(sql, 1, sizeof sql - 1, f) : 0;
    if (f)
        fclose(f);
    if (n == 0) {
        printf("Bail out! cannot read %s\n", name);
        exit(1);
    }
    sql[n] = '\0';
    return sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL", NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(db, more, NULL, NULL, NULL) == SQLITE_OK;
}

#endif
