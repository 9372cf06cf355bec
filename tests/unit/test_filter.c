/*
 * Filters: what they match, what is refused, and the prefix that narrows a scan.
 */
#include "arena.h"
#include "filter.h"
#include "json_scan.h"
#include "mem.h"
#include "tap.h"

static const char *const no_opaque[] = {NULL};

static enum error_code parse(const char *json, struct arena *arena, struct filter **f, struct error *err)
{
    struct json_doc doc;
    enum error_code code = json_scan(&doc, json, strlen(json), no_opaque, arena, err);
    return code ? code : filter_from_json(&doc, 0, "filter", arena, f, err);
}

static struct key encode(const char *json, struct arena *arena)
{
    struct json_doc doc;
    struct key key = {(const unsigned char *)"", 0};
    if (json_scan(&doc, json, strlen(json), no_opaque, arena, NULL) == ERR_OK)
        key_from_json(&doc, 0, 0, "key", arena, &key, NULL);
    return key;
}

static const struct {
    const char *filter, *key;
    bool matches;
} matches[] = {
    {"\"a\"", "[\"a\"]", true},
    {"\"a\"", "[\"b\"]", false},
    {"\"a\"", "[\"a\",\"b\"]", false},
    {"\"a\"", "[\"ab\"]", false},
    {"\"ab\"", "[\"a\"]", false},
    {"\"a\"", "[{\"$bytes\":\"YQ==\"}]", false},
    {"\"1\"", "[1]", false},
    {"\"1\"", "[{\"$bigint\":\"1\"}]", false},
    {"\"true\"", "[true]", false},
    {"\"a.b\"", "[\"a\",\"b\"]", true},
    {"\"a.b\"", "[\"a.b\"]", false},
    {"\"a.b\"", "[\"a\"]", false},
    {"\"a.*.c\"", "[\"a\",\"b\",\"c\"]", true},
    {"\"a.*.c\"", "[\"a\",42,\"c\"]", true},
    {"\"a.*.c\"", "[\"a\",\"c\"]", false},
    {"\"a.*.c\"", "[\"a\",\"b\",\"b\",\"c\"]", false},
    {"\"a.*.c\"", "[\"a\",\"b\",\"d\"]", false},
    {"\"*\"", "[\"a\"]", true},
    {"\"*\"", "[\"\"]", true},
    {"\"*\"", "[1]", true},
    {"\"*\"", "[false]", true},
    {"\"*\"", "[{\"$bytes\":\"AA==\"}]", true},
    {"\"*\"", "[{\"$bigint\":\"-18446744073709551616\"}]", true},
    {"\"*\"", "[\"a\",\"b\"]", false},
    {"\"*.*\"", "[1,2]", true},
    {"\"*.b\"", "[{\"$bigint\":\"99999999999999999999\"},\"b\"]", true},
    {"\">\"", "[\"a\"]", true},
    {"\">\"", "[1,2,3,4]", true},
    {"\"a.>\"", "[\"a\"]", false},
    {"\"a.>\"", "[\"a\",\"b\"]", true},
    {"\"a.>\"", "[\"a\",1,2,3]", true},
    {"\"a.>\"", "[\"b\",\"b\"]", false},
    {"\"a.*.>\"", "[\"a\",\"b\"]", false},
    {"\"a.*.>\"", "[\"a\",\"b\",\"c\"]", true},
    {"\"a*\"", "[\"a*\"]", true},
    {"\"a*\"", "[\"ab\"]", false},
    {"\"a>.b\"", "[\"a>\",\"b\"]", true},
    {"\"a\\u0000b\"", "[\"a\\u0000b\"]", true},
    {"\"a\\u0000b\"", "[\"a\"]", false},
    {"\"\\u0000\"", "[\"\\u0000\"]", true},
    {"\"\\u0061\\u002e\\u002a\"", "[\"a\",1]", true},
    {"\"\u00e9.\\ud83d\\ude00\"", "[\"\u00e9\",\"\U0001F600\"]", true},
    {"[\"a\",\"b.*\"]", "[\"a\"]", true},
    {"[\"a\",\"b.*\"]", "[\"b\",1]", true},
    {"[\"a\",\"b.*\"]", "[\"b\"]", false},
    {"[\"x\",\"y\",\">\"]", "[\"z\",1]", true},
};

