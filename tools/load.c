#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commit.h"
#include "db.h"
#include "log.h"
#include "mem.h"
#include "progress.h"
#include "record.h"
#include "service.h"
#include "tool.h"
#include "txn.h"

enum { CHUNK_LINES = 250, CHUNK_BYTES = 1 << 20, COPY_BYTES = 1 << 16 };

/* What a bucket of the dump has become here. */
struct target {
    char name[80];
    int64_t revision; /* in the dump */
    int64_t offset;   /* added to its revisions: those that the bucket had here are not used again */
    bool skip;        /* its entries are not wanted: destroyed, or in memory */
    bool begun;       /* the first pass has seen a line of its contents */
};

/* Lines that are left out, though nothing is wrong with them. */
struct load_left {
    int64_t duplicates; /* messages whose dedupe id is held here */
    int64_t orphans;    /* older values of keys that have no entry: it was damaged when the dump was made */
};

struct load {
    struct commit_job job; /* first, so that the job is the load: writes one chunk */
    const struct tool *tool;
    FILE *in;
    char *line; /* getline's */
    size_t line_size;
    int64_t number; /* of the line read last */
    int64_t size;   /* of the input, for the progress */
    struct progress progress;
    struct arena arena; /* one line's */
    struct error err;
    /* The first pass judges: */
    enum record_type last_type;
    struct buf last_key; /* bucket, key */
    int64_t last_id;     /* revision or id */
    int64_t last_message, last_fence;
    int64_t heads; /* lines of types dump and bucket, which are written together */
    /* The second writes: */
    struct buf chunk; /* lines, NUL-terminated */
    int64_t chunk_lines;
    struct target *targets;
    size_t target_count;
    int64_t message_offset, fence_offset;
    int64_t chunk_done[RECORD_END + 1], done[RECORD_END + 1];
    struct load_left chunk_left, left;
};

/* Input */

/* A pipe is read once, but what it brings is read twice. */
static bool spool(struct load *l, FILE *from)
{
    char block[COPY_BYTES];
    size_t n;

    l->in = tmpfile();
    while (l->in && (n = fread(block, 1, sizeof block, from)) > 0)
        if (fwrite(block, 1, n, l->in) != n)
            break;
    bool ok = l->in && !ferror(from) && feof(from) && fflush(l->in) == 0;
    if (!ok)
        tool_failed_errno("cannot copy", "standard input");
    return ok;
}

static bool open_input(struct load *l)
{
    if (!l->tool->file || strcmp(l->tool->file, "-") == 0) {
        if (!spool(l, stdin))
            return false;
    } else {
        l->in = fopen(l->tool->file, "r");
        if (!l->in) {
            tool_failed_errno("cannot read", l->tool->file);
            return false;
        }
    }
    if (fseeko(l->in, 0, SEEK_END) || (l->size = ftello(l->in)) < 0) {
        tool_failed_errno("cannot read", l->tool->file ? l->tool->file : "standard input");
        return false;
    }
    return true;
}

/* The next line without its end; false at the end of the input. */
static bool next_line(struct load *l, size_t *len)
{
    errno = 0;
    ssize_t n = getline(&l->line, &l->line_size, l->in);
    if (n < 0)
        return false;
    l->number++;
    *len = (size_t)n;
    if (*len > 0 && l->line[*len - 1] == '\n')
        l->line[--*len] = '\0';
    progress_at(&l->progress, ftello(l->in), l->size);
    return true;
}

/* The first pass: is every line one that a dump has, and in its place? */

static struct target *find_target(struct load *l, const char *name)
{
    for (size_t i = 0; i < l->target_count; i++)
        if (strcmp(l->targets[i].name, name) == 0)
            return &l->targets[i];
    return NULL;
}

