#include "kvs.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "clock.h"
#include "cors.h"
#include "dispatch.h"
#include "hub.h"
#include "log.h"
#include "maint.h"
#include "mem.h"
#include "metrics.h"

enum {
    WAL_LIMIT_FCGI = 8 << 20,
    WAL_LIMIT_CGI = 1 << 20, /* whoever opens the file next may have to read all of it */
    MAINT_SLICE_MS = 10,     /* of maintenance at a time, in a tick */
    STOP_WRITES_MS = 2000    /* what a write may still wait for its turn once the service stops */
};

void service_on_commit(void *context)
{
    struct kvs *kvs = context;
    hub_notify(kvs->hub);
}

void service_on_lead(void *context)
{
    const struct kvs *kvs = context;
    if (kvs->hold)
        kvs->hold(kvs->hold_context);
}

void kvs_on_hold(struct kvs *kvs, void (*hold)(void *context), void *context)
{
    kvs->hold = hold;
    kvs->hold_context = context;
}

static enum error_code open_stores(struct kvs *kvs, struct error *err)
{
    const struct config *c = kvs->config;
    struct store_options options = {
        .path = c->db_path,
        .relaxed = c->durability == DURABILITY_RELAXED,
        .busy_timeout = c->busy_timeout,
        .wal_limit = kvs->mode == KVS_CGI ? WAL_LIMIT_CGI : WAL_LIMIT_FCGI,
        .wal_cut = kvs->mode == KVS_CGI,
        .alone = kvs->mode == KVS_CGI,
        .loss = kvs->mode == KVS_INSPECT  ? STORE_TELLS
                : kvs->mode == KVS_ACCEPT ? STORE_ACCEPTS
                                          : STORE_REFUSES,
        .on_commit = service_on_commit,
        .on_lead = service_on_lead,
        .context = kvs,
    };
    return store_open(&kvs->file, &options, err);
}

struct kvs *kvs_open(const struct config *config, enum kvs_mode mode, char *message, size_t message_size)
{
    struct error err = ERROR_INIT;
    struct kvs *kvs = mem_zalloc(1, sizeof *kvs);

    if (sodium_init() < 0 || !kvs) {
        snprintf(message, message_size, "out of memory");
        mem_free(kvs);
        return NULL;
    }
    if (mode != KVS_TOOL && !config_has_token(config)) {
        snprintf(message, message_size, "no access token: set ACCESS_TOKEN, or access_token in kvs.conf");
        mem_free(kvs);
        return NULL;
    }
    db_global_init();
    pthread_mutex_init(&kvs->memory_mutex, NULL);
    kvs->config = config;
    kvs->mode = mode;
    kvs->started = clock_mono();
    kvs->auth = auth_new(config);
    kvs->maint = maint_new(kvs);
    kvs->metrics = metrics_new();
    enum error_code rc = kvs->auth && kvs->maint && kvs->metrics ? ERR_OK : ERR_NO_MEMORY;
    if (!rc)
        rc = hub_new(&kvs->hub, kvs);
    if (!rc)
        rc = open_stores(kvs, &err);
    if (!rc) {
        hub_add_store(kvs->hub, kvs->file);
        return kvs;
    }
    snprintf(message, message_size, "%s", err.message[0] ? err.message : error_text(rc));
    kvs_close(kvs);
    return NULL;
}

void kvs_close(struct kvs *kvs)
{
    if (!kvs)
        return;
    hub_free(kvs->hub);
    call_drain(kvs);
    store_close(kvs->memory);
    store_close(kvs->file);
    pthread_mutex_destroy(&kvs->memory_mutex);
    maint_free(kvs->maint);
    auth_free(kvs->auth);
    metrics_free(kvs->metrics);
    mem_free(kvs);
}

static void answer_no_memory(struct kvs_request *request)
{
    static const char body[] = "{\"error\":{\"code\":\"busy\",\"message\":\"out of memory\"}}";
    struct kvs_response response = {503, "application/json", "Retry-After: 1\r\n", body, sizeof body - 1};
    request->sink->answer(request->sink, &response);
}

void kvs_handle(struct kvs *kvs, struct kvs_request *request)
{
    request->core = NULL;
    if (request->method == METHOD_OPTIONS && cors_preflight(kvs->config, request))
        return;
    struct call *call = call_new(kvs, request);
    if (!call) {
        answer_no_memory(request);
        return;
    }
    enum error_code rc = atomic_load(&kvs->stopping) ? ERR_STOPPING : dispatch_prepare(call);
    if (rc == ERR_UNAUTHORIZED)
        call_answer_login(call, rc);
    else if (rc)
        call_answer(call, rc);
    else
        call_run(call);
}

void kvs_cancel(struct kvs *kvs, struct kvs_request *request)
{
    hub_cancel(kvs->hub, request);
}

int kvs_wake_fd(const struct kvs *kvs)
{
    return hub_fd(kvs->hub);
}

static int at_most_int(int64_t ms)
{
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int until_maintenance(struct kvs *kvs)
{
    int64_t every = kvs->config->maint_interval * 1000, now = clock_mono();

    if (every <= 0)
        return -1;
    if (!kvs->next_maint)
        kvs->next_maint = now + every;
    if (now < kvs->next_maint)
        return at_most_int(kvs->next_maint - now);
    /* Streams wait while this thread is at it. */
    bool over;
    maint_slice(kvs->maint, now + MAINT_SLICE_MS, &over);
    if (over)
        kvs->next_maint = clock_mono() + every;
    return over ? at_most_int(every) : 0;
}

int kvs_tick(struct kvs *kvs, bool own_maintenance)
{
    int due = hub_tick(kvs->hub);

    if (!own_maintenance || atomic_load(&kvs->stopping))
        return due;
    int maint = until_maintenance(kvs);
    return due < 0 || (maint >= 0 && maint < due) ? maint : due;
}

void kvs_stop(struct kvs *kvs)
{
    int64_t until = clock_mono() + STOP_WRITES_MS;

    atomic_store(&kvs->stopping, true);
    pthread_mutex_lock(&kvs->memory_mutex);
    struct store *stores[] = {kvs->file, kvs->memory};
    pthread_mutex_unlock(&kvs->memory_mutex);
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++)
        if (stores[i])
            commit_hurry(store_commit(stores[i]), until);
    hub_stop(kvs->hub);
}
