/*
 * Keys: the golden vectors of tests/vectors/keys.json both ways, their order, refusals, malformed bytes, ranges.
 */
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "json_out.h"
#include "json_scan.h"
#include "key.h"
#include "mem.h"
#include "tap.h"

static const char *const no_opaque[] = {NULL};

/* The whole of a file of the source tree, or NULL; the caller frees. */
static char *slurp(const char *name, size_t *len)
{
    char path[4096];
    const char *srcdir = getenv("srcdir");
    snprintf(path, sizeof path, "%s/%s", srcdir ? srcdir : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    enum { ROOM = 1 << 20 };
    char *text = malloc(ROOM);
    *len = text ? fread(text, 1, ROOM, f) : 0;
    fclose(f);
    return text;
}

/* The value of a member of object i; 0 where there is none. */
static size_t member(const struct json_doc *d, size_t i, const char *name)
{
    size_t node = i + 1;
    for (uint32_t k = 0; k < d->nodes[i].count; k++) {
        if (json_is(d, node, name))
            return node + 1;
        node = d->nodes[node + 1].next;
    }
    return 0;
}

/* A copy of a string node's text, without the quotes, cut to fit. */
static void copy_string(const struct json_doc *d, size_t i, char *out, size_t size)
{
    size_t len;
    const char *s = json_text(d, i, &len);
    snprintf(out, size, "%.*s", (int)(len - 2), s + 1);
}

/* Short text of a key, for names of checks. */
static const char *shown(const struct json_doc *d, size_t i)
{
    static char text[64];
    size_t len;
    const char *s = json_text(d, i, &len);
    snprintf(text, sizeof text, "%.*s", (int)(len < 60 ? len : 60), s);
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p >= 0x7f)
            *p = '?';
    }
    return text;
}

static void to_hex(char *out, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", (unsigned)p[i]);
    out[2 * n] = 0;
}

