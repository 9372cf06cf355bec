#include <string.h>

#include "access.h"
#include "change.h"
#include "clock.h"
#include "cursor.h"
#include "ops.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, SCAN_MAX = 100000, WAIT_MAX = 25000, ANSWER_MAX = 16 << 20 };

struct change_args {
    struct selector selector;
    int64_t since;
    int64_t limit;
    struct cursor_query query; /* history */
};

/* The page under way. */
struct writer {
    struct call *call;
    struct change_page *page;
    int64_t last;
};

static enum error_code write_entry(void *context, struct entry *e)
{
    struct writer *w = context;
    enum error_code rc =
        entry_to_json(&w->call->json, e, ((struct change_args *)w->call->args)->selector.meta_only, &w->call->arena);
    /* Large values: the page ends with this revision. */
    if (w->call->out.len > ANSWER_MAX / 2)
        w->page->limit = 0;
    w->last = e->revision;
    return rc ? rc : buf_ok(&w->call->out) ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code kv_history_parse(struct call *call)
{
    static const char *const names[] = {"key", "filter", "limit", "cursor", "bucket", "metaOnly", NULL};
    struct change_args *a = call_args(call, sizeof *a);
    const unsigned char *place = NULL;
    size_t len = 0;
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    a->limit = LIMIT_DEFAULT;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc && !fields_find(&f, "key") && !fields_find(&f, "filter"))
        rc = fields_missing(&f, "key", "a key (or give filter)");
    if (!rc)
        rc = selector_parse(&f, true, &a->selector);
    if (!rc)
        rc = fields_int(&f, "limit", 1, LIMIT_MAX, &a->limit);
    if (rc)
        return rc;
    cursor_query_init(&a->query, "history");
    cursor_query_add(&a->query, call->bucket, strlen(call->bucket));
    selector_hash(&f, &a->query);
    rc = cursor_parse(&f, &a->query, &place, &len);
    if (!rc && place && len != sizeof a->since)
        rc = fields_bad(&f, "cursor", "one that this very query gave");
    if (!rc && place)
        memcpy(&a->since, place, len);
    return rc;
}

enum error_code kv_history(struct call *call, struct view *view)
{
    const struct change_args *a = call->args;
    struct change_page page = {.limit = a->limit, .scan = SCAN_MAX};
    struct writer w = {call, &page, a->since};

    json_out_object(&call->json);
    json_out_name(&call->json, "entries");
    json_out_array(&call->json);
    enum error_code rc = a->selector.key_count == 1 ? change_read_key(view->db, view->bucket.id, a->since, &a->selector,
                                                                      view->now, &page, write_entry, &w)
                                                    : change_read(view->db, view->bucket.id, a->since, CHANGE_ALL,
                                                                  &a->selector, view->now, &page, write_entry, &w);
    if (rc)
        return rc;
    json_out_end(&call->json);
    json_out_name(&call->json, "cursor");
    if (page.more)
        cursor_to_json(&call->json, &a->query, &page.last, sizeof page.last, &call->arena);
    else
        json_out_null(&call->json);
    json_out_end(&call->json);
    return ERR_OK;
}

enum error_code kv_changes_parse(struct call *call)
{
    static const char *const names[] = {"since", SELECTOR_NAMES, SELECTOR_SHAPE, "limit", "waitMs", "bucket", NULL};
    struct change_args *a = call_args(call, sizeof *a);
    int64_t wait = 0;
    struct fields f;

    if (!a)
        return ERR_NO_MEMORY;
    a->limit = LIMIT_DEFAULT;
    enum error_code rc = call_fields(call, &f, names);
    if (!rc)
        rc = fields_bucket(&f, "bucket", &call->bucket);
    if (!rc)
        rc = fields_int_required(&f, "since", 0, INT64_MAX, &a->since);
    if (!rc)
        rc = selector_parse(&f, true, &a->selector);
    if (!rc)
        rc = fields_int(&f, "limit", 1, LIMIT_MAX, &a->limit);
    if (!rc)
        rc = fields_int(&f, "waitMs", 0, WAIT_MAX, &wait);
    if (!rc && wait)
        call->wait_until = clock_mono() + wait;
    call->wait = (struct wait){.kind = WAIT_CHANGES, .name = call->bucket, .len = strlen(call->bucket)};
    return rc;
}

enum error_code kv_change_allow(struct call *call)
{
    const struct change_args *a = call->args;
    return access_selector(call, &a->selector);
}

static enum error_code too_old(struct call *call, const struct bucket *b)
{
    error_set(&call->err, ERR_COMPACTED, "since",
              "changes up to revision %lld are no longer held: read what is there "
              "now, or start from it",
              (long long)b->compacted);
    call->err.has_revision = true;
    call->err.revision = b->compacted;
    return ERR_COMPACTED;
}

enum error_code kv_changes(struct call *call, struct view *view)
{
    struct change_args *a = call->args;
    int64_t pending = 0, top = view->bucket.revision > a->since ? view->bucket.revision : a->since;
    struct change_page page = {.limit = a->limit, .scan = SCAN_MAX, .last = top};
    struct writer w = {call, &page, a->since};

    if (a->since < view->bucket.compacted)
        return too_old(call, &view->bucket);
    json_out_object(&call->json);
    json_out_name(&call->json, "entries");
    json_out_array(&call->json);
    enum error_code rc =
        change_read(view->db, view->bucket.id, a->since, CHANGE_ALL, &a->selector, view->now, &page, write_entry, &w);
    if (!rc && page.more)
        rc = change_count(view->db, view->bucket.id, page.last, CHANGE_ALL, &a->selector, view->now, &pending);
    if (rc)
        return rc;
    json_out_end(&call->json);
    json_out_name(&call->json, "revision");
    json_out_int(&call->json, page.last);
    json_out_name(&call->json, "pending");
    json_out_int(&call->json, pending);
    json_out_end(&call->json);
    if (page.matched == 0) {
        /* What did not match need not be looked at again after the wait. */
        a->since = page.last;
        call->wait.since = page.last;
        call->empty = pending == 0;
    }
    return ERR_OK;
}