static enum error_code add_target(struct load *l, const struct bucket *b)
{
    if (find_target(l, b->name))
        return error_set(&l->err, ERR_BAD_REQUEST, NULL, "bucket %s is there twice", b->name);
    struct target *grown = mem_realloc(l->targets, (l->target_count + 1) * sizeof *grown);
    if (!grown)
        return ERR_NO_MEMORY;
    l->targets = grown;
    struct target *t = &grown[l->target_count++];
    *t = (struct target){.revision = b->revision};
    snprintf(t->name, sizeof t->name, "%s", b->name);
    return ERR_OK;
}

static enum error_code bad(struct load *l, const char *why)
{
    return error_set(&l->err, ERR_BAD_REQUEST, NULL, "%s", why);
}

/* The contents of a bucket are one piece: its entries, then what they were before. */
static enum error_code judge_piece(struct load *l, const struct record *r, struct target *t, bool same_bucket)
{
    if (!same_bucket && t->begun)
        return bad(l, "the contents of a bucket must stand together");
    t->begun = true;
    if (same_bucket && r->type == RECORD_ENTRY && l->last_type == RECORD_HISTORY)
        return bad(l, "the older values of a bucket must stand behind all its entries");
    return ERR_OK;
}

/* Rows come in the order of their keys, so that none is there twice. */
static enum error_code judge_order(struct load *l, const struct record *r, struct target *t)
{
    struct buf *last = &l->last_key;
    size_t name = strlen(r->bucket_name) + 1, len = name + r->entry.key.len;
    const struct key *key = &r->entry.key;
    bool same_bucket = last->len > name && memcmp(last->data, r->bucket_name, name) == 0;
    enum error_code rc = judge_piece(l, r, t, same_bucket);

    if (rc)
        return rc;
    if (same_bucket && l->last_type == r->type) {
        size_t had = last->len - name, common = had < key->len ? had : key->len;
        int order = memcmp(last->data + name, key->data, common);
        if (order == 0)
            order = had < key->len ? -1 : had > key->len;
        bool later = r->type == RECORD_HISTORY && order == 0 && l->last_id < r->entry.revision;
        if (order > 0 || (order == 0 && !later))
            return bad(l, "the keys of a bucket must be in order, each there once");
    }
    buf_clear(last);
    buf_add(last, r->bucket_name, name);
    buf_add(last, key->data, key->len);
    l->last_id = r->entry.revision;
    return buf_ok(last) && last->len == len ? ERR_OK : ERR_NO_MEMORY;
}

static enum error_code judge_message(struct load *l, const struct record *r)
{
    if (l->last_type == RECORD_MESSAGE && r->message.id <= l->last_id)
        return bad(l, "the ids of messages must be in order, each there once");
    l->last_id = r->message.id;
    return r->message.id <= l->last_message ? ERR_OK : bad(l, "the id is beyond lastMessage");
}

static enum error_code judge_entry(struct load *l, const struct record *r)
{
    struct target *t = find_target(l, r->bucket_name);

    if (!t)
        return error_set(&l->err, ERR_BAD_REQUEST, NULL, "bucket %s has no line of its own", r->bucket_name);
    if (r->entry.revision > t->revision)
        return bad(l, "the revision is beyond the bucket's");
    return judge_order(l, r, t);
}

static enum error_code judge_head(struct load *l, const struct record *r)
{
    if (r->type == RECORD_DUMP) {
        l->last_message = r->last_message;
        l->last_fence = r->last_fence;
    } else if (l->last_type > RECORD_BUCKET) {
        return bad(l, "every bucket must stand before all entries");
    }
    l->heads++;
    return r->type == RECORD_BUCKET ? add_target(l, &r->bucket) : ERR_OK;
}

