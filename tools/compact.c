#include "commit.h"
#include "db.h"
#include "progress.h"
#include "service.h"
#include "tool.h"

struct compact_job {
    struct commit_job job; /* first, so that the job is this */
    bool force, skipped;
    int64_t before, after, spare;
    int64_t left; /* frames of the log that readers still need */
};

/* Under the writer lock.  Nothing is free: nothing is to be gained by making writers wait. */
static enum error_code run(struct commit_job *job, struct db *db)
{
    struct compact_job *c = (struct compact_job *)job;
    enum error_code rc = db_size(db, &c->before, &c->spare);

    c->after = c->before;
    c->skipped = c->spare == 0 && !c->force;
    if (rc || c->skipped)
        return rc;
    rc = db_compact(db);
    if (!rc)
        rc = db_size(db, &c->after, &c->spare);
    return rc ? rc : db_checkpoint(db, true, &c->left);
}

int command_compact(struct tool *tool)
{
    struct compact_job c = {.job = {.outside = run}, .force = tool->force};
    struct progress progress;

    progress_start(&progress, tool, "compacting");
    enum error_code rc = commit_wait(store_commit(tool->kvs->file), &c.job);
    progress_clear(&progress);
    if (rc)
        return tool_failed("the database was not compacted", rc, NULL);
    if (tool->quiet)
        return TOOL_DONE;
    if (!tool->json) {
        tool_say(tool, "%lld bytes before, %lld after%s%s", (long long)c.before, (long long)c.after,
                 c.skipped ? ": no page is free (--force writes it anew all the same)" : "",
                 c.left ? "; the file shrinks at a later checkpoint, once readers are done" : "");
        return TOOL_DONE;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    tool_json_int(json, "before", c.before);
    tool_json_int(json, "after", c.after);
    cJSON_AddBoolToObject(json, "skipped", c.skipped);
    return tool_print_json(json);
}
