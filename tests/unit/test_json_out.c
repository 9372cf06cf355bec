/* json_out: what is built is JSON that an independent parser reads as what was meant. */
#include "json_out.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oom.h"
#include "scanned.h"

/* Every kind of call, nested. */
static void build(struct json_out *o, struct buf *b)
{
    json_out_init(o, b);
    json_out_object(o);
    json_out_name(o, "null");
    json_out_null(o);
    json_out_name(o, "yes");
    json_out_bool(o, true);
    json_out_name(o, "no");
    json_out_bool(o, false);
    json_out_name(o, "least");
    json_out_int(o, INT64_MIN);
    json_out_name(o, "half");
    json_out_double(o, -0.5);
    json_out_name(o, "text");
    json_out_str(o, "a\"b\\c\n\x1f\xc3\xa9/\x7f", 11);
    json_out_name(o, "cstr");
    json_out_cstr(o, "plain");
    json_out_name(o, "empty");
    json_out_object(o);
    json_out_end(o);
    json_out_name(o, "none");
    json_out_array(o);
    json_out_end(o);
    json_out_name_str(o, "a \"name\"\n", 9);
    json_out_array(o);
    json_out_raw(o, "{\"x\": [1, 2]}", 13);
    json_out_array(o);
    json_out_int(o, 1);
    json_out_object(o);
    json_out_name(o, "deep");
    json_out_base64(o, "\xff\x00\xfe", 3);
    json_out_end(o);
    json_out_end(o);
    json_out_int(o, 2);
    json_out_end(o);
    json_out_name(o, "last");
    json_out_int(o, 0);
    json_out_end(o);
}

static const char built[] =
    "{\"null\":null,\"yes\":true,\"no\":false,\"least\":-9223372036854775808,\"half\":-0.5,"
    "\"text\":\"a\\\"b\\\\c\\n\\u001f\xc3\xa9/\x7f\",\"cstr\":\"plain\",\"empty\":{},\"none\":[],"
    "\"a \\\"name\\\"\\n\":[{\"x\": [1, 2]},[1,{\"deep\":\"/wD+\"}],2],\"last\":0}";

static void test_bytes(void)
{
    struct buf b = BUF_INIT;
    struct json_out o;
    build(&o, &b);
    is_mem(b.data, b.len, built, sizeof(built) - 1, "every byte of a whole text");
    is_int(o.depth, 0, "all scopes are closed");
    struct scanned s;
    scan(&s, b.data, b.len);
    is_int(s.code, ERR_OK, "the strict scanner accepts it");
    done(&s);
    buf_free(&b);
}

static const char *text_of(const cJSON *parent, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(parent, name));
}

static void test_by_other_parser(void)
{
    struct buf b = BUF_INIT;
    struct json_out o;
    build(&o, &b);
    cJSON *root = cJSON_ParseWithLength(b.data, b.len);
    if (!ok(cJSON_IsObject(root), "another parser reads it"))
        return;
    is_int(cJSON_GetArraySize(root), 11, "all members");
    ok(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(root, "null")), "null");
    ok(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "yes")), "true");
    ok(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(root, "no")), "false");
    ok(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(root, "half")) == -0.5, "a double");
    is_str(text_of(root, "text"), "a\"b\\c\n\x1f\xc3\xa9/\x7f", "a string with all that needs escaping");
    is_str(text_of(root, "cstr"), "plain", "a plain string");
    ok(cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "empty")), "an empty object");
    is_int(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "none")), 0, "an empty array");
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(root, "a \"name\"\n");
    is_int(cJSON_GetArraySize(named), 3, "an array with an escaped name");
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(named, 0), "x");
    ok(cJSON_GetNumberValue(cJSON_GetArrayItem(x, 1)) == 2, "raw text in its place");
    is_str(text_of(cJSON_GetArrayItem(cJSON_GetArrayItem(named, 1), 1), "deep"), "/wD+", "base64, three scopes deep");
    cJSON_Delete(root);
    buf_free(&b);
}

/* Each value alone is a text of its own. */
static void test_scalars(void)
{
    struct buf b = BUF_INIT;
    struct json_out o;
    static const int64_t ints[] = {0, -1, 10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(ints) / sizeof(ints[0]); i++) {
        char want[32];
        int len = snprintf(want, sizeof(want), "%lld", (long long)ints[i]);
        buf_clear(&b);
        json_out_init(&o, &b);
        json_out_int(&o, ints[i]);
        is_mem(b.data, b.len, want, len, "integer %s", want);
    }
    buf_clear(&b);
    json_out_init(&o, &b);
    json_out_double(&o, 1e21);
    is_mem(b.data, b.len, "1e+21", 5, "a double");
    buf_clear(&b);
    json_out_init(&o, &b);
    json_out_cstr(&o, "");
    is_mem(b.data, b.len, "\"\"", 2, "an empty string");
    buf_free(&b);
}

