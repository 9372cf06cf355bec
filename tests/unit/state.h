/*
 * Everything that a database holds, as text, read past the core.
 */
#ifndef KVS_TEST_STATE_H
#define KVS_TEST_STATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Every table's rows in order; X(text, whether it has what is random: tokens, and sums over them). */
#define STATE_TABLES(X)                                                                                                \
    X("SELECT * FROM state", false)                                                                                    \
    X("SELECT * FROM bucket ORDER BY name", false)                                                                     \
    X("SELECT * FROM doomed ORDER BY id", false)                                                                       \
    X("SELECT bucket,hex(key),revision,version,created,expires,op,encoding,size,sum,hex(value) FROM entry ORDER BY "   \
      "1,2",                                                                                                           \
      false)                                                                                                           \
    X("SELECT bucket,hex(key),revision,version,created,expires,op,encoding,size,sum,hex(value) FROM history ORDER BY " \
      "1,2,3",                                                                                                         \
      false)                                                                                                           \
    X("SELECT id,topic,state,rank,deliver,attempts,max_attempts,enqueued,lease_until,failed,backoff,dedupe FROM "      \
      "message ORDER BY id",                                                                                           \
      false)                                                                                                           \
    X("SELECT id,sum,hex(data) FROM payload ORDER BY id", false)                                                       \
    X("SELECT topic,hex(name),message,until FROM dedupe ORDER BY 1,2", false)                                          \
    X("SELECT name,owner,fence,expires FROM lock ORDER BY name", false)                                                \
    X("SELECT id,lease,sum FROM message ORDER BY id", true)                                                            \
    X("SELECT name,token FROM lock ORDER BY name", true)

static bool state_rows(FILE *out, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        for (rc = sqlite3_step(stmt); rc == SQLITE_ROW; rc = sqlite3_step(stmt)) {
            for (int c = 0; c < sqlite3_column_count(stmt); c++) {
                const char *text = (const char *)sqlite3_column_text(stmt, c);
                fprintf(out, "%s|", text ? text : "null");
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
