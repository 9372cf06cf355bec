/* log and clock: one whole line a call, safe to show, and time that a test can set. */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "scanned.h"

static int64_t fixed_time(void)
{
    return 1700000000123;
}

/* Takes what was written to stderr since the last call; the pipe is not blocking. */
static const char *written(int fd)
{
    static char text[65536];
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static void test_lines(int fd)
{
    char want[256];
    log_init("kvs.test", LOG_WARNING, false);
    errno = EEXIST;
    log_line(LOG_WARNING, "text %d %s", 7, "x");
    is_int(errno, EEXIST, "errno is as it was");
    snprintf(want, sizeof(want), "kvs.test[%ld]: warning: text 7 x\n", (long)getpid());
    is_str(written(fd), want, "a warning");
    log_line(LOG_ERROR, "a\nb\x1b[0m\xff\xc3\xa9");
    snprintf(want, sizeof(want), "kvs.test[%ld]: error: a?b?[0m?\xc3\xa9\n", (long)getpid());
    is_str(written(fd), want, "control characters and broken UTF-8 are replaced");
    log_request(LOG_ERROR, "id-1", "/kv/set: %s", "bad");
    snprintf(want, sizeof(want), "kvs.test[%ld]: error: /kv/set: bad (request id-1)\n", (long)getpid());
    is_str(written(fd), want, "a line about a request ends in its id");
    log_line(LOG_INFO, "no");
    log_line(LOG_DEBUG, "no");
    log_request(LOG_INFO, "id", "no");
    ok(log_is_on(LOG_WARNING) && !log_is_on(LOG_INFO), "which can be asked for");
    is_str(written(fd), "", "less than the level is not written");
    log_init("kvs.test", LOG_DEBUG, false);
    log_line(LOG_DEBUG, "%s", "");
    snprintf(want, sizeof(want), "kvs.test[%ld]: debug: \n", (long)getpid());
    is_str(written(fd), want, "an empty one");
}

static void test_json(int fd)
{
    char want[256];
    log_init("kvs.test", LOG_INFO, true);
    clock_replace(fixed_time);
    log_line(LOG_INFO, "a \"quoted\"\nline \\");
    snprintf(want, sizeof(want),
             "{\"time\":1700000000123,\"program\":\"kvs.test\",\"pid\":%ld,\"level\":\"info\","
             "\"message\":\"a \\\"quoted\\\"?line \\\\\"}\n",
             (long)getpid());
    is_str(written(fd), want, "as JSON");
    log_request(LOG_INFO, "a\"1", "text");
    snprintf(want, sizeof(want),
             "{\"time\":1700000000123,\"program\":\"kvs.test\",\"pid\":%ld,\"level\":\"info\","
             "\"message\":\"text\",\"request\":\"a\\\"1\"}\n",
             (long)getpid());
    is_str(written(fd), want, "with the request's id in a place of its own");
    mem_fail_after(0, 1);
    log_line(LOG_INFO, "text");
    mem_fail_after(-1, 0);
    snprintf(want, sizeof(want), "kvs.test[%ld]: info: text\n", (long)getpid());
    is_str(written(fd), want, "and as plain text where memory has run out");
    clock_replace(NULL);
}

/* The longest lines, with all that is escaped, are whole and short enough for one write to a pipe. */
static void test_long(int fd)
{
    static char text[10000], id[129];
    memset(text, '"', sizeof(text) - 1);
    memset(id, '"', sizeof(id) - 1);
    for (int json = 0; json < 2; json++) {
        log_init("kvs.test", LOG_INFO, json);
        log_request(LOG_INFO, id, "%s", text);
        const char *line = written(fd);
        size_t len = strlen(line);
        ok(len > 1000 && len <= _POSIX_PIPE_BUF * 8 && strchr(line, '\n') == line + len - 1, "one line of %zu", len);
        if (json) {
            struct scanned s;
            scan(&s, line, len);
            is_int(s.code, ERR_OK, "that is JSON");
            done(&s);
        }
    }
}

static void test_levels(void)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level = LOG_DEBUG;
    for (size_t i = 0; i < 4; i++)
        ok(log_level_parse(names[i], &level) && level == (enum log_level)i, "level %s", names[i]);
    ok(!log_level_parse("Info", &level) && !log_level_parse("", &level), "no such level");
}

static void test_clock(void)
{
    int64_t a = clock_now(), mono = clock_mono(), us = clock_mono_us();
    ok(a > INT64_C(1600000000000) && a < INT64_C(100000000000000), "milliseconds since the epoch");
    clock_replace(fixed_time);
    ok(clock_now() == 1700000000123, "replaced by a test's");
    ok(clock_mono() >= mono && clock_mono_us() >= us && us / 1000 - mono < 1000,
       "which leaves the monotonic one alone");
    clock_replace(NULL);
    ok(clock_now() >= a, "and given back");
}

int main(void)
{
    int ends[2], saved = dup(STDERR_FILENO);
    if (saved < 0 || pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        return 1;
    /* So that reading finds the end of what is there. */
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        return 1;
    test_lines(ends[0]);
    test_json(ends[0]);
    test_long(ends[0]);
    dup2(saved, STDERR_FILENO);
    test_levels();
    test_clock();
    return done_testing();
}
