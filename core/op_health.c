#include "clock.h"
#include "health.h"
#include "ops.h"

/* Whether the database answers: a connection to it, its state, its format. */
static enum error_code can_read(struct store *store)
{
    struct store_state state;
    struct db *db;
    enum error_code rc = store_reader(store, &db);

    if (rc)
        return rc;
    rc = store_state(db, &state);
    if (!rc && state.version == 0)
        rc = ERR_CORRUPT;
    store_reader_done(store, db, rc != ERR_OK);
    return rc;
}

static void diagnose(const struct call *call, struct diagnose_report *report)
{
    const struct diagnose subject = {
        .config = call->kvs->config,
        .mode = call->kvs->mode,
        .request = call->request,
        .store = call->kvs->file,
    };
    diagnose_run(&subject, report);
}

enum error_code health(struct call *call)
{
    const struct grant *grant = auth_check(call->kvs->auth, call->request, &call->failed_login);
    struct diagnose_report report;
    struct health h = {
        .ok = can_read(call->store) == ERR_OK,
        .uptime = (double)(clock_mono() - call->kvs->started) / 1000.0,
        .mode = call->kvs->mode,
    };

    if (health_is_for(grant)) {
        diagnose(call, &report);
        h.report = &report;
    }
    call->unhealthy = !h.ok;
    call_begin(call);
    health_write(&call->json, &h);
    call_answer_login(call, ERR_OK);
    return ERR_OK;
}
