#include "tool.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "mem.h"
#include "service.h"

void tool_say(const struct tool *tool, const char *fmt, ...)
{
    va_list ap;

    if (tool->quiet)
        return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* cJSON hands its hooks no context. */
static bool json_failed;

static void *json_alloc(size_t n)
{
    void *p = mem_alloc(n);
    json_failed |= !p;
    return p;
}

void tool_json_init(void)
{
    cJSON_Hooks hooks = {json_alloc, mem_free};
    cJSON_InitHooks(&hooks);
    json_failed = false;
}

bool tool_json_failed(void)
{
    return json_failed;
}

int tool_print_json(cJSON *object)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    bool whole = text && !json_failed;

    cJSON_Delete(object);
    if (whole)
        puts(text);
    else
        log_line(LOG_ERROR, "out of memory");
    cJSON_free(text);
    return whole ? TOOL_DONE : TOOL_PROBLEM;
}

void tool_json_add(cJSON *array, cJSON *item)
{
    if (!cJSON_AddItemToArray(array, item))
        cJSON_Delete(item);
}

void tool_json_int(cJSON *object, const char *name, int64_t n)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)n);
    cJSON_AddRawToObject(object, name, text);
}

int tool_failed(const char *what, enum error_code rc, const struct error *err)
{
    log_line(LOG_ERROR, "%s: %s", what, err && err->message[0] ? err->message : error_text(rc));
    return TOOL_PROBLEM;
}

int tool_failed_errno(const char *what, const char *path)
{
    log_line(LOG_ERROR, "%s %s: %s", what, path, strerror(errno));
    return TOOL_PROBLEM;
}

bool tool_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool tool_may_write(const struct tool *tool, const char *path)
{
    static const char *const own[] = {"", "-wal", "-shm", "-journal", ".lock"};
    char name[PATH_MAX];
    struct stat st;

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        snprintf(name, sizeof name, "%s%s", store_path(tool->kvs->file), own[i]);
        if (strcmp(path, name) == 0 || tool_same_file(path, name)) {
            log_line(LOG_ERROR, "%s belongs to the database itself: give another file", path);
            return false;
        }
    }
    if (tool->force || lstat(path, &st))
        return true;
    log_line(LOG_ERROR, "%s exists: --force replaces it", path);
    return false;
}
