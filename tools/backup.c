#include <string.h>
#include <sys/stat.h>

#include "db.h"
#include "log.h"
#include "progress.h"
#include "service.h"
#include "tempfile.h"
#include "tool.h"

static enum error_code copy(const struct tool *tool, const char *path, struct error *err)
{
    struct store *store = tool->kvs->file;
    struct progress progress;
    struct db *db;
    enum error_code rc = store_reader(store, &db);

    if (rc)
        return rc;
    progress_start(&progress, tool, "backing up");
    rc = db_backup(db, path, progress_at, &progress, err);
    progress_clear(&progress);
    store_reader_done(store, db, rc != ERR_OK);
    return rc;
}

static void count_line(void *context, const char *line)
{
    (void)line;
    ++*(int *)context;
}

/* Reads back all of what was written. */
static bool verify(const struct tool *tool, const char *path)
{
    struct error err = ERROR_INIT;
    struct progress progress;
    struct db *db = NULL;
    int wrong = 0;

    progress_start(&progress, tool, "verifying");
    enum error_code rc = db_open(&db, path, DB_READ_ONLY, &err);
    if (!rc)
        rc = db_integrity(db, count_line, &wrong);
    db_close(db);
    progress_clear(&progress);
    if (!rc && !wrong)
        return true;
    log_line(LOG_ERROR, "the backup is not sound and was not kept: kvs-maint check tells about the database itself; "
                        "--quick keeps the copy as it is");
    return false;
}

static int summary(const struct tool *tool, int64_t bytes)
{
    if (tool->quiet)
        return TOOL_DONE;
    if (!tool->json) {
        tool_say(tool, "backed up %lld bytes to %s%s", (long long)bytes, tool->file, tool->quick ? "" : ", verified");
        return TOOL_DONE;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    cJSON_AddStringToObject(json, "file", tool->file);
    tool_json_int(json, "bytes", bytes);
    cJSON_AddBoolToObject(json, "verified", !tool->quick);
    return tool_print_json(json);
}

int command_backup(struct tool *tool)
{
    struct error err = ERROR_INIT;
    struct tempfile t;
    struct stat st = {.st_size = 0};
    int status = TOOL_PROBLEM;

    if (!tool_may_write(tool, tool->file) || !tempfile_make(&t, tool->file))
        return TOOL_PROBLEM;
    enum error_code rc = copy(tool, t.path, &err);
    if (rc)
        tool_failed("no backup was made", rc, &err);
    else if ((tool->quick || verify(tool, t.path)) && stat(t.path, &st) == 0 && tempfile_keep(&t, tool->force))
        status = TOOL_DONE;
    tempfile_drop(&t);
    return status ? status : summary(tool, st.st_size);
}
