#include <string.h>

#include "access.h"
#include "cursor.h"
#include "entry.h"
#include "ops.h"
#include "selector.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, SCAN_MAX = 100000 };

struct keys_args {
    struct selector selector;
    struct key from; /* where this page begins */
    int64_t limit;
    struct cursor_query query;
};

static enum error_code resume(struct call *call, struct keys_args *a, const unsigned char *place, size_t len)
{
    a->from = a->selector.from;
    if (!place)
        return ERR_OK;
    unsigned char *next = arena_alloc(&call->arena, len + 1);
    if (!next)
        return ERR_NO_MEMORY;
    memcpy(next, place, len);
    next[len] = 0;
    a->from = (struct key){next, len + 1};
    return ERR_OK;
}

enum error_code kv_keys_parse(struct call *call)
{
    static const char *const names[] = {"filter", "prefix", "limit", "cursor", "bucket", NULL};
    struct keys_args *a = call_args(call, sizeof *a);
    const unsigned char *place = NULL;
    size_t len = 0;
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
        rc = selector_parse(&f, false, &a->selector);
    if (rc)
        return rc;
    cursor_query_init(&a->query, "keys");
    cursor_query_add(&a->query, call->bucket, strlen(call->bucket));
    selector_hash(&f, &a->query);
    rc = cursor_parse(&f, &a->query, &place, &len);
    return rc ? rc : resume(call, a, place, len);
}

enum error_code kv_keys_allow(struct call *call)
{
    const struct keys_args *a = call->args;
    enum error_code rc = access_selector(call, &a->selector);
    return rc ? rc : access_range(call, "cursor", &a->from, &a->selector.to);
}

struct keys_page {
    int64_t count, scanned;
    unsigned char last[KEY_MAX];
    size_t last_len;
    bool more;
};

/* Looks at one row; a page of few matches ends early too, so that no request scans for ever. */
static enum error_code add_key(struct call *call, struct view *view, const struct keys_args *a, struct db_query *q,
                               struct keys_page *page)
{
    struct entry e = {.revision = db_int(q, 1), .op = (enum entry_op)db_int(q, 2), .expires = db_int(q, 3)};

    e.key.data = db_blob(q, 0, &e.key.len);
    if (page->scanned++ >= SCAN_MAX) {
        page->more = true;
        return ERR_OK;
    }
    if (e.op == ENTRY_PUT && selector_matches(&a->selector, &e, view->now)) {
        if (page->count++ == a->limit) {
            page->more = true;
            return ERR_OK;
        }
        if (!key_to_json(&call->json, e.key.data, e.key.len))
            return ERR_CORRUPT;
    }
    memcpy(page->last, e.key.data, e.key.len);
    page->last_len = e.key.len;
    return ERR_OK;
}

enum error_code kv_keys(struct call *call, struct view *view)
{
    const struct keys_args *a = call->args;
    struct keys_page page = {.count = 0};
    enum error_code rc = ERR_OK;
    struct db_query *q = db_start(view->db, SQL_KEY_RANGE, DB_INT(view->bucket.id), DB_BLOB(a->from.data, a->from.len),
                                  DB_BLOB(a->selector.to.data, a->selector.to.len));

    json_out_object(&call->json);
    json_out_name(&call->json, "keys");
    json_out_array(&call->json);
    while (!rc && !page.more && db_step(q))
        rc = add_key(call, view, a, q, &page);
    enum error_code end = db_end(q);
    if (rc || end)
        return rc ? rc : end;
    json_out_end(&call->json);
    json_out_name(&call->json, "cursor");
    if (page.more)
        cursor_to_json(&call->json, &a->query, page.last, page.last_len, &call->arena);
    else
        json_out_null(&call->json);
    json_out_end(&call->json);
    return ERR_OK;
}
