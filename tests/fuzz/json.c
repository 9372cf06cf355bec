/* The scanner: whatever it lets through has a sound table, strings that decode, and a compact form that means the same. */
#include "fuzz.h"
#include "json_scan.h"

static const char *const opaque[] = {"value", "payload", NULL};

static void check_nodes(const struct json_doc *doc, struct arena *arena)
{
    must(doc->count > 0);
    for (size_t i = 0; i < doc->count; i++) {
        const struct json_node *n = &doc->nodes[i];
        const char *text;
        size_t len;
        must(n->start < n->end && n->end <= doc->len);
        must(n->next > i && n->next <= doc->count);
        if (n->type == JSON_STRING && !json_string(doc, i, arena, &text, &len))
            must(len <= n->end - n->start);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct json_doc doc, again;

    enum error_code rc = json_scan(&doc, (const char *)data, size, opaque, &arena, &err);
    must(rc == ERR_OK || rc == ERR_BAD_JSON || rc == ERR_TOO_LARGE);
    if (!rc) {
        check_nodes(&doc, &arena);
        char *copy = arena_dup(&arena, data, size);
        size_t len = json_compact(copy, copy, size);
        must(len <= size);
        must(json_scan(&again, copy, len, opaque, &arena, &err) == ERR_OK);
        must(again.count == doc.count);
        char *twice = arena_dup(&arena, copy, len);
        must(json_compact(twice, twice, len) == len && memcmp(twice, copy, len) == 0);
    }
    arena_free(&arena);
    return 0;
}
