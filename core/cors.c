#include "cors.h"

#include <string.h>

/* allow_origin is "*" or a list of origins between spaces or commas. */
static bool allowed(const char *list, const char *origin)
{
    size_t want = strlen(origin);

    for (const char *p = list; *p;) {
        p += strspn(p, " ,");
        size_t n = strcspn(p, " ,");
        if (n && n == want && memcmp(p, origin, n) == 0)
            return true;
        p += n;
    }
    return false;
}

void cors_headers(const struct config *config, const struct kvs_request *request, struct buf *headers)
{
    const char *list = config->allow_origin, *origin = request->origin;

    if (!list || !list[0])
        return;
    if (strcmp(list, "*") == 0) {
        buf_lit(headers, "Access-Control-Allow-Origin: *\r\n");
    } else {
        buf_lit(headers, "Vary: Origin\r\n");
        if (!origin || !allowed(list, origin))
            return;
        buf_printf(headers, "Access-Control-Allow-Origin: %s\r\n", origin);
    }
    buf_lit(headers, "Access-Control-Expose-Headers: Retry-After, X-Request-Id\r\n");
}

bool cors_preflight(const struct config *config, const struct kvs_request *request)
{
    struct buf headers = BUF_INIT;

    if (!config->allow_origin || !config->allow_origin[0])
        return false;
    cors_headers(config, request, &headers);
    buf_lit(&headers, "Access-Control-Allow-Methods: GET, HEAD, POST\r\n"
                      "Access-Control-Allow-Headers: Authorization, Content-Type, X-KVS-Token, Last-Event-ID\r\n"
                      "Access-Control-Max-Age: 86400\r\n");
    const char *lines = buf_cstr(&headers);
    struct kvs_response response = {.status = lines ? 204 : 503, .headers = lines ? lines : ""};
    request->sink->answer(request->sink, &response);
    buf_free(&headers);
    return true;
}