static enum error_code judge_place(struct load *l, const struct record *r)
{
    if ((l->number == 1) != (r->type == RECORD_DUMP))
        return bad(l, "a dump begins with its one line of type \"dump\"");
    if (l->number > 1 && l->last_type == RECORD_END)
        return bad(l, "there is something behind the line of type \"end\"");
    switch (r->type) {
    case RECORD_DUMP:
    case RECORD_BUCKET:
        return judge_head(l, r);
    case RECORD_HISTORY:
    case RECORD_ENTRY:
        return judge_entry(l, r);
    case RECORD_MESSAGE:
        return judge_message(l, r);
    case RECORD_DEDUPE:
        return r->message.id <= l->last_message ? ERR_OK : bad(l, "the message is beyond lastMessage");
    case RECORD_LOCK:
        return r->lock.fence <= l->last_fence ? ERR_OK : bad(l, "the fence is beyond lastFence");
    case RECORD_END:
        break;
    }
    return r->lines == l->number - 1 ? ERR_OK : bad(l, "lines are missing: the count of them is another");
}

static bool bad_line(struct load *l, enum error_code rc)
{
    const char *why = l->err.message[0] ? l->err.message : error_text(rc), *field = l->err.field;
    bool named = !field[0] || strstr(why, field);

    progress_clear(&l->progress);
    log_line(LOG_ERROR, "line %lld: %s%s%s; nothing was loaded", (long long)l->number, named ? "" : field,
             named ? "" : ": ", why);
    return false;
}

static bool judge_input(struct load *l)
{
    struct record r = {.type = RECORD_DUMP};
    size_t len;

    rewind(l->in);
    while (next_line(l, &len)) {
        enum error_code rc = record_read(l->line, len, &l->arena, &r, &l->err);
        if (!rc)
            rc = judge_place(l, &r);
        arena_reset(&l->arena);
        if (rc)
            return bad_line(l, rc);
        l->last_type = r.type;
    }
    if (l->number > 0 && l->last_type == RECORD_END && !ferror(l->in))
        return true;
    error_set(&l->err, ERR_BAD_REQUEST, NULL, "the dump is cut off: its line of type \"end\" is missing");
    return bad_line(l, ERR_BAD_REQUEST);
}

/* The second pass writes, in transactions of a chunk each.  What apply does may be undone and done again. */

static enum error_code load_head(struct load *l, struct txn *t, const struct record *r)
{
    l->message_offset = t->last_message;
    l->fence_offset = t->last_fence;
    t->last_message += r->last_message;
    t->last_fence += r->last_fence;
    t->touched = true;
    return ERR_OK;
}

static enum error_code not_empty(struct load *l, const char *name, const char *why)
{
    return error_set(&l->err, ERR_CONFLICT, NULL,
                     "bucket %s %s: load into another database, or destroy it first; nothing was loaded", name, why);
}

static enum error_code load_bucket(struct load *l, struct txn *t, const struct record *r)
{
    struct bucket there = {.id = 0}, b = r->bucket;
    struct target *target = find_target(l, b.name);
    enum error_code rc = bucket_find(t->db, b.name, true, &there, &t->arena, NULL);

    if (rc && rc != ERR_NO_BUCKET)
        return rc;
    if (!target)
        return ERR_INTERNAL; /* the first pass has seen it: the file has changed */
    target->offset = there.revision;
    target->skip = !b.id || b.options.storage == BUCKET_MEMORY;
    if (there.id && !b.id)
        return ERR_OK;
    if (there.id && (there.held || there.options.storage != b.options.storage))
        return not_empty(l, b.name, there.held ? "is not empty" : "has another storage");
    if (there.id && b.options.storage == BUCKET_MEMORY)
        return ERR_OK;
    b.revision += there.revision;
    b.compacted += there.revision;
    b.keys = b.held = b.bytes = 0;
    b.id = there.id ? there.id : b.id ? txn_next_bucket(t) : 0;
    t->touched = true;
    return bucket_put(t->db, &b);
}

static enum error_code load_history(struct load *l, struct txn *t, struct bucket *b, const struct entry *e)
{
    bool orphan;
    enum error_code rc = entry_load_history(t, b, e, &orphan);

    if (rc == ERR_CONFLICT)
        return error_set(&l->err, ERR_INTERNAL, NULL,
                         "a key of bucket %s has a history that is not older than its entry: the dump is damaged",
                         b->name);
    if (rc || orphan) {
        l->chunk_left.orphans += !rc;
        return rc;
    }
    /* A dump made while the bucket's history was being lowered has more than the bucket keeps. */
    return entry_trim(t, b, &e->key);
}

