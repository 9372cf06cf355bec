/*
 * The Test Anything Protocol for the C tests.  Every check prints one line; main ends with `return done_testing();`.
 * Names are printf formats.  Include it in one source file per program; checks are made from one thread.
 */
#ifndef KVS_TAP_H
#define KVS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each returns whether the check passed, so that a test can stop where going on makes no sense. */
#define ok(cond, ...)          tap_ok(__FILE__, __LINE__, !!(cond), __VA_ARGS__)
#define is_int(got, want, ...) tap_int(__FILE__, __LINE__, (long long)(got), (long long)(want), __VA_ARGS__)
#define is_str(got, want, ...) tap_str(__FILE__, __LINE__, (got), (want), __VA_ARGS__)
#define is_mem(got, glen, want, wlen, ...)                                                                             \
    tap_mem(__FILE__, __LINE__, (got), (size_t)(glen), (want), (size_t)(wlen), __VA_ARGS__)

static struct {
    int run, failed;
} tap_state;

__attribute__((unused, format(printf, 4, 0))) static void tap_result(const char *file, int line, bool good,
                                                                     const char *fmt, va_list ap)
{
    tap_state.run++;
    printf("%s %d - ", good ? "ok" : "not ok", tap_state.run);
    vprintf(fmt, ap);
    putchar('\n');
    if (!good) {
        tap_state.failed++;
        printf("#   failed at %s:%d\n", file, line);
    }
    fflush(stdout); /* so that a crash hides nothing that came before it */
}

__attribute__((unused, format(printf, 4, 5))) static bool tap_ok(const char *file, int line, bool good, const char *fmt,
                                                                 ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_result(file, line, good, fmt, ap);
    va_end(ap);
    return good;
}

__attribute__((unused, format(printf, 5, 6))) static bool tap_int(const char *file, int line, long long got,
                                                                  long long want, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_result(file, line, got == want, fmt, ap);
    va_end(ap);
    if (got != want)
        printf("#   got %lld, want %lld\n", got, want);
    return got == want;
}

__attribute__((unused, format(printf, 5, 6))) static bool tap_str(const char *file, int line, const char *got,
                                                                  const char *want, const char *fmt, ...)
{
    bool good = got && want ? strcmp(got, want) == 0 : got == want;
    va_list ap;
    va_start(ap, fmt);
    tap_result(file, line, good, fmt, ap);
    va_end(ap);
    if (!good)
        printf("#   got  %s\n#   want %s\n", got ? got : "(null)", want ? want : "(null)");
    return good;
}

/* Printable ASCII as it is, all else in hex, so that a difference can be seen. */
__attribute__((unused)) static void tap_dump(const char *what, const void *data, size_t len)
{
    const unsigned char *p = data;
    printf("#   %s %zu bytes: ", what, len);
    for (size_t i = 0; i < len && i < 256; i++) {
        if (p[i] > 0x20 && p[i] < 0x7f && p[i] != '\\')
            putchar(p[i]);
        else
            printf("\\x%02x", (unsigned)p[i]);
    }
    puts(len > 256 ? " …" : "");
}

__attribute__((unused, format(printf, 7, 8))) static bool
tap_mem(const char *file, int line, const void *got, size_t glen, const void *want, size_t wlen, const char *fmt, ...)
{
    bool good = glen == wlen && (glen == 0 || (got && want && memcmp(got, want, glen) == 0));
    va_list ap;
    va_start(ap, fmt);
    tap_result(file, line, good, fmt, ap);
    va_end(ap);
    if (!good) {
        tap_dump("got ", got, got ? glen : 0);
        tap_dump("want", want, want ? wlen : 0);
    }
    return good;
}

/* Ends the program with the whole of it skipped, where the machine lacks what it needs. */
__attribute__((unused, noreturn)) static void skip_all(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    exit(0);
}

/* Prints the plan; the result is main's. */
__attribute__((unused)) static int done_testing(void)
{
    printf("1..%d\n", tap_state.run);
    if (tap_state.failed > 0)
        printf("# %d of %d failed\n", tap_state.failed, tap_state.run);
    return tap_state.failed > 0 || tap_state.run == 0 ? 1 : 0;
}

#endif
