#include <string.h>

#include "access.h"
#include "cursor.h"
#include "entry.h"
#include "ops.h"

/* SCAN_MAX: rows looked at for one page, those that are no more included. */
enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, SCAN_MAX = 20000, ANSWER_MAX = 16 << 20, CURSOR_ROOM = 4096 };

struct list_args {
    struct key from; /* inclusive */
    struct key to;   /* exclusive */
    bool reverse;
    int64_t limit;
    struct cursor_query query;
    const unsigned char *place; /* the last key of the page before; NULL on the first */
    size_t place_len;
};

static int key_compare(const struct key *a, const struct key *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int order = n ? memcmp(a->data, b->data, n) : 0;
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* prefix, start and end combine to one range [from, to). */
static enum error_code parse_range(struct call *call, const struct fields *f, struct list_args *a)
{
    struct key prefix, start, end;
    enum error_code rc = fields_key_optional(f, "prefix", 0, &prefix);
    if (!rc)
        rc = fields_key_optional(f, "start", 0, &start);
    if (!rc)
        rc = fields_key_optional(f, "end", 0, &end);
    if (!rc)
        rc = key_below(&prefix, &call->arena, &a->from, &a->to);
    if (rc)
        return rc;
    cursor_query_init(&a->query, "list");
    cursor_query_add(&a->query, call->bucket, strlen(call->bucket));
    cursor_query_add(&a->query, prefix.data, prefix.len);
    cursor_query_add(&a->query, start.data ? "s" : "", start.data != NULL);
    cursor_query_add(&a->query, start.data, start.len);
    cursor_query_add(&a->query, end.data ? "e" : "", end.data != NULL);
    cursor_query_add(&a->query, end.data, end.len);
    if (start.data && key_compare(&start, &a->from) > 0)
        a->from = start;
    if (end.data && key_compare(&end, &a->to) < 0)
        a->to = end;
    return ERR_OK;
}

/* Goes on behind the last key given: in order from its successor, in reverse below it. */
static enum error_code resume(struct call *call, struct list_args *a)
{
    if (!a->place)
        return ERR_OK;
    if (a->reverse) {
        a->to = (struct key){a->place, a->place_len};
        return ERR_OK;
    }
    unsigned char *next = arena_alloc(&call->arena, a->place_len + 1);
    if (!next)
        return ERR_NO_MEMORY;
    memcpy(next, a->place, a->place_len);
    next[a->place_len] = 0;
    a->from = (struct key){next, a->place_len + 1};
    return ERR_OK;
}

enum error_code kv_list_parse(struct call *call)
{
    static const char *const names[] = {"prefix", "start", "end", "limit", "cursor", "reverse", "bucket", NULL};
    struct list_args *a = call_args(call, sizeof *a);
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    a->limit = LIMIT_DEFAULT;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = fields_int(&f, "limit", 1, LIMIT_MAX, &a->limit);
    if (!rc)
        rc = fields_bool(&f, "reverse", &a->reverse);
    if (!rc)
        rc = parse_range(call, &f, a);
    if (rc)
        return rc;
    cursor_query_add(&a->query, a->reverse ? "r" : "", a->reverse);
    rc = cursor_parse(&f, &a->query, &a->place, &a->place_len);
    return rc ? rc : resume(call, a);
}

enum error_code kv_list_allow(struct call *call)
{
    const struct list_args *a = call->args;
    return access_range(call, "prefix", &a->from, &a->to);
}

/* Writes one live entry; takes it back, with *full, where the answer would get too large. */
static enum error_code add_entry(struct call *call, struct entry *e, bool first, bool *full)
{
    size_t before = call->out.len;
    bool was_first = call->json.first;
    enum error_code rc = entry_to_json(&call->json, e, false, &call->arena);

    if (rc || call->out.len + CURSOR_ROOM <= ANSWER_MAX || first)
        return rc;
    call->out.len = before;
    call->json.first = was_first;
    *full = true;
    return ERR_OK;
}

struct page {
    int64_t count, scanned;
    unsigned char last[KEY_MAX]; /* looked at: where the next page goes on */
    size_t last_len;
    bool more;
};

/* Looks at one row; a page of few live ones ends early too, so that no request scans for ever. */
static enum error_code add_row(struct call *call, struct view *view, const struct list_args *a, struct db_query *q,
                               struct page *page)
{
    struct entry e;
    enum error_code rc = entry_read(q, 0, view->bucket.id, &e);
    bool live = !rc && entry_is_live(&e, view->now);

    if (rc)
        return rc;
    page->more = page->scanned++ == SCAN_MAX || (live && page->count == a->limit);
    if (live && !page->more)
        rc = add_entry(call, &e, page->count == 0, &page->more);
    if (rc || page->more)
        return rc;
    page->count += live;
    memcpy(page->last, e.key.data, e.key.len);
    page->last_len = e.key.len;
    return ERR_OK;
}

static enum error_code read_page(struct call *call, struct view *view, const struct list_args *a, struct page *page)
{
    struct db_query *q =
        db_start(view->db, a->reverse ? SQL_ENTRY_RANGE_DOWN : SQL_ENTRY_RANGE, DB_INT(view->bucket.id),
                 DB_BLOB(a->from.data, a->from.len), DB_BLOB(a->to.data, a->to.len));
    enum error_code rc = ERR_OK;

    while (!rc && !page->more && db_step(q))
        rc = add_row(call, view, a, q, page);
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code kv_list(struct call *call, struct view *view)
{
    const struct list_args *a = call->args;
    struct page page = {.count = 0};
    enum error_code rc = ERR_OK;

    json_out_object(&call->json);
    json_out_name(&call->json, "entries");
    json_out_array(&call->json);
    if (key_compare(&a->from, &a->to) < 0)
        rc = read_page(call, view, a, &page);
    if (rc)
        return rc;
    json_out_end(&call->json);
    json_out_name(&call->json, "cursor");
    if (page.more)
        cursor_to_json(&call->json, &a->query, page.last, page.last_len, &call->arena);
    else
        json_out_null(&call->json);
    json_out_end(&call->json);
    return ERR_OK;
}
