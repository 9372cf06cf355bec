/* Keys: what is taken from JSON is well formed; what is well formed goes to JSON and back without a change. */
#include "key.h"
#include "fuzz.h"

static enum error_code parse(const char *text, size_t len, struct arena *arena, struct key *key)
{
    static const char *const none[] = {NULL};
    struct error err = ERROR_INIT;
    struct json_doc doc;
    enum error_code rc = json_scan(&doc, text, len, none, arena, &err);
    return rc ? rc : key_from_json(&doc, 0, 1, "key", arena, key, &err);
}

static void round_trip(const unsigned char *data, size_t len, struct arena *arena)
{
    struct buf text = BUF_INIT;
    struct json_out out;
    struct key key;

    json_out_init(&out, &text);
    must(key_to_json(&out, data, len));
    must(parse(text.data, text.len, arena, &key) == ERR_OK);
    must(key.len == len && memcmp(key.data, data, len) == 0);
    buf_free(&text);
}

static void walk(const unsigned char *data, size_t len)
{
    const unsigned char *part;
    size_t pos = 0, part_len;

    while (key_next_part(data, len, &pos, &part, &part_len))
        must(part_len > 0 && part + part_len == data + pos && pos <= len);
    must(!key_valid(data, len) || pos == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct key key, from, to;

    walk(data, size);
    if (size <= KEY_MAX && key_valid(data, size))
        round_trip(data, size, &arena);
    if (!parse((const char *)data, size, &arena, &key)) {
        must(key.len <= KEY_MAX && key_valid(key.data, key.len));
        round_trip(key.data, key.len, &arena);
        must(key_below(&key, &arena, &from, &to) == ERR_OK);
        must(memcmp(from.data, key.data, key.len) == 0 && from.len > key.len);
    }
    arena_free(&arena);
    return 0;
}
