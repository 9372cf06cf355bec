/*
 * What the tests of json_scan and json_string share: a scan of a copy of some text.
 */
#ifndef KVS_SCANNED_H
#define KVS_SCANNED_H

#include "json_scan.h"
#include "tap.h"

__attribute__((unused)) static const char *const opaque[] = {"value", "payload", NULL};

/* A scan of a copy that ends where its memory ends, so that the sanitizer sees one byte too many being read. */
struct scanned {
    struct arena arena;
    struct json_doc doc;
    struct error err;
    enum error_code code;
    char *text;
};

static inline void scan(struct scanned *s, const char *text, size_t len)
{
    memset(s, 0, sizeof(*s));
    s->text = malloc(len > 0 ? len : 1);
    if (!s->text)
        abort();
    memcpy(s->text, text, len);
    s->code = json_scan(&s->doc, s->text, len, opaque, &s->arena, &s->err);
}

static inline void done(struct scanned *s)
{
    arena_free(&s->arena);
    free(s->text);
}

/* A string literal with its length, NULs in it counted. */
#define TEXT(s) s, sizeof(s) - 1

/* A body with everything in it, in which no shorter start is a value. */
__attribute__((unused)) static const char everything[] =
    "{\"key\":[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\",\"\\ud83d\\ude00\\n\",-12.5e+3,"
    "true,false,null,{\"$bytes\":\"AA==\"}],"
    "\"value\":{\"a\":[1,2,{\"a\":\"\\u00e9 longer than "
    "eight\"}],\"a\":0},\n\t\"t\\u0074l\" : 1000 , \"empty\":[{ },[ ]]}";

#endif
