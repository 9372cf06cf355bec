#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "json_out.h"
#include "utf8.h"

/* A whole line stays below PIPE_BUF even as JSON with every byte escaped, so that one write never interleaves. */
enum { LOG_TEXT_MAX = 1536 };

static const char *const names[] = {"error", "warning", "info", "debug"};

/* Set once, before there are threads. */
static struct {
    const char *program;
    enum log_level level;
    bool json;
} config = {"kvs", LOG_INFO, false};

void log_init(const char *program, enum log_level level, bool json)
{
    config.program = program;
    config.level = level;
    config.json = json;
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* A line that cannot be written has nobody to be told about it. */
static void put(const char *line, size_t len)
{
    ssize_t n;
    do
        n = write(STDERR_FILENO, line, len);
    while (n < 0 && errno == EINTR);
}

static void put_plain(enum log_level level, const char *id, const char *text)
{
    char line[LOG_TEXT_MAX + 768];
    int n = snprintf(line, sizeof(line) - 1, "%.256s[%ld]: %s: %s%s%.256s%s", config.program, (long)getpid(),
                     names[level], text, id ? " (request " : "", id ? id : "", id ? ")" : "");
    if (n < 0)
        return;
    size_t len = strlen(line);
    line[len] = '\n';
    put(line, len + 1);
}

/* False where there is no memory for it. */
static bool put_json(enum log_level level, const char *id, const char *text)
{
    struct buf line = BUF_INIT;
    struct json_out out;
    json_out_init(&out, &line);
    json_out_object(&out);
    json_out_name(&out, "time");
    json_out_int(&out, clock_now());
    json_out_name(&out, "program");
    json_out_cstr(&out, config.program);
    json_out_name(&out, "pid");
    json_out_int(&out, (int64_t)getpid());
    json_out_name(&out, "level");
    json_out_cstr(&out, names[level]);
    json_out_name(&out, "message");
    json_out_cstr(&out, text);
    if (id) {
        json_out_name(&out, "request");
        json_out_cstr(&out, id);
    }
    json_out_end(&out);
    buf_byte(&line, '\n');
    bool done = buf_ok(&line);
    if (done)
        put(line.data, line.len);
    buf_free(&line);
    return done;
}

bool log_is_on(enum log_level level)
{
    return level <= config.level;
}

__attribute__((format(printf, 3, 0))) static void put_line(enum log_level level, const char *id, const char *fmt,
                                                           va_list ap)
{
    if (!log_is_on(level))
        return;
    int saved = errno; /* callers log before they look at it */
    char text[LOG_TEXT_MAX];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    if (n < 0)
        text[0] = '\0';
    utf8_clean(text, strlen(text));
    if (!config.json || !put_json(level, id, text))
        put_plain(level, id, text);
    errno = saved;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line(level, NULL, fmt, ap);
    va_end(ap);
}

void log_request(enum log_level level, const char *id, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line(level, id, fmt, ap);
    va_end(ap);
}
