#include <stdio.h>
#include <string.h>

#include "db.h"
#include "log.h"
#include "progress.h"
#include "record.h"
#include "service.h"
#include "tempfile.h"
#include "tool.h"

enum { WRITE_BYTES = 1 << 16, REPORTED = 20 };

struct dump {
    const struct tool *tool;
    struct db *db;
    FILE *out;
    struct buf text;    /* lines not yet written */
    struct arena arena; /* one row's */
    struct progress progress;
    int64_t done, total;
    int64_t lines;
    int64_t left_out; /* damaged rows, and tables that could not be read to their end */
};

static enum error_code flush(struct dump *d)
{
    bool ok = d->text.len == 0 || fwrite(d->text.data, 1, d->text.len, d->out) == d->text.len;

    buf_clear(&d->text);
    if (ok)
        return ERR_OK;
    tool_failed_errno("cannot write", d->tool->file ? d->tool->file : "to standard output");
    return ERR_FULL;
}

__attribute__((format(printf, 2, 3))) static void leave_out(struct dump *d, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (++d->left_out > REPORTED)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    progress_clear(&d->progress);
    log_line(LOG_WARNING, "%s (kvs-maint check says more)", text);
}

/* One line, of what was read with that result; a damaged record leaves none. */
static enum error_code put(struct dump *d, struct record *r, enum error_code read)
{
    size_t before = d->text.len;
    enum error_code rc = read ? read : record_write(&d->text, r, &d->arena);

    arena_reset(&d->arena);
    progress_at(&d->progress, ++d->done, d->total);
    if (rc == ERR_CORRUPT) {
        d->text.len = before;
        if (r->bucket_name)
            leave_out(d, "bucket %s: a damaged entry is left out, revision %lld", r->bucket_name,
                      (long long)r->entry.revision);
        else
            leave_out(d, "message %lld is damaged and left out", (long long)r->message.id);
        return ERR_OK;
    }
    if (rc)
        return rc;
    d->lines++;
    return d->text.len > WRITE_BYTES ? flush(d) : ERR_OK;
}

/* The end of a table; where the engine cannot read on, what is behind is lost, and the dump goes on. */
static enum error_code end_table(struct dump *d, struct db_query *q, enum error_code rc, const char *what,
                                 const char *name)
{
    enum error_code end = db_end(q);

    if (rc || end != ERR_CORRUPT)
        return rc ? rc : end;
    leave_out(d, "%s%s cannot be read to the end: the file is damaged", what, name);
    return ERR_OK;
}

static enum error_code dump_rows(struct dump *d, const struct bucket *b, enum record_type type)
{
    struct db_query *q = db_start(d->db, type == RECORD_ENTRY ? SQL_DUMP_ENTRIES : SQL_DUMP_HISTORY, DB_INT(b->id));
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        struct record r = {.type = type, .bucket_name = b->name};
        rc = put(d, &r, entry_read(q, 0, b->id, &r.entry));
    }
    return end_table(d, q, rc, "bucket ", b->name);
}

/* Calls visit for each bucket in the order of names, or for the one that is meant. */
static enum error_code each_bucket(struct dump *d, enum error_code (*visit)(struct dump *, struct bucket *))
{
    struct arena arena = ARENA_INIT;
    struct bucket b = {.name = ""};
    enum error_code rc = ERR_OK;

    for (bool more = true; !rc && more;) {
        struct db_query *q = db_start(d->db, SQL_BUCKET_AFTER, DB_TEXT(b.name, strlen(b.name)));
        more = db_step(q);
        if (more)
            rc = bucket_read(q, &b, &arena);
        enum error_code end = db_end(q);
        rc = rc ? rc : end;
        bool meant = !d->tool->bucket || strcmp(d->tool->bucket, b.name) == 0;
        if (!rc && more && meant)
            rc = visit(d, &b);
    }
    arena_free(&arena);
    return rc;
}

static enum error_code dump_bucket(struct dump *d, struct bucket *b)
{
    struct record r = {.type = RECORD_BUCKET, .bucket = *b};
    return put(d, &r, ERR_OK);
}

/* Entries first: whoever loads them knows then whether an older value has an entry. */
static enum error_code dump_contents(struct dump *d, struct bucket *b)
{
    if (!b->id)
        return ERR_OK;
    enum error_code rc = dump_rows(d, b, RECORD_ENTRY);
    return rc ? rc : dump_rows(d, b, RECORD_HISTORY);
}

static enum error_code dump_messages(struct dump *d)
{
    struct db_query *q = db_start_n(d->db, SQL_DUMP_MESSAGES, NULL, 0);
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        struct record r = {.type = RECORD_MESSAGE};
        rc = message_read(q, &r.message);
        rc = put(d, &r, rc ? rc : message_payload(q, 16, &r.message));
    }
    return end_table(d, q, rc, "the queue", "");
}

