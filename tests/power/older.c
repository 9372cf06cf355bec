#include "older.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The whole of a file in memory of its own, with a NUL behind it; NULL where it cannot be read. */
static char *read_file(const char *name, size_t *len)
{
    FILE *f = fopen(name, "r");
    char *data = NULL;
    size_t size = 0;

    if (!f)
        return NULL;
    FILE *out = open_memstream(&data, &size);
    for (int c = getc(f); c != EOF; c = getc(f))
        putc(c, out);
    fclose(out);
    fclose(f);
    *len = size;
    return data;
}

static bool make(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    bool good = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix") == SQLITE_OK &&
                sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL", NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;

    return sqlite3_close(db) == SQLITE_OK && good;
}

bool older_image(struct disk_image *image)
{
    const char *directory = getenv("TMPDIR");
    char path[400];
    size_t len;
    char *sql = read_file("tests/vectors/format1.sql", &len), *data = NULL;
    snprintf(path, sizeof path, "%s/kvs-older-XXXXXX", directory && directory[0] ? directory : "/tmp");
    int fd = sql ? mkstemp(path) : -1;

    if (fd >= 0) {
        close(fd);
        data = make(path, sql) ? read_file(path, &len) : NULL;
        unlink(path);
    }
    free(sql);
    *image = (struct disk_image){.count = data ? 1 : 0};
    if (data) {
        snprintf(image->files[0].name, sizeof image->files[0].name, "kv.db");
        image->files[0].data = (unsigned char *)data;
        image->files[0].len = len;
    }
    return data;
}
