/*
 * A whole request: the endpoint in the first line, or with a '?' behind it a GET's query, then the body.  One answer, with a
 * status that the protocol has, in sound JSON; never "internal".
 */
#include "../unit/service.h"

#include "fuzz.h"
#include "json_scan.h"

static struct service service;

static void close_service(void)
{
    service_close(&service);
}

static void check_answer(const struct exchange *x, const char *path)
{
    static const int known[] = {200, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 503, 507};
    static const char *const none[] = {"value", "payload", NULL};
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct json_doc doc;
    bool is_known = false;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known |= x->status == known[i];
    must(is_known && x->calls == 1);
    if (x->status != 200 || (strcmp(path, "/kv/watch") && strcmp(path, "/queue/listen") && strcmp(path, "/metrics")))
        must(json_scan(&doc, x->body, x->body_len, none, &arena, &err) == ERR_OK);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned count;
    char path[64];
    struct exchange x;
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;

    if (!end || (size_t)(end - data) >= sizeof path || memchr(data, 0, (size_t)(end - data)))
        return 0;
    if (!service.kvs) {
        service_prepare(&service);
        service_configure(&service, "maint_interval", "0");
        service_reopen(&service);
        atexit(close_service);
    }
    memcpy(path, data, (size_t)(end - data));
    path[end - data] = '\0';
    char *query = strchr(path, '?');
    char *body = malloc(size);
    must(body);
    size_t len = size - (size_t)(end - data) - 1;
    memcpy(body, end + 1, len);
    body[len] = '\0';
    exchange_init(&x, path, query ? NULL : body);
    x.request.body_len = query ? 0 : len;
    if (query) {
        *query = '\0';
        x.request.query = body;
    }
    kvs_handle(service.kvs, &x.request);
    for (int i = 0; i < 3 && !exchange_is_over(&x); i++)
        kvs_tick(service.kvs, false);
    if (!exchange_is_over(&x)) {
        kvs_cancel(service.kvs, &x.request);
        must(service_pump(&service, &x, 5000));
    } else {
        check_answer(&x, path);
    }
    exchange_free(&x);
    free(body);
    if (++count % 4096 == 0)
        must(post_status(&service, "/kv/reset", "{}") == 200);
    return 0;
}
