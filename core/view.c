#include "view.h"

#include "clock.h"
#include "dispatch.h"

static enum error_code begin(struct call *call, struct view *view)
{
    enum error_code rc = db_read_begin(view->db);
    if (!rc)
        rc = bucket_find(view->db, call->bucket, false, &view->bucket, &call->arena, &call->err);
    if (!rc && view->bucket.time > view->now)
        view->now = view->bucket.time;
    return rc;
}

enum error_code view_open(struct call *call, struct view *view)
{
    view->now = clock_now();
    enum error_code rc = store_reader(call->store, &view->db);
    if (rc || !(call->op->flags & OP_SNAPSHOT))
        return rc;
    rc = begin(call, view);
    if (rc)
        view_close(call, view, rc);
    return rc;
}

void view_close(struct call *call, struct view *view, enum error_code rc)
{
    if (call->op->flags & OP_SNAPSHOT)
        db_read_end(view->db);
    store_reader_done(call->store, view->db, rc == ERR_INTERNAL || rc == ERR_CORRUPT);
}
