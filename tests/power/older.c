#include "older.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/old_format.h"

/* Of SQLite's header: the versions of the file's format for writers and readers; 2 is a database with a log. */
enum { HEADER_WRITERS = 18, HEADER_READERS = 19, WITH_LOG = 2 };

bool older_image(struct disk_image *image)
{
    sqlite3 *db = NULL;
    sqlite3_int64 len = 0;
    unsigned char *made = NULL, *data = NULL;

    if (sqlite3_open(":memory:", &db) == SQLITE_OK && old_format_fill(db, ""))
        made = sqlite3_serialize(db, "main", &len, 0);
    if (made)
        data = malloc((size_t)len);
    if (data) {
        memcpy(data, made, (size_t)len);
        data[HEADER_WRITERS] = data[HEADER_READERS] = WITH_LOG;
        image->files[0] = (struct disk_file){.name = "kv.db", .content = {data, (size_t)len, (size_t)len}};
    }
    image->count = data ? 1 : 0;
    sqlite3_free(made);
    sqlite3_close(db);
    return data;
}
