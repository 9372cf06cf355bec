#include "gateway.h"

#include <limits.h>
#include <string.h>

#include "gateway_path.h"

enum { REQUEST_ID_MAX = 128 };

/* The variable, or NULL where it is unset or empty: servers pass absent headers either way. */
static const char *variable(gateway_get get, void *context, const char *name)
{
    const char *value = get(context, name);
    return value && *value ? value : NULL;
}

/* The first of the NULL-terminated names that is set, and in *name which one. */
static const char *first_of(gateway_get get, void *context, const char *const *names, const char **name)
{
    for (; *names; names++) {
        const char *value = variable(get, context, *names);
        *name = value ? *names : NULL;
        if (value)
            return value;
    }
    return NULL;
}

static enum kvs_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum kvs_method method;
    } methods[] = {{"GET", METHOD_GET}, {"HEAD", METHOD_HEAD}, {"POST", METHOD_POST}, {"OPTIONS", METHOD_OPTIONS}};
    for (size_t i = 0; name && i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(name, methods[i].name) == 0)
            return methods[i].method;
    }
    return METHOD_OTHER;
}

/* Rewriting and error documents can lose QUERY_STRING; REQUEST_URI still has it. */
static const char *query_of(gateway_get get, void *context)
{
    const char *query = variable(get, context, "QUERY_STRING");
    const char *uri = variable(get, context, "REQUEST_URI");
    const char *mark = uri && !query ? strchr(uri, '?') : NULL;
    if (mark)
        query = mark + 1;
    return query ? query : "";
}

/* An id goes into logs and answers, so only a short run of visible ASCII is one. */
static bool is_request_id(const char *id)
{
    size_t len = 0;
    for (; id[len]; len++) {
        if (id[len] <= ' ' || id[len] > '~' || len == REQUEST_ID_MAX)
            return false;
    }
    return len > 0;
}

static const char *request_id_of(gateway_get get, void *context)
{
    static const char *const names[] = {"HTTP_X_REQUEST_ID", "UNIQUE_ID", "REDIRECT_UNIQUE_ID", "REQUEST_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *id = variable(get, context, names[i]);
        if (id && is_request_id(id))
            return id;
    }
    return NULL;
}

bool gateway_request(struct kvs_request *request, gateway_get get, void *context, struct arena *arena)
{
    /* Apache prefixes what a rewritten request had with REDIRECT_, once a rewrite. */
    static const char *const authorization[] = {"HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION",
                                                "REDIRECT_REDIRECT_HTTP_AUTHORIZATION", NULL};
    const struct gateway_location location = {
        .request_uri = variable(get, context, "REQUEST_URI"),
        .document_uri = variable(get, context, "DOCUMENT_URI"),
        .script_name = get(context, "SCRIPT_NAME"),
        .path_info = variable(get, context, "PATH_INFO"),
    };
    request->method = method_of(variable(get, context, "REQUEST_METHOD"));
    request->path = gateway_path(&location, arena);
    request->query = query_of(get, context);
    request->authorization = first_of(get, context, authorization, &request->authorization_name);
    request->token = variable(get, context, "HTTP_X_KVS_TOKEN");
    request->content_type = variable(get, context, "CONTENT_TYPE");
    request->accept = variable(get, context, "HTTP_ACCEPT");
    request->origin = variable(get, context, "HTTP_ORIGIN");
    request->last_event_id = variable(get, context, "HTTP_LAST_EVENT_ID");
    request->request_id = request_id_of(get, context);
    request->core = NULL;
    return request->path != NULL;
}

long long gateway_content_length(gateway_get get, void *context)
{
    const char *text = variable(get, context, "CONTENT_LENGTH");
    long long n = 0;
    if (!text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -2;
        int digit = *text - '0';
        /* Beyond any limit is all that such a length says. */
        n = n > (LLONG_MAX - digit) / 10 ? LLONG_MAX : n * 10 + digit;
    }
    return n;
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

void gateway_head(struct buf *out, const struct kvs_response *response, bool whole)
{
    buf_lit(out, "Status: ");
    buf_int(out, response->status);
    buf_byte(out, ' ');
    buf_str(out, reason_of(response->status));
    buf_lit(out, "\r\n");
    if (response->content_type) {
        buf_lit(out, "Content-Type: ");
        buf_str(out, response->content_type);
        buf_lit(out, "\r\n");
    }
    /* RFC 9110 8.6: these have no body and so no length. */
    if (whole && response->status != 204 && response->status != 304) {
        buf_lit(out, "Content-Length: ");
        buf_int(out, (long long)response->body_len);
        buf_lit(out, "\r\n");
    }
    if (response->headers)
        buf_str(out, response->headers);
    buf_lit(out, "Cache-Control: no-store\r\n\r\n");
}