static void test_matches(void)
{
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        struct filter *f = NULL;
        struct key key = encode(matches[i].key, &arena);
        if (is_int(parse(matches[i].filter, &arena, &f, NULL), ERR_OK, "%s is a filter", matches[i].filter) &&
            ok(key.len > 0, "%s is a key", matches[i].key))
            is_int(filter_matches(f, key.data, key.len), matches[i].matches, "%s %s %s", matches[i].filter,
                   matches[i].matches ? "matches" : "does not match", matches[i].key);
        arena_reset(&arena);
    }
    struct filter *f = NULL;
    parse("\">\"", &arena, &f, NULL);
    ok(!filter_matches(f,
                       (const unsigned char *)"\x02"
                                              "a",
                       2),
       "bytes that are no key are not matched");
    ok(!filter_matches(f, (const unsigned char *)"", 0), "nor is nothing at all");
    arena_free(&arena);
}

static const struct {
    const char *filter, *prefix; /* a key's JSON */
} prefixes[] = {
    {"\"a\"", "[\"a\"]"},
    {"\"a.b\"", "[\"a\",\"b\"]"},
    {"\"a.*.c\"", "[\"a\"]"},
    {"\"a.b.>\"", "[\"a\",\"b\"]"},
    {"\"*.b\"", "[]"},
    {"\">\"", "[]"},
    {"[\"a.b.c\",\"a.b.d\"]", "[\"a\",\"b\"]"},
    {"[\"a.b.c\",\"a.b\"]", "[\"a\",\"b\"]"},
    {"[\"a.b\",\"a.b.c\"]", "[\"a\",\"b\"]"},
    {"[\"a.b.c\",\"a.*.c\"]", "[\"a\"]"},
    {"[\"a.*.c\",\"a.b.c\"]", "[\"a\"]"},
    {"[\"ab\",\"ac\"]", "[]"},
    {"[\"a\",\"ab\"]", "[]"},
    {"[\"a.x\",\"a.x\",\"b\"]", "[]"},
    {"[\"a.x\",\">\"]", "[]"},
    {"\"a\\u0000.b.*\"", "[\"a\\u0000\",\"b\"]"},
};

static void test_prefixes(void)
{
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct filter *f = NULL;
        struct key got, want = encode(prefixes[i].prefix, &arena);
        if (!is_int(parse(prefixes[i].filter, &arena, &f, NULL), ERR_OK, "%s is a filter", prefixes[i].filter))
            continue;
        filter_prefix(f, &got);
        ok(got.data, "%s: the prefix is present", prefixes[i].filter);
        is_mem(got.data, got.len, want.data, want.len, "%s: prefix is %s", prefixes[i].filter, prefixes[i].prefix);
    }
    arena_free(&arena);
}

static const struct {
    const char *filter, *field;
} refused[] = {
    {"\"\"", "filter"},
    {"\".\"", "filter"},
    {"\"a.\"", "filter"},
    {"\".a\"", "filter"},
    {"\"a..b\"", "filter"},
    {"\">.a\"", "filter"},
    {"\"a.>.b\"", "filter"},
    {"\">.>\"", "filter"},
    {"1", "filter"},
    {"{}", "filter"},
    {"true", "filter"},
    {"null", "filter"},
    {"[]", "filter"},
    {"[1]", "filter[0]"},
    {"[\"a\",\"\"]", "filter[1]"},
    {"[\"a\",[\"b\"]]", "filter[1]"},
    {"\"\\ud800\"", "filter"},
    {"[\"a\",\"b\",\">.\"]", "filter[2]"},
};

static void test_refused(void)
{
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct filter *f = NULL;
        struct error err = ERROR_INIT;
        is_int(parse(refused[i].filter, &arena, &f, &err), ERR_BAD_REQUEST, "%s is refused", refused[i].filter);
        is_str(err.field, refused[i].field, "%s: the field to blame", refused[i].filter);
        ok(err.message[0] && !f, "%s: with a message", refused[i].filter);
    }
    arena_free(&arena);
}

