/* buf: appends of every kind, growth at every size, and failure that sticks. */
#include "buf.h"

#include <limits.h>
#include <stdint.h>

#include "oom.h"
#include "tap.h"

static void test_appends(void)
{
    struct buf b = BUF_INIT;
    ok(buf_ok(&b), "an empty buffer is fine");
    buf_add(&b, NULL, 0);
    is_int(b.len, 0, "nothing added is nothing");
    buf_lit(&b, "lit\0x");
    buf_byte(&b, 0xff);
    buf_str(&b, "str");
    buf_str(&b, "");
    buf_add(&b, "a\0b", 3);
    buf_printf(&b, "%d-%s", 42, "x");
    buf_printf(&b, "%s", "");
    is_mem(b.data, b.len, "lit\0x\xffstra\0b42-x", 16, "all kinds of appends");
    size_t len = b.len;
    is_int(strlen(buf_cstr(&b) + 11), 5, "cstr ends it with a NUL");
    is_int(b.len, len, "which does not count");
    buf_clear(&b);
    is_int(b.len, 0, "clear empties");
    is_str(buf_cstr(&b), "", "cstr of an empty buffer");
    buf_free(&b);
    ok(!b.data && b.cap == 0 && b.len == 0 && !b.failed, "free makes it new");
    is_str(buf_cstr(&b), "", "cstr of a new buffer");
    buf_free(&b);
}

/* Lengths around every power of two, where a format just fits or just does not. */
static void test_growth(void)
{
    static char text[1100];
    memset(text, 'x', sizeof(text) - 1);
    bool good = true;
    for (int n = 0; n < 1100 && good; n++) {
        struct buf a = BUF_INIT, b = BUF_INIT;
        buf_printf(&a, "%.*s", n, text);
        for (int i = 0; i < n; i++)
            buf_byte(&b, 'x');
        good = a.len == (size_t)n && b.len == a.len && (n == 0 || memcmp(a.data, b.data, a.len) == 0);
        /* The capacity is a power of two: fill it to the last byte, then one more. */
        while (b.len < b.cap)
            buf_byte(&b, 'y');
        buf_printf(&b, "%d", 7);
        good = good && b.data[b.len - 1] == '7';
        /* And to the last but one, where the text would fit without the NUL behind it. */
        while (b.len + 1 < b.cap)
            buf_byte(&b, 'z');
        buf_printf(&b, "%d", 8);
        good = good && b.data[b.len - 1] == '8' && memcmp(b.data, text, (size_t)n) == 0;
        buf_free(&a);
        buf_free(&b);
    }
    ok(good, "printf and single bytes of every length");
}

static void test_room(void)
{
    struct buf b = BUF_INIT;
    ok(buf_room(&b, 0), "room for nothing is a pointer");
    buf_lit(&b, "ab");
    char *p = buf_room(&b, 5000);
    if (ok(p, "room for more than there is")) {
        memset(p, 'z', 5000);
        is_int(b.len, 2, "is not part of it yet");
        b.len += 3;
        is_mem(b.data, b.len, "abzzz", 5, "what is committed is");
    }
    ok(!buf_room(&b, SIZE_MAX - 1), "room that no memory could hold");
    ok(!buf_ok(&b), "is a failure");
    buf_clear(&b);
    ok(buf_ok(&b) && buf_room(&b, 1), "that clear takes back");
    buf_free(&b);
}

static void test_int(void)
{
    static const long long numbers[] = {0, 1, -1, 9, 10, -10, 99, 100, 1234567890123456789, LLONG_MAX, LLONG_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct buf b = BUF_INIT;
        char want[32];
        snprintf(want, sizeof(want), "%lld", numbers[i]);
        buf_int(&b, numbers[i]);
        is_str(buf_cstr(&b), want, "int %s", want);
        buf_free(&b);
    }
}

static void test_sticky(void)
{
    struct buf b = BUF_INIT;
    buf_lit(&b, "kept");
    while (b.len < b.cap)
        buf_byte(&b, '.');
    size_t len = b.len;
    mem_fail_after(0, 0);
    buf_byte(&b, '!');
    ok(!buf_ok(&b), "an append without memory fails");
    buf_lit(&b, "more");
    buf_printf(&b, "%s", "");
    buf_int(&b, 1);
    ok(!buf_cstr(&b) && !buf_room(&b, 0), "and so does everything after it");
    ok(b.len == len && memcmp(b.data, "kept", 4) == 0, "what was there before stays");
    buf_free(&b);
}

/* Every append once. */
static enum error_code write_all(void *context)
{
    (void)context;
    struct buf b = BUF_INIT;
    buf_lit(&b, "0123456789");
    buf_str(&b, "abc");
    buf_byte(&b, 'x');
    for (int i = 0; i < 200; i++)
        buf_int(&b, i);
    buf_printf(&b, "%0300d", 7);
    char *p = buf_room(&b, 2000);
    if (p) {
        memset(p, 'r', 2000);
        b.len += 2000;
    }
    const char *s = buf_cstr(&b);
    enum error_code code = ERR_OK;
    if (!buf_ok(&b))
        code = ERR_NO_MEMORY;
    else if (!s || b.len != 2804 || strlen(s) != b.len)
        code = ERR_INTERNAL;
    buf_free(&b);
    return code;
}

int main(void)
{
    test_appends();
    test_growth();
    test_room();
    test_int();
    test_sticky();
    long failures;
    is_int(oom_each(write_all, NULL, &failures), ERR_OK, "each allocation failing in turn");
    ok(failures > 2, "there were some (%ld)", failures);
    return done_testing();
}
