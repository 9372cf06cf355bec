/*
 * Everything that a database holds, as text, read past the core.
 */
#ifndef KVS_TEST_STATE_H
#define KVS_TEST_STATE_H

#include <sodium.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Every table's rows in order; X(text, whether it has what is random: tokens, and sums over them). */
#define STATE_TABLES(X)                                                                                                \
    X("SELECT * FROM state", false)                                                                                    \
    X("SELECT * FROM bucket ORDER BY name", false)                                                                     \
    X("SELECT * FROM doomed ORDER BY id", false)                                                                       \
    X("SELECT bucket,key,revision,version,created,expires,op,encoding,size,sum,value FROM entry ORDER BY 1,2", false)  \
    X("SELECT bucket,key,revision,version,created,expires,op,encoding,size,sum,value FROM history ORDER BY 1,2,3",     \
      false)                                                                                                           \
    X("SELECT id,topic,state,rank,deliver,attempts,max_attempts,enqueued,lease_until,failed,backoff,dedupe FROM "      \
      "message ORDER BY id",                                                                                           \
      false)                                                                                                           \
    X("SELECT id,sum,data FROM payload ORDER BY id", false)                                                            \
    X("SELECT topic,name,message,until FROM dedupe ORDER BY 1,2", false)                                               \
    X("SELECT name,owner,fence,expires FROM lock ORDER BY name", false)                                                \
    X("SELECT id,lease,sum FROM message ORDER BY id", true)                                                            \
    X("SELECT name,token FROM lock ORDER BY name", true)

/* Bytes in hexadecimal; where they are many, how many and their BLAKE2b, so that states stay small whatever is stored. */
static void state_bytes(FILE *out, sqlite3_stmt *stmt, int column)
{
    const unsigned char *data = sqlite3_column_blob(stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(stmt, column);
    unsigned char hash[crypto_generichash_BYTES];
    char hex[2 * sizeof hash + 1];

    if (len > sizeof hash) {
        crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
        fprintf(out, "%zu:", len);
        data = hash;
        len = sizeof hash;
    }
    fputs(sodium_bin2hex(hex, sizeof hex, data, len), out);
}

static bool state_rows(FILE *out, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        for (rc = sqlite3_step(stmt); rc == SQLITE_ROW; rc = sqlite3_step(stmt)) {
            for (int c = 0; c < sqlite3_column_count(stmt); c++) {
                if (sqlite3_column_type(stmt, c) == SQLITE_BLOB) {
                    state_bytes(out, stmt, c);
                } else {
                    const char *text = (const char *)sqlite3_column_text(stmt, c);
                    fputs(text ? text : "null", out);
                }
                fputc('|', out);
            }
            fputc('\n', out);
        }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE;
}

/* The state of the database at path, with or without what is random; the caller frees it.  NULL where it cannot be read. */
static char *state_read(const char *path, bool random_too)
{
    static const struct {
        const char *sql;
        bool is_random;
    } tables[] = {
#define STATE_ROW(sql, is_random) {sql, is_random},
        STATE_TABLES(STATE_ROW)
#undef STATE_ROW
    };
    sqlite3 *db = NULL;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    bool good = out && sqlite3_open(path, &db) == SQLITE_OK;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; good && i < sizeof tables / sizeof *tables; i++)
        good = (tables[i].is_random && !random_too) || state_rows(out, db, tables[i].sql);
    if (!good)
        printf("# %s cannot be read: %s\n", path, sqlite3_errmsg(db));
    sqlite3_close(db);
    if (out)
        fclose(out);
    if (good)
        return text;
    free(text);
    return NULL;
}

#endif
