/* mem: allocation succeeds, fails where a test says so, and then only there. */
#include "mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tap.h"

static void test_allocating(void)
{
    void *a = mem_alloc(0), *b = mem_alloc(0);
    ok(a && b && a != b, "no bytes are memory too");
    mem_free(a);
    mem_free(b);

    unsigned char *z = mem_zalloc(7, 3);
    static const unsigned char zeros[21];
    is_mem(z, 21, zeros, 21, "zalloc zeroes all items");
    mem_free(z);
    ok(!mem_zalloc(SIZE_MAX / 2, 3), "zalloc sees a product that overflows");
    z = mem_zalloc(0, 8);
    ok(z, "zalloc of no items");
    mem_free(z);

    char *s = mem_dup("ab\0c", 4);
    is_mem(s, 5, "ab\0c", 5, "dup copies NULs and puts one behind");
    mem_free(s);
    s = mem_dup(NULL, 0);
    is_str(s, "", "dup of nothing");
    mem_free(s);
    ok(!mem_dup("", SIZE_MAX), "dup of a length that leaves no room for the NUL");
    mem_free(NULL);
}

static void test_realloc(void)
{
    char *p = mem_realloc(NULL, 4);
    if (!ok(p, "realloc of NULL allocates"))
        return;
    memcpy(p, "abc", 4);
    mem_fail_after(0, 0);
    ok(!mem_realloc(p, 1000), "realloc fails");
    is_str(p, "abc", "and leaves the memory as it was");
    p = mem_realloc(p, 1000);
    is_str(p, "abc", "the next one grows it");
    p = mem_realloc(p, 0);
    ok(p, "realloc to nothing is memory still");
    mem_free(p);
}

/* Which of six allocations, one of each kind, fail: a bit each. */
static unsigned failed_of_six(void)
{
    void *p[6] = {mem_alloc(1),    mem_zalloc(1, 1), mem_realloc(NULL, 1),
                  mem_dup("x", 1), mem_alloc(0),     mem_zalloc(0, 0)};
    unsigned bits = 0;
    for (unsigned i = 0; i < 6; i++) {
        if (!p[i])
            bits |= 1u << i;
        mem_free(p[i]);
    }
    return bits;
}

static void test_failing(void)
{
    is_int(failed_of_six(), 0, "nothing fails unasked");
    for (long n = 0; n < 6; n++) {
        mem_fail_after(n, 0);
        is_int(failed_of_six(), 1u << n, "allocation %ld alone fails", n);
        is_int(failed_of_six(), 0, "and none after it");
        mem_fail_after(n, 1);
        is_int(failed_of_six(), 0x3f & (0x3fu << n), "allocation %ld and all behind it fail", n);
        is_int(failed_of_six(), 0x3f, "and go on to");
        mem_fail_after(-1, 1);
        is_int(failed_of_six(), 0, "until it is turned off");
    }
    mem_fail_after(100, 0);
    mem_fail_after(-1, 0);
    is_int(failed_of_six(), 0, "turned off before it came to that");
}

enum { THREADS = 4, EACH = 5000 };

static void *allocate(void *count)
{
    for (int i = 0; i < EACH; i++) {
        void *p = mem_alloc(16);
        if (!p)
            atomic_fetch_add((atomic_int *)count, 1);
        mem_free(p);
    }
    return NULL;
}

static int failures_among_threads(long after, int forever)
{
    atomic_int count = 0;
    pthread_t threads[THREADS];
    mem_fail_after(after, forever);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, allocate, &count) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mem_fail_after(-1, 0);
    return atomic_load(&count);
}

int main(void)
{
    test_allocating();
    test_realloc();
    test_failing();
    is_int(failures_among_threads(EACH, 0), 1, "of all threads' allocations exactly one fails");
    is_int(failures_among_threads(EACH, 1), THREADS * EACH - EACH, "or exactly those after the first ones");
    return done_testing();
}
