#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "bucket.h"
#include "buf.h"
#include "db.h"
#include "entry.h"
#include "json_out.h"
#include "log.h"
#include "service.h"
#include "storage.h"
#include "tool.h"
#include "wake.h"

enum {
    PAGE_BYTES = 1 << 20, /* printed text after which a page ends, at the end of a revision */
    LAST = 10,            /* revisions shown where --since was not given */
    POLL_MS = 1000        /* how often others' commits are looked for without a signal of them */
};

struct tail {
    const struct tool *tool;
    const char *name;
    struct store *store;
    struct arena arena;
    struct buf out;
    int64_t since; /* all up to this revision was printed; -1 before the first page */
    bool more;
};

/* The first page settles where to begin. */
static void begin(struct tail *t, const struct bucket *b)
{
    if (t->since < 0)
        t->since = b->revision > LAST ? b->revision - LAST : 0;
    else if (t->since < b->compacted)
        log_line(LOG_WARNING, "changes up to revision %lld are no longer all held", (long long)b->compacted);
}

static enum error_code put_entry(struct tail *t, struct db_query *q, const struct bucket *b)
{
    struct json_out json;
    struct entry e;
    enum error_code rc = entry_read(q, 0, b->id, &e);

    json_out_init(&json, &t->out);
    if (!rc)
        rc = entry_to_json(&json, &e, false, &t->arena);
    buf_byte(&t->out, '\n');
    t->since = db_int(q, 1);
    return rc;
}

/* Collects changes; what is printed is printed after the snapshot has ended. */
static enum error_code collect(struct tail *t, struct db *db, const struct bucket *b)
{
    struct db_query *q = db_start(db, SQL_CHANGES, DB_INT(b->id), DB_INT(t->since));
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        if (t->out.len > PAGE_BYTES && db_int(q, 1) != t->since) {
            t->more = true;
            break;
        }
        rc = put_entry(t, q, b);
    }
    if (!t->more && !rc)
        t->since = b->revision > t->since ? b->revision : t->since;
    enum error_code end = db_end(q);
    if (!buf_ok(&t->out))
        return ERR_NO_MEMORY;
    return rc ? rc : end;
}

static enum error_code read_page(struct tail *t, bool first, struct error *err)
{
    struct bucket b;
    struct db *db;
    enum error_code rc = store_reader(t->store, &db);

    if (rc)
        return rc;
    t->more = false;
    buf_clear(&t->out);
    arena_reset(&t->arena);
    rc = db_read_begin(db);
    if (!rc)
        rc = bucket_find(db, t->name, false, &b, &t->arena, err);
    if (!rc && first)
        begin(t, &b);
    if (!rc)
        rc = collect(t, db, &b);
    db_read_end(db);
    store_reader_done(t->store, db, rc != ERR_OK && rc != ERR_NO_BUCKET);
    return rc;
}

static bool print(const struct tail *t)
{
    return fwrite(t->out.data ? t->out.data : "", 1, t->out.len, stdout) == t->out.len && fflush(stdout) == 0;
}

/* Prints pages until there is no more, or for ever with --follow. */
static int follow(struct tail *t, struct wake *wake)
{
    struct error err = ERROR_INIT;

    for (bool first = true;; first = false) {
        enum error_code rc = read_page(t, first, &err);
        if (rc)
            return tool_failed("cannot follow the bucket", rc, &err);
        if (!print(t))
            return TOOL_PROBLEM; /* main says why */
        if (t->more)
            continue;
        if (!t->tool->follow)
            return TOOL_DONE;
        struct pollfd p = {.fd = wake_fd(wake), .events = POLLIN};
        poll(&p, 1, POLL_MS);
        wake_drain(wake);
        wake_watch(wake, true); /* the log may have come into being only now */
    }
}

/* Where the bucket's data is.  A memory bucket that nobody has used since the machine started has none. */
static enum error_code find_store(struct tail *t, struct error *err)
{
    struct store *memory = NULL;
    struct bucket b;
    struct db *db;
    enum error_code rc = store_reader(t->store, &db);

    if (rc)
        return rc;
    rc = bucket_find(db, t->name, false, &b, &t->arena, err);
    store_reader_done(t->store, db, rc != ERR_OK && rc != ERR_NO_BUCKET);
    if (rc || b.options.storage == BUCKET_FILE)
        return rc;
    rc = storage_look(t->tool->kvs, t->name, &memory, &b, &t->arena);
    if (!rc && !memory)
        rc = error_set(err, ERR_NO_BUCKET, NULL, "bucket %s is in memory, and holds nothing", t->name);
    if (!rc)
        t->store = memory;
    return rc;
}

int command_tail(struct tool *tool)
{
    struct tail t = {.tool = tool,
                     .name = tool->bucket ? tool->bucket : BUCKET_DEFAULT,
                     .store = tool->kvs->file,
                     .arena = ARENA_INIT,
                     .out = BUF_INIT,
                     .since = tool->since};
    struct wake *wake = NULL;
    struct error err = ERROR_INIT;
    enum error_code rc = find_store(&t, &err);
    int status = TOOL_PROBLEM;

    if (!rc)
        rc = wake_new(&wake);
    if (rc) {
        tool_failed("cannot follow the bucket", rc, &err);
    } else {
        wake_add_store(wake, store_path(t.store));
        wake_watch(wake, true);
        status = follow(&t, wake);
    }
    wake_free(wake);
    arena_free(&t.arena);
    buf_free(&t.out);
    return status;
}
