#include "clock.h"
#include "maint.h"
#include "ops.h"
#include "storage.h"

static void answer_ok(struct call *call)
{
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, true);
}

/* Once more in this store where there is more to do, then in the other one where there is one. */
static enum error_code go_on(struct call *call, bool more)
{
    struct store *memory = NULL;
    enum error_code rc = ERR_OK;

    if (!more && call->store == call->kvs->file)
        rc = storage_memory(call->kvs, false, &memory);
    call->again = more || memory;
    call->next_store = memory;
    return rc;
}

static enum error_code reset_buckets(struct txn *t)
{
    struct bucket *list = NULL, *b;
    struct db_query *q = db_start(t->db, SQL_BUCKET_LIST, DB_TEXT("", 0));
    enum error_code rc = ERR_OK;

    while (!rc && db_step(q)) {
        b = arena_alloc(&t->arena, sizeof *b);
        rc = b ? bucket_read(q, b, &t->arena) : ERR_NO_MEMORY;
        if (rc)
            break;
        b->next = list;
        list = b;
    }
    enum error_code end = db_end(q);
    for (struct bucket *named = list; !rc && !end && named; named = named->next) {
        rc = txn_bucket(t, named->name, &b, NULL);
        if (!rc)
            rc = bucket_empty(t, b);
    }
    return rc ? rc : end;
}

enum error_code kv_reset(struct call *call, struct txn *t)
{
    enum error_code rc = reset_buckets(t);
    if (!rc)
        rc = db_run_n(t->db, SQL_RESET_MESSAGES, NULL, 0, NULL);
    if (!rc)
        rc = db_run_n(t->db, SQL_RESET_PAYLOADS, NULL, 0, NULL);
    if (!rc)
        rc = db_run_n(t->db, SQL_RESET_DEDUPE, NULL, 0, NULL);
    answer_ok(call);
    json_out_end(&call->json);
    return rc ? rc : go_on(call, false);
}

enum error_code kv_clean_expired(struct call *call, struct txn *t)
{
    bool more;
    enum error_code rc = maint_expire(t, MAINT_STEP, &call->step, &more);
    if (rc)
        return rc;
    answer_ok(call);
    json_out_name(&call->json, "deleted");
    json_out_int(&call->json, call->total + call->step);
    json_out_end(&call->json);
    return go_on(call, more);
}