static enum error_code load_entry(struct load *l, struct txn *t, struct record *r)
{
    const struct target *target = find_target(l, r->bucket_name);
    struct bucket *b;

    if (!target || target->skip)
        return ERR_OK;
    /* Time does not run backwards in a store, whatever the other one's clock said. */
    if (r->entry.created > t->now)
        t->now = r->entry.created;
    enum error_code rc = txn_bucket(t, target->name, &b, &l->err);
    if (rc)
        return rc;
    r->entry.revision += target->offset;
    return r->type == RECORD_ENTRY ? entry_load(t, b, &r->entry) : load_history(l, t, b, &r->entry);
}

static enum error_code load_message(struct load *l, struct txn *t, struct record *r)
{
    bool duplicate;

    if (r->message.enqueued > t->now)
        t->now = r->message.enqueued;
    r->message.id += l->message_offset;
    enum error_code rc = message_load(t, &r->message, &duplicate);
    l->chunk_left.duplicates += !rc && duplicate;
    return rc;
}

/* Whoever holds the id here keeps it. */
static enum error_code load_dedupe(struct load *l, struct txn *t, const struct record *r)
{
    const struct message *m = &r->message;
    struct db_value topic = DB_TEXT(m->topic, m->topic_len), name = DB_BLOB(m->dedupe, m->dedupe_len);
    int64_t id = m->id + l->message_offset;
    struct db_query *q = db_start(t->db, SQL_DEDUPE_FIND, topic, name);
    bool held = db_step(q);
    enum error_code rc = db_end(q);

    if (rc || held)
        return rc;
    rc = db_run(t->db, SQL_DEDUPE_PUT, topic, name, DB_INT(id));
    return rc ? rc : db_run(t->db, SQL_DEDUPE_LET, topic, name, DB_INT(id), DB_INT(r->until));
}

static enum error_code load_lock(struct load *l, struct txn *t, const struct record *r)
{
    const struct record_lock *lock = &r->lock;
    struct db_query *q = db_start(t->db, SQL_LOCK_FIND, DB_TEXT(lock->name, lock->name_len));
    bool held = db_step(q) && db_int(q, 3) > t->now;
    enum error_code rc = db_end(q);

    if (rc || held)
        return rc;
    return db_run(t->db, SQL_LOCK_PUT, DB_TEXT(lock->name, lock->name_len), DB_TEXT(lock->token, lock->token_len),
                  lock->owner ? DB_TEXT(lock->owner, lock->owner_len) : DB_NULL, DB_INT(lock->fence + l->fence_offset),
                  DB_INT(lock->expires));
}

static enum error_code load_line(struct load *l, struct txn *t, const char *line, size_t len)
{
    struct record r;
    enum error_code rc = record_read(line, len, &t->arena, &r, &l->err);

    if (rc)
        return rc;
    l->chunk_done[r.type]++;
    switch (r.type) {
    case RECORD_DUMP:
        return load_head(l, t, &r);
    case RECORD_BUCKET:
        return load_bucket(l, t, &r);
    case RECORD_HISTORY:
    case RECORD_ENTRY:
        return load_entry(l, t, &r);
    case RECORD_MESSAGE:
        return load_message(l, t, &r);
    case RECORD_DEDUPE:
        return load_dedupe(l, t, &r);
    case RECORD_LOCK:
        return load_lock(l, t, &r);
    default:
        return ERR_OK;
    }
}

static enum error_code apply_chunk(struct commit_job *job, struct txn *t)
{
    struct load *l = (struct load *)job;
    const char *p = l->chunk.data;
    enum error_code rc = ERR_OK;

    memset(l->chunk_done, 0, sizeof l->chunk_done);
    l->chunk_left = (struct load_left){0};
    for (int64_t i = 0; !rc && i < l->chunk_lines; i++) {
        size_t len = strlen(p);
        rc = load_line(l, t, p, len);
        p += len + 1;
    }
    return rc;
}