/* An array of n patterns, or one pattern of n parts. */
static char *repeat(const char *head, const char *item, const char *between, const char *tail, size_t n)
{
    char *text = malloc(strlen(head) + n * (strlen(item) + strlen(between)) + strlen(tail) + 1), *p = text;
    p += sprintf(p, "%s", head);
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "%s%s", i ? between : "", item);
    strcpy(p, tail);
    return text;
}

static void test_limits(void)
{
    static const struct {
        const char *head, *item, *between, *tail;
        size_t n;
        enum error_code code;
        const char *name;
    } rows[] = {
        {"[", "\"a\"", ",", "]", FILTER_MAX, ERR_OK, "as many patterns as may be"},
        {"[", "\"a\"", ",", "]", FILTER_MAX + 1, ERR_BAD_REQUEST, "a pattern too many"},
        {"\"", "*", ".", "\"", KEY_MAX_PARTS, ERR_OK, "as many parts as may be"},
        {"\"", "*", ".", "\"", KEY_MAX_PARTS + 1, ERR_BAD_REQUEST, "a part too many"},
        {"\"", "a", "", "\"", KEY_MAX, ERR_OK, "as long a pattern as may be"},
        {"\"", "a", "", "\"", KEY_MAX + 1, ERR_TOO_LARGE, "too long a pattern"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena = ARENA_INIT;
        struct filter *f;
        char *text = repeat(rows[i].head, rows[i].item, rows[i].between, rows[i].tail, rows[i].n);
        is_int(parse(text, &arena, &f, NULL), rows[i].code, "%s", rows[i].name);
        free(text);
        arena_free(&arena);
    }
}

static void test_text(void)
{
    static const struct {
        const char *text;
        size_t len;
        enum error_code code;
    } rows[] = {
        {"a.>", 3, ERR_OK},           {"\xc3\xa9", 2, ERR_OK},
        {"", 0, ERR_BAD_REQUEST},     {"a.", 2, ERR_BAD_REQUEST},
        {"\xff", 1, ERR_BAD_REQUEST}, {"a.\xc3", 3, ERR_BAD_REQUEST},
        {"a\0b", 3, ERR_OK},          {"\xed\xa0\x80", 3, ERR_BAD_REQUEST},
    };
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct filter *f;
        struct error err = ERROR_INIT;
        char *exact = malloc(rows[i].len + 1); /* no NUL behind it */
        memcpy(exact, rows[i].text, rows[i].len);
        exact = realloc(exact, rows[i].len ? rows[i].len : 1);
        is_int(filter_from_text(exact, rows[i].len, "filter", &arena, &f, &err), rows[i].code, "plain text %zu", i);
        is_str(err.field, rows[i].code ? "filter" : "", "plain text %zu: field", i);
        free(exact);
    }
    struct filter *f = NULL;
    struct key key = encode("[\"a\",1]", &arena);
    filter_from_text("a.>", 3, "filter", &arena, &f, NULL);
    ok(f && filter_matches(f, key.data, key.len), "a filter of plain text matches");
    arena_free(&arena);
}

static void test_no_memory(void)
{
    struct arena arena = ARENA_INIT;
    struct json_doc doc;
    static const char text[] = "[\"a.*\",\"\\u0062\"]";
    json_scan(&doc, text, sizeof text - 1, no_opaque, &arena, NULL);
    struct arena fresh = ARENA_INIT;
    struct filter *f;
    struct error err = ERROR_INIT;
    mem_fail_after(0, 1);
    enum error_code code = filter_from_json(&doc, 0, "filter", &fresh, &f, &err);
    enum error_code plain = filter_from_text("a", 1, "filter", &fresh, &f, NULL);
    mem_fail_after(-1, 0);
    is_int(code, ERR_NO_MEMORY, "out of memory is an error");
    is_int(plain, ERR_NO_MEMORY, "of plain text too");
    arena_free(&fresh);
    arena_free(&arena);
}

int main(void)
{
    test_matches();
    test_prefixes();
    test_refused();
    test_limits();
    test_text();
    test_no_memory();
    return done_testing();
}