static enum error_code dump_dedupe(struct dump *d)
{
    struct db_query *q = db_start_n(d->db, SQL_DUMP_DEDUPE, NULL, 0);
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        struct record r = {.type = RECORD_DEDUPE, .until = db_int(q, 3)};
        r.message.topic = db_text(q, 0, &r.message.topic_len);
        r.message.dedupe = db_blob(q, 1, &r.message.dedupe_len);
        r.message.id = db_int(q, 2);
        rc = put(d, &r, ERR_OK);
    }
    return end_table(d, q, rc, "the table of dedupe ids", "");
}

static enum error_code dump_locks(struct dump *d)
{
    struct db_query *q = db_start_n(d->db, SQL_DUMP_LOCKS, NULL, 0);
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        struct record r = {.type = RECORD_LOCK};
        r.lock.name = db_text(q, 0, &r.lock.name_len);
        r.lock.token = db_text(q, 1, &r.lock.token_len);
        if (!db_is_null(q, 2))
            r.lock.owner = db_text(q, 2, &r.lock.owner_len);
        r.lock.fence = db_int(q, 3);
        r.lock.expires = db_int(q, 4);
        rc = put(d, &r, ERR_OK);
    }
    return end_table(d, q, rc, "the table of locks", "");
}

/* The first line.  The counters of the queue and the locks are of no use to a dump of one bucket. */
static enum error_code dump_head(struct dump *d)
{
    struct record r = {.type = RECORD_DUMP};
    struct db_query *q = db_start_n(d->db, SQL_STATE_LOAD, NULL, 0);

    if (db_step(q) && !d->tool->bucket) {
        r.last_message = db_int(q, 1);
        r.last_fence = db_int(q, 2);
    }
    enum error_code rc = db_end(q);
    q = rc ? NULL : db_start_n(d->db, SQL_CHECK_TOTAL, NULL, 0);
    if (q && db_step(q))
        d->total = db_int(q, 0);
    if (q)
        rc = db_end(q);
    return rc ? rc : put(d, &r, ERR_OK);
}

static enum error_code dump_all(struct dump *d)
{
    enum error_code rc = dump_head(d);
    if (!rc)
        rc = each_bucket(d, dump_bucket);
    if (!rc && d->tool->bucket && d->lines == 1)
        return ERR_NO_BUCKET;
    if (!rc)
        rc = each_bucket(d, dump_contents);
    if (!rc && !d->tool->bucket)
        rc = dump_messages(d);
    if (!rc && !d->tool->bucket)
        rc = dump_dedupe(d);
    if (!rc && !d->tool->bucket)
        rc = dump_locks(d);
    struct record end = {.type = RECORD_END, .lines = d->lines};
    if (!rc)
        rc = put(d, &end, ERR_OK);
    return rc ? rc : flush(d);
}

/* All of it from one snapshot. */
static int dump_to(struct dump *d, FILE *out)
{
    struct store *store = d->tool->kvs->file;
    enum error_code rc = store_reader(store, &d->db);

    if (rc)
        return tool_failed("the database cannot be read", rc, NULL);
    db_be_lenient(d->db); /* each row is judged by its own checksum */
    d->out = out;
    progress_start(&d->progress, d->tool, "dumping");
    rc = db_read_begin(d->db);
    if (!rc)
        rc = dump_all(d);
    progress_clear(&d->progress);
    db_read_end(d->db);
    store_reader_done(store, d->db, true);
    buf_free(&d->text);
    arena_free(&d->arena);
    if (rc)
        return tool_failed("the dump is not complete", rc, NULL);
    if (d->left_out)
        log_line(LOG_ERROR, "%lld rows or tables are damaged and left out", (long long)d->left_out);
    return d->left_out ? TOOL_PROBLEM : TOOL_DONE;
}

/* A dump that leaves out what is damaged is kept all the same: it is what there is. */
static int dump_to_file(struct dump *d)
{
    struct tempfile t;

    if (!tool_may_write(d->tool, d->tool->file) || !tempfile_make(&t, d->tool->file))
        return TOOL_PROBLEM;
    FILE *out = fopen(t.path, "w");
    int status = out ? dump_to(d, out) : tool_failed_errno("cannot write", t.path);
    if (out && fclose(out))
        status = tool_failed_errno("cannot write", t.path);
    bool whole = status == TOOL_DONE || d->left_out;
    if (whole && !tempfile_keep(&t, d->tool->force))
        status = TOOL_PROBLEM;
    tempfile_drop(&t);
    return status;
}

int command_dump(struct tool *tool)
{
    struct dump d = {.tool = tool, .text = BUF_INIT, .arena = ARENA_INIT};

    if (!tool->file || strcmp(tool->file, "-") == 0) {
        tool->file = NULL;
        return dump_to(&d, stdout);
    }
    int status = dump_to_file(&d);
    if (status || tool->quiet)
        return status;
    if (!tool->json) {
        tool_say(tool, "dumped %lld lines to %s", (long long)d.lines, tool->file);
        return TOOL_DONE;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    cJSON_AddStringToObject(json, "file", tool->file);
    tool_json_int(json, "lines", d.lines);
    return tool_print_json(json);
}
