#include "check.h"

#include <stdio.h>

#include "log.h"
#include "progress.h"
#include "service.h"
#include "storage.h"
#include "tool.h"

enum { SHOWN = 20 }; /* findings of a kind that are printed; all are counted */

struct report {
    const struct tool *tool;
    const char *store; /* what findings begin with: "" for the durable file */
    struct progress progress;
    int64_t of_kind[CHECK_KINDS];
    cJSON *findings; /* with --json */
};

static void add_finding(struct report *r, enum check_kind kind, const char *what)
{
    cJSON *f = cJSON_CreateObject();
    char line[1200];

    snprintf(line, sizeof line, "%s%s", r->store, what);
    cJSON_AddStringToObject(f, "kind", check_name(kind));
    cJSON_AddStringToObject(f, "what", line);
    cJSON_AddStringToObject(f, "advice", check_advice(kind));
    tool_json_add(r->findings, f);
}

static void finding(void *context, enum check_kind kind, const char *what)
{
    struct report *r = context;

    if (++r->of_kind[kind] > SHOWN)
        return;
    if (r->tool->json) {
        add_finding(r, kind, what);
        return;
    }
    progress_clear(&r->progress);
    printf("%s: %s%s\n    %s\n", check_name(kind), r->store, what, check_advice(kind));
}

static void progress(void *context, int64_t done, int64_t total)
{
    progress_at(&((struct report *)context)->progress, done, total);
}

/* Rows, by their own checksums, wherever they lie: on a damaged page some are sound. */
static enum error_code check_rows(struct report *r, struct store *store, const struct check_sink *sink,
                                  struct check_counts *counts)
{
    struct db *db;
    enum error_code rc = store_reader(store, &db);

    if (rc)
        return rc;
    db_be_lenient(db);
    progress_start(&r->progress, r->tool, "checking rows");
    rc = check_contents(db, sink, counts);
    progress_clear(&r->progress);
    store_reader_done(store, db, true);
    return rc;
}

static enum error_code check_pages(struct report *r, struct store *store, const struct check_sink *sink,
                                   struct check_counts *counts)
{
    struct db *db;
    enum error_code rc = store_reader(store, &db);

    if (rc)
        return rc;
    progress_start(&r->progress, r->tool, "checking pages");
    rc = check_engine(db, sink, counts);
    progress_clear(&r->progress);
    store_reader_done(store, db, rc != ERR_OK);
    return rc;
}

static enum error_code check_store(struct report *r, struct store *store, struct check_counts *counts)
{
    struct check_sink sink = {.finding = finding, .progress = progress, .context = r};

    check_loss(store_lost(store), &sink, counts);
    enum error_code rc = check_rows(r, store, &sink, counts);
    return rc ? rc : check_pages(r, store, &sink, counts);
}

static enum error_code check_stores(struct report *r, struct kvs *kvs, struct check_counts *counts)
{
    struct store *memory;
    enum error_code rc = check_store(r, kvs->file, counts);

    if (!rc)
        rc = storage_memory(kvs, false, &memory);
    if (rc || !memory)
        return rc;
    int64_t buckets = counts->buckets;
    r->store = "in memory: ";
    rc = check_store(r, memory, counts);
    counts->buckets = buckets; /* the durable file has all of them */
    return rc;
}

static void print_rest(const struct report *r)
{
    for (int i = 0; i < CHECK_KINDS; i++)
        if (r->of_kind[i] > SHOWN)
            printf("%s: and %lld more\n", check_name((enum check_kind)i), (long long)(r->of_kind[i] - SHOWN));
}

static int print_json(struct report *r, const struct check_counts *c)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddBoolToObject(json, "ok", c->findings == 0);
    tool_json_int(json, "buckets", c->buckets);
    tool_json_int(json, "entries", c->entries);
    tool_json_int(json, "history", c->history);
    tool_json_int(json, "messages", c->messages);
    tool_json_int(json, "problems", c->findings);
    if (cJSON_AddItemToObject(json, "findings", r->findings))
        r->findings = NULL;
    return tool_print_json(json);
}

int command_check(struct tool *tool)
{
    struct report r = {.tool = tool, .store = "", .findings = tool->json ? cJSON_CreateArray() : NULL};
    struct check_counts c = {0};
    enum error_code rc = check_stores(&r, tool->kvs, &c);
    int status = c.findings || rc ? TOOL_PROBLEM : TOOL_DONE;

    print_rest(&r);
    if (rc) {
        tool_failed("the check was cut short", rc, NULL);
    } else if (tool->json && (status || !tool->quiet)) {
        if (print_json(&r, &c))
            status = TOOL_PROBLEM;
    } else if (!tool->json && status) {
        printf("%lld problems found\n", (long long)c.findings);
    } else if (!tool->json) {
        tool_say(tool, "%lld buckets, %lld entries, %lld older values, %lld messages: no problem found",
                 (long long)c.buckets, (long long)c.entries, (long long)c.history, (long long)c.messages);
    }
    cJSON_Delete(r.findings);
    return status;
}