static enum error_code write_chunk(struct load *l)
{
    enum error_code rc = l->chunk_lines ? commit_wait(store_commit(l->tool->kvs->file), &l->job) : ERR_OK;

    for (int i = 0; !rc && i <= RECORD_END; i++)
        l->done[i] += l->chunk_done[i];
    if (!rc) {
        l->left.duplicates += l->chunk_left.duplicates;
        l->left.orphans += l->chunk_left.orphans;
    }
    memset(l->chunk_done, 0, sizeof l->chunk_done);
    buf_clear(&l->chunk);
    l->chunk_lines = 0;
    return rc;
}

/* Whether the chunk is to be written before the next line joins it. */
static bool is_full(const struct load *l)
{
    if (l->number <= l->heads + 1)
        return l->number == l->heads + 1;
    return l->chunk_lines == CHUNK_LINES || l->chunk.len > CHUNK_BYTES;
}

static enum error_code write_input(struct load *l)
{
    enum error_code rc = ERR_OK;
    size_t len;

    rewind(l->in);
    while (!rc && next_line(l, &len)) {
        if (is_full(l))
            rc = write_chunk(l);
        buf_add(&l->chunk, l->line, len + 1);
        l->chunk_lines++;
        if (!buf_ok(&l->chunk))
            rc = ERR_NO_MEMORY;
    }
    if (!rc)
        rc = ferror(l->in) ? ERR_INTERNAL : write_chunk(l);
    return rc;
}

static int summary(const struct load *l)
{
    const int64_t *n = l->done;
    const int64_t history = n[RECORD_HISTORY] - l->left.orphans, messages = n[RECORD_MESSAGE] - l->left.duplicates;

    if (l->left.orphans)
        log_line(LOG_WARNING, "%lld older values of keys that have no entry in the dump are left out",
                 (long long)l->left.orphans);
    if (l->tool->quiet)
        return TOOL_DONE;
    if (!l->tool->json) {
        tool_say(l->tool,
                 "loaded %lld buckets, %lld entries, %lld older values, %lld messages (%lld duplicates left out)",
                 (long long)n[RECORD_BUCKET], (long long)n[RECORD_ENTRY], (long long)history, (long long)messages,
                 (long long)l->left.duplicates);
        return TOOL_DONE;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "ok");
    tool_json_int(json, "buckets", n[RECORD_BUCKET]);
    tool_json_int(json, "entries", n[RECORD_ENTRY]);
    tool_json_int(json, "history", history);
    tool_json_int(json, "orphans", l->left.orphans);
    tool_json_int(json, "messages", messages);
    tool_json_int(json, "duplicates", l->left.duplicates);
    return tool_print_json(json);
}

static int run(struct load *l)
{
    progress_start(&l->progress, l->tool, "reading");
    if (!judge_input(l))
        return TOOL_PROBLEM;
    l->number = 0;
    progress_clear(&l->progress);
    progress_start(&l->progress, l->tool, "loading");
    enum error_code rc = write_input(l);
    progress_clear(&l->progress);
    if (!rc)
        return summary(l);
    if (rc != ERR_CONFLICT)
        log_line(LOG_ERROR, "what was loaded before about line %lld stays", (long long)(l->number - l->chunk_lines));
    return tool_failed("not loaded", rc, &l->err);
}

int command_load(struct tool *tool)
{
    struct load l = {.job = {.apply = apply_chunk}, .tool = tool, .arena = ARENA_INIT, .err = ERROR_INIT};
    int status = open_input(&l) ? run(&l) : TOOL_PROBLEM;

    progress_clear(&l.progress);
    if (l.in)
        fclose(l.in);
    free(l.line);
    mem_free(l.targets);
    buf_free(&l.chunk);
    buf_free(&l.last_key);
    arena_free(&l.arena);
    return status;
}
