#include "query.h"

#include <string.h>

#include "json_scan.h"

static const char *const as_json[] = {"key",       "keys",    "prefix",   "since",         "limit",
                                      "heartbeat", "leaseMs", "metaOnly", "ignoreDeletes", NULL};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes n bytes; false where an escape is broken. */
static bool decode(const char *s, size_t n, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i] == '+' ? ' ' : s[i];
        if (c == '%') {
            int high = i + 2 < n ? hex(s[i + 1]) : -1, low = i + 2 < n ? hex(s[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[(*len)++] = c;
    }
    return true;
}

static bool is_json(const char *name, size_t len)
{
    for (size_t i = 0; as_json[i]; i++)
        if (strlen(as_json[i]) == len && memcmp(as_json[i], name, len) == 0)
            return true;
    return false;
}

/* JSON text from the URL must be one value, or it could close the object that it is put into. */
static enum error_code check_json(struct call *call, const char *name, const char *text, size_t len)
{
    static const char *const opaque[] = {NULL};
    struct json_doc doc;
    enum error_code rc = json_scan(&doc, text, len, opaque, &call->arena, &call->err);

    if (rc == ERR_BAD_JSON)
        rc = error_set(&call->err, ERR_BAD_REQUEST, name, "%s must be JSON text, percent-encoded", name);
    return rc;
}

static enum error_code add_pair(struct call *call, struct json_out *out, const char *pair, size_t n)
{
    const char *equals = memchr(pair, '=', n);
    size_t name_n = equals ? (size_t)(equals - pair) : n, name_len, len = 0;
    char *name = arena_alloc(&call->arena, name_n + 1), *text = arena_alloc(&call->arena, n + 1);

    if (!name || !text)
        return ERR_NO_MEMORY;
    bool sound = decode(pair, name_n, name, &name_len);
    if (sound && equals)
        sound = decode(equals + 1, n - name_n - 1, text, &len);
    if (!sound)
        return error_set(&call->err, ERR_BAD_REQUEST, NULL, "the query string has a broken percent escape");
    name[name_len] = '\0';
    json_out_name_str(out, name, name_len);
    if (!is_json(name, name_len)) {
        json_out_str(out, text, len);
        return ERR_OK;
    }
    enum error_code rc = check_json(call, name, text, len);
    if (!rc)
        json_out_raw(out, text, len);
    return rc;
}

enum error_code query_to_body(struct call *call, const char **body, size_t *len)
{
    struct buf text = BUF_INIT;
    struct json_out out;
    enum error_code rc = ERR_OK;

    json_out_init(&out, &text);
    json_out_object(&out);
    for (const char *p = call->request->query; !rc && *p;) {
        size_t n = strcspn(p, "&");
        if (n)
            rc = add_pair(call, &out, p, n);
        p += n + (p[n] == '&');
    }
    if (!rc) {
        json_out_end(&out);
        *body = buf_ok(&text) ? arena_dup(&call->arena, text.data, text.len) : NULL;
        *len = text.len;
        rc = *body ? ERR_OK : ERR_NO_MEMORY;
    }
    buf_free(&text);
    return rc;
}