static size_t from_hex(unsigned char *out, const char *hex)
{
    size_t n = 0;
    unsigned byte;
    for (; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
        out[n] = (unsigned char)byte;
    return n;
}

static void check_written(const struct json_doc *d, size_t want, const struct key *key)
{
    struct buf buf = BUF_INIT;
    struct json_out out;
    json_out_init(&out, &buf);
    ok(key_to_json(&out, key->data, key->len), "%s: is written as JSON", shown(d, want));
    size_t len;
    const char *text = json_text(d, want, &len);
    char *copy = malloc(len);
    len = json_compact(copy, text, len);
    is_mem(buf.data, buf.len, copy, len, "%s: JSON is as given", shown(d, want));
    free(copy);
    buf_free(&buf);
}

static void check_vector(const struct json_doc *d, size_t row, struct arena *arena)
{
    char want[2 * KEY_MAX + 1], got[2 * KEY_MAX + 1] = "";
    struct error err = ERROR_INIT;
    struct key key;
    size_t node = member(d, row, "key"), back = member(d, row, "json");
    copy_string(d, member(d, row, "hex"), want, sizeof want);
    enum error_code code = key_from_json(d, node, 1, "key", arena, &key, &err);
    if (!is_int(code, ERR_OK, "%s: is encoded", shown(d, node)))
        return;
    to_hex(got, key.data, key.len);
    is_str(got, want, "%s: bytes are the golden ones", shown(d, node));
    ok(key_valid(key.data, key.len), "%s: bytes are a key", shown(d, node));
    check_written(d, back ? back : node, &key);
    size_t cut_parts = 0, pos = 0, len;
    const unsigned char *part;
    while (key_next_part(key.data, key.len, &pos, &part, &len))
        cut_parts++;
    is_int(cut_parts, d->nodes[node].count, "%s: falls into its parts", shown(d, node));
    is_int(pos, key.len, "%s: parts cover all of it", shown(d, node));
}

static int compare(const struct key *a, const struct key *b)
{
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static void check_order(const struct json_doc *d, size_t list, struct arena *arena)
{
    struct key last = {NULL, 0};
    size_t node = list + 1;
    for (uint32_t i = 0; i < d->nodes[list].count; i++) {
        struct key key;
        if (key_from_json(d, node, 1, "key", arena, &key, NULL) != ERR_OK) {
            ok(false, "%s: of the order is encoded", shown(d, node));
            return;
        }
        ok(!last.data || compare(&last, &key) < 0, "%s: sorts behind the one before", shown(d, node));
        last = key;
        node = d->nodes[node].next;
    }
}

static void check_invalid(const struct json_doc *d, size_t row, struct arena *arena)
{
    char want_code[32], want_field[32];
    struct error err = ERROR_INIT;
    struct key key = {NULL, 0};
    size_t node = member(d, row, "key");
    copy_string(d, member(d, row, "code"), want_code, sizeof want_code);
    copy_string(d, member(d, row, "field"), want_field, sizeof want_field);
    enum error_code code = key_from_json(d, node, 1, "key", arena, &key, &err);
    is_str(error_name(code), want_code, "%s: is refused", shown(d, node));
    is_int(err.code, code, "%s: the error says so too", shown(d, node));
    is_str(err.field, want_field, "%s: the field to blame", shown(d, node));
    ok(err.message[0] && !key.data, "%s: there is a message and no key", shown(d, node));
}

/* Runs check over every row of the list. */
static size_t each(const struct json_doc *d, const char *list, struct arena *arena,
                   void (*check)(const struct json_doc *, size_t, struct arena *))
{
    size_t rows = member(d, 0, list), node = rows + 1;
    for (uint32_t i = 0; rows && i < d->nodes[rows].count; i++) {
        check(d, node, arena);
        node = d->nodes[node].next;
    }
    return rows ? d->nodes[rows].count : 0;
}

static void test_vectors(void)
{
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct json_doc doc;
    size_t len = 0;
    char *text = slurp("tests/vectors/keys.json", &len);
    if (!ok(text, "the vectors can be read"))
        return;
    if (is_int(json_scan(&doc, text, len, no_opaque, &arena, &err), ERR_OK, "the vectors are JSON")) {
        ok(each(&doc, "vectors", &arena, check_vector) >= 60, "there are enough vectors");
        ok(each(&doc, "invalid", &arena, check_invalid) >= 30, "there are enough invalid keys");
        check_order(&doc, member(&doc, 0, "order"), &arena);
    }
    arena_free(&arena);
    free(text);
}

/* Encodes text, which is a key or a prefix. */
static enum error_code encode(const char *text, size_t min_parts, const char *field, struct arena *arena,
                              struct key *key, struct error *err)
{
    struct json_doc doc;
    enum error_code code = json_scan(&doc, text, strlen(text), no_opaque, arena, err);
    return code ? code : key_from_json(&doc, 0, min_parts, field, arena, key, err);
}

static void test_fields(void)
{
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct key key = {NULL, 0};
    encode("[\"a\",true,null]", 1, "mutations[3].key", &arena, &key, &err);
    is_str(err.field, "mutations[3].key[2]", "a nested field gets the part's index");
    is_int(encode("[]", 0, "prefix", &arena, &key, &err), ERR_OK, "an empty prefix is a prefix");
    ok(key.data && key.len == 0, "... of no bytes, but present");
    is_int(encode("[null]", 0, "prefix", &arena, &key, NULL), ERR_BAD_REQUEST,
           "without a place for the error it fails too");
    arena_free(&arena);
}

static void test_long_bigint(void)
{
    enum { DIGITS = 4000000 };
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct key key;
    char *text = malloc(DIGITS + 64);
    int n = sprintf(text, "[{\"$bigint\":\"");
    memset(text + n, '9', DIGITS);
    strcpy(text + n + DIGITS, "\"}]");
    is_int(encode(text, 1, "key", &arena, &key, &err), ERR_TOO_LARGE, "millions of digits are refused at once");
    memset(text + n, '0', DIGITS);
    is_int(encode(text, 1, "key", &arena, &key, &err), ERR_OK, "millions of zeros are a zero");
    is_mem(key.data, key.len, "\x14", 1, "... encoded as such");
    free(text);
    arena_free(&arena);
}

static void test_malformed(void)
{
    static const char *const bad[] = {
        "", /* no part */
        "00",
        "03",
        "0a",
        "1e",
        "20",
        "22",
        "25",
        "28",
        "ff",
        "fe",
        "02",
        "0261",
        "026100ff",
        "01",
        "0100ff",
        "15",
        "1600",
        "13",
        "1c01020304050607",
        "0c01",
        "1500",
        "160001",
        "13ff",
        "12fffe", /* leading zeros */
        "1d",
        "1d01",
        "1d0901020304050607",
        "1d080102030405060708",
        "1d09000102030405060708",
        "0b",
        "0bf6",
        "0bf7fefefefefefefefe",
        "0bf6fffefefefefefefefe",
        "21",
        "21bff00000000000",
        "217fffffffffffffff", /* -0 */
        "21fff0000000000000",
        "21000fffffffffffff",
        "21fff8000000000000", /* infinities, not a number */
        "02ff00",
        "02c08000",
        "02eda08000",
        "02e282", /* no UTF-8 */
        "026100ff",
        "0261000261",
        "2700",
        "27ff",
    };
    unsigned char bytes[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf buf = BUF_INIT;
        struct json_out out;
        size_t n = from_hex(bytes, bad[i]);
        unsigned char *exact = malloc(n + 1); /* the sanitizer sees a step beyond */
        memcpy(exact, bytes, n);
        exact = realloc(exact, n ? n : 1);
        json_out_init(&out, &buf);
        ok(!key_valid(exact, n), "%s is no key", bad[i]);
        ok(!key_to_json(&out, exact, n), "%s is not written", bad[i]);
        free(exact);
        buf_free(&buf);
    }
    memset(bytes, 0x27, sizeof bytes);
    ok(key_valid(bytes, KEY_MAX_PARTS), "as many parts as may be are a key");
    unsigned char many[KEY_MAX + 1];
    memset(many, 0x27, sizeof many);
    ok(!key_valid(many, KEY_MAX_PARTS + 1), "one more are not");
    many[0] = 0x02;
    memset(many + 1, 'a', sizeof many - 1);
    many[KEY_MAX - 1] = 0;
    ok(key_valid(many, KEY_MAX), "as many bytes as may be are a key");
    many[KEY_MAX - 1] = 'a';
    many[KEY_MAX] = 0;
    ok(!key_valid(many, KEY_MAX + 1), "one more are not");
}

/* Every string of bytes is either refused or is written as JSON that gives the same bytes again. */
static void test_random_bytes(void)
{
    static const unsigned char types[] = {1, 2, 0x0b, 0x0c, 0x13, 0x14, 0x15, 0x1c, 0x1d, 0x21, 0x26, 0x27, 0, 0xff};
    struct arena arena = ARENA_INIT;
    struct buf buf = BUF_INIT;
    uint32_t seed = 12345, valid = 0, wrong = 0;
    for (int round = 0; round < 20000; round++) {
        unsigned char bytes[24];
        size_t n = 0;
        for (; n < sizeof bytes; n++) {
            seed = seed * 1664525 + 1013904223;
            unsigned char random = (unsigned char)(seed >> 24);
            bytes[n] = seed >> 16 & 1 ? types[random % sizeof types] : random;
            if (n > 0 && (seed >> 8 & 15) == 0)
                break;
        }
        struct json_out out;
        struct json_doc doc;
        struct key key;
        buf_clear(&buf);
        json_out_init(&out, &buf);
        if (!key_valid(bytes, n))
            continue;
        valid++;
        bool same = key_to_json(&out, bytes, n) &&
                    json_scan(&doc, buf.data, buf.len, no_opaque, &arena, NULL) == ERR_OK &&
                    key_from_json(&doc, 0, 1, "key", &arena, &key, NULL) == ERR_OK && key.len == n &&
                    memcmp(key.data, bytes, n) == 0;
        wrong += !same;
        arena_reset(&arena);
    }
    ok(valid > 200, "random bytes are keys often enough (%u)", valid);
    is_int(wrong, 0, "every valid string of bytes survives JSON");
    buf_free(&buf);
    arena_free(&arena);
}

static bool within(const char *prefix, const char *text)
{
    struct arena arena = ARENA_INIT;
    struct key p, key, from, to;
    bool inside = encode(prefix, 0, "prefix", &arena, &p, NULL) == ERR_OK &&
                  encode(text, 1, "key", &arena, &key, NULL) == ERR_OK && key_below(&p, &arena, &from, &to) == ERR_OK &&
                  compare(&key, &from) >= 0 && compare(&key, &to) < 0;
    arena_free(&arena);
    return inside;
}

static void test_below(void)
{
    ok(within("[\"a\"]", "[\"a\",{\"$bytes\":\"\"}]"), "the least part lies below a prefix");
    ok(within("[\"a\"]", "[\"a\",true,true]"), "the greatest part lies below a prefix");
    ok(within("[\"a\"]", "[\"a\",\"b\",\"c\"]"), "several parts lie below a prefix");
    ok(!within("[\"a\"]", "[\"a\"]"), "a prefix is not below itself");
    ok(!within("[\"a\"]", "[\"a\\u0000\"]"), "a string that goes on with NUL is not below");
    ok(!within("[\"a\"]", "[\"ab\"]"), "a longer string is not below");
    ok(!within("[{\"$bytes\":\"YQ==\"}]", "[{\"$bytes\":\"YQA=\"}]"), "nor are longer bytes");
    ok(!within("[1]", "[2]"), "another number is not below");
    ok(within("[1]", "[1.0,\"x\"]"), "the same number in another form is");
    ok(within("[]", "[{\"$bytes\":\"\"}]") && within("[]", "[true]"), "everything is below the empty prefix");
}

/* Whether the text is given back as it is; where it is, it must be what the key is written as. */
static bool kept(const char *text, size_t len)
{
    struct arena arena = ARENA_INIT;
    struct buf buf = BUF_INIT;
    struct json_out out;
    struct json_doc doc;
    struct key_given given;
    bool same = false;

    json_out_init(&out, &buf);
    if (json_scan(&doc, text, len, no_opaque, &arena, NULL) == ERR_OK &&
        key_given_from_json(&doc, 0, "key", &arena, &given, NULL) == ERR_OK && given.text) {
        same = key_to_json(&out, given.key.data, given.key.len) && buf.len == given.text_len &&
               memcmp(buf.data, given.text, buf.len) == 0;
        if (!same)
            ok(false, "%.*s: is not what it is written as", (int)len, text);
    }
    buf_free(&buf);
    arena_free(&arena);
    return same;
}

static void test_given(void)
{
    static const char *const plain[] = {"[\"a\"]", "[\"\"]", "[\"user\",\"0000000001\"]",
                                        "[\"\xc3\xa4\xf0\x9f\x98\x80\",\"/\x7f\"]"};
    static const char *const other[] = {
        "[ \"a\"]",  "[\"a\" ]", "[\"a\", \"b\"]", "[\"a\"]\n",       "[\"\\u0041\"]",
        "[\"\\/\"]", "[1]",      "[true]",         "[\"a\",[\"b\"]]", "[\"a\",{\"$bytes\":\"\"}]"};
    static const char letters[] = "\"\"\"\",,[]\\ au0/1tn";
    uint64_t seed = 20261129;

    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        ok(kept(plain[i], strlen(plain[i])), "%s: is kept", plain[i]);
    /* White space behind the array is no part of it. */
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        ok(kept(other[i], strlen(other[i])) == (i == 3), "a key in another form, %zu, is not kept", i);
    long same = 0;
    for (int n = 0; n < 200000; n++) {
        char text[16] = "[\"";
        size_t len = 2;
        while (len < 14) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
            text[len++] = letters[(seed >> 33) % (sizeof letters - 1)];
            if (text[len - 1] == ']')
                break;
        }
        same += kept(text, len);
    }
    ok(same > 100, "of random texts %ld are kept, each as it is written", same);
}

static void test_no_memory(void)
{
    static const char *const texts[] = {"[\"plain\"]", "[\"\\u0041\"]", "[{\"$bigint\":\"\\u0031\"}]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct arena arena = ARENA_INIT, fresh = ARENA_INIT;
        struct json_doc doc;
        struct key key;
        struct error err = ERROR_INIT;
        json_scan(&doc, texts[i], strlen(texts[i]), no_opaque, &arena, NULL);
        mem_fail_after(0, 1);
        enum error_code code = key_from_json(&doc, 0, 1, "key", &fresh, &key, &err);
        struct key empty = {(const unsigned char *)"", 0}, from, to;
        enum error_code below = key_below(&empty, &fresh, &from, &to);
        mem_fail_after(-1, 0);
        is_int(code, ERR_NO_MEMORY, "%s: out of memory is an error", texts[i]);
        is_int(err.code, ERR_NO_MEMORY, "%s: ... that is told", texts[i]);
        is_int(below, ERR_NO_MEMORY, "a range without memory is one too");
        arena_free(&arena);
        arena_free(&fresh);
    }
}

int main(void)
{
    test_vectors();
    test_fields();
    test_long_bigint();
    test_malformed();
    test_random_bytes();
    test_below();
    test_given();
    test_no_memory();
    return done_testing();
}
