/*
 * A dump, as kvs-maint load reads it.  Each line that is taken says the same when it is written and read again; a dump that is
 * loaded leaves a store without any finding of kvs-maint check, and one that is refused leaves it as it was.
 */
#include "../unit/service.h"

#include <sys/mman.h>

#include "check.h"
#include "fuzz.h"
#include "service.h"
#include "tools/record.h"
#include "tools/tool.h"

static struct service service;
static int input = -1; /* a file in memory, for load to read */
static int errors = -1, nowhere = -1;

void __sanitizer_set_report_fd(void *fd);

static void close_service(void)
{
    service_close(&service);
}

static void begin(void)
{
    service_prepare(&service);
    service_configure(&service, "maint_interval", "0");
    service_reopen(&service);
    atexit(close_service);
    input = memfd_create("dump", MFD_CLOEXEC);
    nowhere = open("/dev/null", O_WRONLY);
    errors = dup(STDERR_FILENO);
    must(input >= 0 && nowhere >= 0 && errors >= 0);
    __sanitizer_set_report_fd((void *)(intptr_t)errors);
}

/* Writes the record that the line stands for; false where it is none. */
static bool rewrite(const char *line, size_t len, struct buf *out)
{
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct record r;
    enum error_code rc = record_read(line, len, &arena, &r, &err);

    must(rc != ERR_INTERNAL && rc != ERR_NO_MEMORY);
    must(rc == ERR_OK || err.message[0]);
    if (!rc)
        must(record_write(out, &r, &arena) == ERR_OK);
    arena_free(&arena);
    return !rc;
}

static void check_line(const char *line, size_t len)
{
    struct buf once = BUF_INIT, twice = BUF_INIT;

    if (rewrite(line, len, &once)) {
        must(once.len > 0 && rewrite(once.data, once.len - 1, &twice));
        must(twice.len == once.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    buf_free(&once);
    buf_free(&twice);
}

static void check_lines(const char *data, size_t size)
{
    while (size > 0) {
        const char *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;
        char *line = malloc(len + 1); /* ends where it ends, for the sanitizer */
        must(line);
        memcpy(line, data, len);
        line[len] = '\0';
        check_line(line, len);
        free(line);
        size -= end ? len + 1 : len;
        data += end ? len + 1 : len;
    }
}

/* That a dump comes from a clock ahead of this one is for check to tell, not for load to refuse. */
static void on_finding(void *context, enum check_kind kind, const char *what)
{
    if (kind == CHECK_CLOCK)
        return;
    fprintf(stderr, "%s: %s\n", check_name(kind), what);
    *(bool *)context = false;
}

static struct check_counts check_store(void)
{
    bool sound = true;
    struct check_sink sink = {.finding = on_finding, .context = &sound};
    struct check_counts counts = {0};
    struct db *db;

    must(store_reader(service.kvs->file, &db) == ERR_OK);
    must(check_contents(db, &sink, &counts) == ERR_OK);
    store_reader_done(service.kvs->file, db, false);
    must(sound);
    return counts;
}

/* What is refused is refused before anything is written, but for what the store finds out. */
static bool load(const uint8_t *data, size_t size)
{
    char path[40];
    struct tool tool = {.kvs = service.kvs, .quiet = true, .file = path};

    snprintf(path, sizeof path, "/dev/fd/%d", input);
    must(ftruncate(input, 0) == 0 && pwrite(input, data, size, 0) == (ssize_t)size);
    dup2(nowhere, STDERR_FILENO); /* every refusal says why */
    int status = command_load(&tool);
    dup2(errors, STDERR_FILENO);
    must(status == TOOL_DONE || status == TOOL_PROBLEM);
    return status == TOOL_DONE;
}

/* An empty store again. */
static void renew(void)
{
    kvs_close(service.kvs);
    service.kvs = NULL;
    temp_dir_remove(service.dir, "mem.db");
    temp_dir_remove(service.dir, "kv.db");
    must(mkdir(service.dir, 0700) == 0);
    service_reopen(&service);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!service.kvs)
        begin();
    check_lines((const char *)data, size);
    bool loaded = load(data, size);
    struct check_counts counts = check_store();
    if (loaded || counts.entries + counts.history + counts.messages > 0 || counts.buckets > 1)
        renew();
    return 0;
}
