#include "peek.h"

#include <string.h>

enum { NAME_ROOM = 65 };

struct note {
    struct peek peek;
    uint32_t state;
    char bucket[NAME_ROOM]; /* "": nothing is remembered */
};

_Static_assert(sizeof(struct note) <= DB_NOTE, "a note must fit the room that a connection has for it");

bool peek_remembered(struct db *db, const char *bucket, struct peek *peek)
{
    const struct note *note = db_note(db);

    if (strcmp(note->bucket, bucket) != 0)
        return false;
    *peek = note->peek;
    return true;
}

bool peek_holds(struct db *db)
{
    const struct note *note = db_note(db);
    return note->state == db_state(db);
}

struct db_query *peek_look(struct db *db, const char *bucket, struct peek *peek)
{
    struct note *note = db_note(db);
    size_t len = strlen(bucket);
    struct db_query *q = db_start(db, SQL_BUCKET_PEEK, DB_TEXT(bucket, len));

    *peek = (struct peek){0, 0};
    note->bucket[0] = '\0';
    if (db_step(q)) {
        peek->id = db_int(q, 0);
        peek->time = db_int(q, 1);
        note->peek = *peek;
        note->state = db_state(db);
        if (len < NAME_ROOM)
            memcpy(note->bucket, bucket, len + 1);
    }
    return q;
}
