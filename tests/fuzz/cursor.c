/* Cursors: any place comes back from its cursor; anything else, or another query's, is refused. */
#include "cursor.h"
#include "fuzz.h"

static enum error_code parse(const char *text, size_t len, const struct cursor_query *q, struct arena *arena,
                             const unsigned char **place, size_t *n)
{
    static const char *const none[] = {NULL}, *const names[] = {"cursor", NULL};
    struct error err = ERROR_INIT;
    struct json_doc doc;
    struct fields f;
    enum error_code rc = json_scan(&doc, text, len, none, arena, &err);
    if (!rc)
        rc = fields_open(&f, &doc, 0, "", names, arena, &err);
    *place = NULL;
    return rc ? rc : cursor_parse(&f, q, place, n);
}

static void round_trip(const uint8_t *data, size_t size, const struct cursor_query *q, struct arena *arena)
{
    struct cursor_query other;
    struct buf text = BUF_INIT;
    struct json_out out;
    const unsigned char *place;
    size_t n;

    json_out_init(&out, &text);
    json_out_object(&out);
    json_out_name(&out, "cursor");
    cursor_to_json(&out, q, data, size, arena);
    json_out_end(&out);
    must(parse(text.data, text.len, q, arena, &place, &n) == ERR_OK);
    must(place && n == size && (n == 0 || memcmp(place, data, n) == 0));
    cursor_query_init(&other, "/kv/keys");
    must(parse(text.data, text.len, &other, arena, &place, &n) == ERR_BAD_REQUEST);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct cursor_query q;
    const unsigned char *place;
    size_t n;

    cursor_query_init(&q, "/kv/list");
    if (size <= 2048)
        round_trip(data, size, &q, &arena);
    cursor_query_add(&q, "a", 1);
    enum error_code rc = parse((const char *)data, size, &q, &arena, &place, &n);
    must(rc != ERR_OK || !place); /* nobody guesses the sum */
    arena_free(&arena);
    return 0;
}