/* Every byte below 0x80 between others, decoded again by the scanner (and not escaped without need). */
static void test_escapes(void)
{
    bool same = true, lean = true;
    for (int c = 0; c < 0x80; c++) {
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            struct buf b = BUF_INIT;
            struct json_out o;
            json_out_init(&o, &b);
            json_out_str(&o, text, sizeof(text));
            struct scanned s;
            scan(&s, b.data, b.len);
            const char *str = NULL;
            size_t len = 0;
            same = same && s.code == ERR_OK && json_string(&s.doc, 0, &s.arena, &str, &len) == ERR_OK &&
                   len == sizeof(text) && memcmp(str, text, len) == 0;
            bool must = c < 0x20 || c == '"' || c == '\\';
            bool brief = c != 0 && strchr("\"\\\b\f\n\r\t", c) != NULL;
            lean = lean && b.len == sizeof(text) + 2 + (must ? brief ? 1 : 5 : 0);
            done(&s);
            buf_free(&b);
        }
    }
    ok(same, "every ASCII byte at every place reads back");
    ok(lean, "and is escaped only where it must be");
}

static void test_base64(void)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    struct buf b = BUF_INIT;
    struct json_out o;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char want[16];
        int len = snprintf(want, sizeof(want), "\"%s\"", vectors[i][1]);
        buf_clear(&b);
        json_out_init(&o, &b);
        json_out_base64(&o, vectors[i][0], strlen(vectors[i][0]));
        is_mem(b.data, b.len, want, len, "base64 of '%s'", vectors[i][0]);
    }
    unsigned char data[1000], back[1000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    buf_clear(&b);
    json_out_init(&o, &b);
    json_out_base64(&o, data, sizeof(data));
    size_t n = 0;
    int rc =
        sodium_base642bin(back, sizeof(back), b.data + 1, b.len - 2, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL);
    ok(rc == 0 && n == sizeof(data) && memcmp(data, back, n) == 0, "base64 of a thousand bytes reads back");
    buf_free(&b);
}

static void test_depth(void)
{
    struct buf b = BUF_INIT;
    struct json_out o;
    json_out_init(&o, &b);
    for (int i = 0; i < JSON_OUT_DEPTH; i++)
        json_out_array(&o);
    for (int i = 0; i < JSON_OUT_DEPTH; i++)
        json_out_end(&o);
    is_mem(b.data, b.len, "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", 32, "as deep as it goes");
    buf_free(&b);
}

#ifndef NDEBUG
static void value_without_name(struct json_out *o)
{
    json_out_object(o);
    json_out_null(o);
}

static void name_in_array(struct json_out *o)
{
    json_out_array(o);
    json_out_name(o, "x");
}

static void name_outside(struct json_out *o)
{
    json_out_name(o, "x");
}

static void two_names(struct json_out *o)
{
    json_out_object(o);
    json_out_name(o, "x");
    json_out_name_str(o, "y", 1);
}

static void end_after_name(struct json_out *o)
{
    json_out_object(o);
    json_out_name(o, "x");
    json_out_end(o);
}

static void one_end_too_many(struct json_out *o)
{
    json_out_array(o);
    json_out_end(o);
    json_out_end(o);
}

static void two_values(struct json_out *o)
{
    json_out_int(o, 1);
    json_out_int(o, 2);
}

static void second_text(struct json_out *o)
{
    json_out_array(o);
    json_out_end(o);
    json_out_array(o);
}

static void too_deep(struct json_out *o)
{
    for (int i = 0; i <= JSON_OUT_DEPTH; i++)
        json_out_array(o);
}

static void no_number(struct json_out *o)
{
    volatile double zero = 0;
    json_out_double(o, 1 / zero);
}

/* Whether the call ends its process as a failed assertion does. */
static bool aborts(void (*misuse)(struct json_out *o))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        static const struct rlimit no_core;
        setrlimit(RLIMIT_CORE, &no_core);
        int null = open("/dev/null", O_WRONLY);
        if (null >= 0)
            dup2(null, STDERR_FILENO);
        struct buf b = BUF_INIT;
        struct json_out o;
        json_out_init(&o, &b);
        misuse(&o);
        _exit(0);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_misuse(void)
{
    ok(aborts(value_without_name), "a value without a name");
    ok(aborts(name_in_array), "a name in an array");
    ok(aborts(name_outside), "a name outside of everything");
    ok(aborts(two_names), "a name after a name");
    ok(aborts(end_after_name), "an end in place of a value");
    ok(aborts(one_end_too_many), "an end too many");
    ok(aborts(two_values), "a value behind the text");
    ok(aborts(second_text), "a container behind the text");
    ok(aborts(too_deep), "one scope too deep");
    ok(aborts(no_number), "a number that JSON does not have");
}
#endif

static enum error_code build_once(void *context)
{
    (void)context;
    struct buf b = BUF_INIT;
    struct json_out o;
    build(&o, &b);
    enum error_code code = ERR_OK;
    if (!buf_ok(&b))
        code = ERR_NO_MEMORY;
    else if (b.len != sizeof(built) - 1 || memcmp(b.data, built, b.len) != 0)
        code = ERR_INTERNAL;
    buf_free(&b);
    return code;
}

int main(void)
{
    test_bytes();
    test_by_other_parser();
    test_scalars();
    test_escapes();
    test_base64();
    test_depth();
#ifndef NDEBUG
    test_misuse();
#endif
    long failures;
    is_int(oom_each(build_once, NULL, &failures), ERR_OK, "each allocation failing in turn");
    ok(failures > 0, "there were some (%ld)", failures);
    return done_testing();
}
