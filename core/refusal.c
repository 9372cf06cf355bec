#include "refusal.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "auth.h"
#include "cors.h"
#include "health.h"
#include "utf8.h"

enum { MESSAGE = 800 };

static void answer(const struct config *config, struct kvs_request *request, int status, const struct buf *body)
{
    static const char no_memory[] = "{\"error\":{\"code\":\"busy\",\"message\":\"out of memory\"}}";
    struct buf headers = BUF_INIT;

    status = buf_ok(body) ? status : 503;
    if (config)
        cors_headers(config, request, &headers);
    if (status == 401)
        buf_lit(&headers, "WWW-Authenticate: Bearer\r\n");
    if (status == 503)
        buf_lit(&headers, "Retry-After: 1\r\n");
    if (request->request_id)
        buf_printf(&headers, "X-Request-Id: %s\r\n", request->request_id);
    const char *lines = headers.len ? buf_cstr(&headers) : "";
    const struct kvs_response response = {
        .status = status,
        .content_type = "application/json",
        .headers = lines ? lines : "",
        .body = buf_ok(body) ? body->data : no_memory,
        .body_len = buf_ok(body) ? body->len : sizeof no_memory - 1,
    };
    request->sink->answer(request->sink, &response);
    buf_free(&headers);
}

void refusal_error(const struct config *config, struct kvs_request *request, enum error_code code, const char *message)
{
    struct buf body = BUF_INIT;
    struct json_out json;
    char text[MESSAGE];

    snprintf(text, sizeof text, "%s", message);
    utf8_clean(text, strlen(text)); /* it may name a file */
    json_out_init(&json, &body);
    json_out_object(&json);
    json_out_name(&json, "error");
    json_out_object(&json);
    json_out_name(&json, "code");
    json_out_cstr(&json, error_name(code));
    json_out_name(&json, "message");
    json_out_cstr(&json, text);
    json_out_end(&json);
    json_out_end(&json);
    answer(config, request, error_status(code), &body);
    buf_free(&body);
}

static void answer_health(const struct diagnose *d, const struct diagnose_report *report, bool owner,
                          struct kvs_request *request)
{
    const struct health h = {.mode = d->mode, .report = owner ? report : NULL};
    struct buf body = BUF_INIT;
    struct json_out json;

    json_out_init(&json, &body);
    health_write(&json, &h);
    answer(d->config, request, 503, &body);
    buf_free(&body);
}

/* Copies text, each path that begins with dir without it. */
static void copy_without(char *to, size_t size, const char *text, const char *dir, size_t dir_len)
{
    size_t len = 0;

    while (*text && len + 1 < size) {
        if (dir_len && strncmp(text, dir, dir_len) == 0)
            text += dir_len;
        else
            to[len++] = *text++;
    }
    to[len] = '\0';
}

/* For whoever asks, where there is no token to tell the owner by: what he has to do, but not where his files lie. */
static void tell_anybody(const struct diagnose *d, const struct diagnose_report *report, char *text, size_t size)
{
    const struct diagnose_finding *wrong = diagnose_first(report, DIAGNOSE_WRONG);
    const char *file = d->config->file ? d->config->file : "", *slash = strrchr(file, '/');
    const char *why = d->config_problem ? d->config_problem : wrong ? wrong->message : "no reason was found";
    char what[DIAGNOSE_TEXT];

    copy_without(what, sizeof what, why, file, slash ? (size_t)(slash - file) + 1 : 0);
    snprintf(text, size, "not set up yet: %s (kvs.cgi --check, in a shell, and the web server's error log say more)",
             what);
}

static void tell_owner(const struct diagnose_report *report, const char *problem, char *text, size_t size)
{
    const struct diagnose_finding *wrong = diagnose_first(report, DIAGNOSE_WRONG);
    snprintf(text, size, "%s (GET /health with this token tells all that was checked)",
             wrong ? wrong->message : problem);
}

static bool is_health(const struct kvs_request *request)
{
    return strcmp(request->path, "/health") == 0 && (request->method == METHOD_GET || request->method == METHOD_HEAD);
}

void refusal_answer(const struct diagnose *d, const struct diagnose_report *report, struct kvs_request *request)
{
    const char *problem = d->config_problem ? d->config_problem : d->store_problem;
    struct auth *auth = sodium_init() < 0 ? NULL : auth_new(d->config);
    char text[MESSAGE];
    bool failed;

    if (!auth) {
        refusal_error(d->config, request, ERR_NO_MEMORY, error_text(ERR_NO_MEMORY));
        return;
    }
    const struct grant *grant = auth_check(auth, request, &failed);
    if (request->method == METHOD_OPTIONS && cors_preflight(d->config, request))
        goto out;
    if (is_health(request)) {
        answer_health(d, report, health_is_for(grant), request);
    } else if (!config_has_token(d->config)) {
        tell_anybody(d, report, text, sizeof text);
        refusal_error(d->config, request, ERR_INTERNAL, text);
    } else if (!grant) {
        refusal_error(d->config, request, ERR_UNAUTHORIZED, auth_refusal(failed));
    } else if (!health_is_for(grant)) {
        refusal_error(d->config, request, ERR_INTERNAL, "the server is not set up rightly; its log says more");
    } else {
        tell_owner(report, problem, text, sizeof text);
        refusal_error(d->config, request, ERR_INTERNAL, text);
    }
out:
    auth_free(auth);
}
