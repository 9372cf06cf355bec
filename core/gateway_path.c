#include "gateway_path.h"

#include <stdbool.h>
#include <string.h>

/* What no operation has, for URLs that are malformed. */
#define NOWHERE "/%"

/* Endpoints are one of these words, or one of the groups with one segment behind it. */
static const char *const words[] = {"health", "metrics", "openapi.json"};
static const char *const groups[] = {"kv", "queue", "bucket", "lock"};

static bool is_one_of(const char *s, size_t n, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i]) == n && memcmp(s, list[i], n) == 0)
            return true;
    }
    return false;
}

/* Where the last segment's slash is, before `end`; NULL where there is none. */
static const char *last_slash(const char *path, const char *end)
{
    while (end > path) {
        if (*--end == '/')
            return end;
    }
    return NULL;
}

/* The endpoint that the path ends in, or NULL. */
static const char *endpoint_in(const char *path)
{
    const char *end = path + strlen(path);
    const char *last = last_slash(path, end);
    if (!last || last + 1 == end)
        return NULL;
    if (is_one_of(last + 1, (size_t)(end - last - 1), words, sizeof words / sizeof *words))
        return last;
    const char *group = last_slash(path, last);
    if (group && is_one_of(group + 1, (size_t)(last - group - 1), groups, sizeof groups / sizeof *groups))
        return group;
    return NULL;
}

static bool is_endpoint(const char *path)
{
    return endpoint_in(path) == path;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* n bytes of a path, in the arena, with a slash in front and repeated slashes merged. */
static char *merge_slashes(const char *s, size_t n, struct arena *arena)
{
    char *path = arena_alloc(arena, n + 2);
    if (!path)
        return NULL;
    char *out = path;
    *out++ = '/';
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '/' || out[-1] != '/')
            *out++ = s[i];
    }
    *out = 0;
    return path;
}

/* Decodes n bytes in place and returns how many are left; n + 1 where an escape is malformed or a NUL. */
static size_t decode_percent(char *s, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
            int low = i + 2 < n ? hex_digit(s[i + 2]) : -1;
            c = (char)(high * 16 + low);
            if (high < 0 || low < 0 || c == 0)
                return n + 1;
            i += 2;
        }
        s[len++] = c;
    }
    return len;
}

/* The decoded path of a raw request URI; NOWHERE where it is malformed, NULL out of memory. */
static const char *uri_path(const char *uri, struct arena *arena)
{
    const char *scheme = *uri == '/' ? NULL : strstr(uri, "://");
    if (scheme) /* as clients write it to proxies: http://host/path */
        uri = scheme + 3 + strcspn(scheme + 3, "/?#");
    size_t n = strcspn(uri, "?#");
    char *decoded = arena_dup(arena, uri, n);
    if (!decoded)
        return NULL;
    size_t len = decode_percent(decoded, n);
    return len > n ? NOWHERE : merge_slashes(decoded, len, arena);
}

/* What follows prefix in path, from its slash on; NULL where path does not begin so or nothing follows. */
static const char *behind(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(path, prefix, n) != 0 || path[n] != '/')
        return NULL;
    return path + n;
}

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && strcmp(path + n - m, end) == 0;
}

/* The variables, merged, decoded and without NULLs; script has no slash at its end ("" for the root). */
struct parts {
    const char *url; /* NULL where the server does not tell */
    const char *script;
    const char *info; /* "/" where there is none */
    bool has_info;
};

static bool take_parts(struct parts *p, const struct gateway_location *l, struct arena *arena)
{
    const char *script = l->script_name ? l->script_name : "";
    const char *info = l->path_info ? l->path_info : "";
    char *merged = merge_slashes(script, strlen(script), arena);
    p->info = merge_slashes(info, strlen(info), arena);
    p->has_info = *info;
    if (!merged || !p->info)
        return false;
    size_t n = strlen(merged);
    if (merged[n - 1] == '/')
        merged[n - 1] = 0;
    p->script = merged;
    if (l->request_uri)
        p->url = uri_path(l->request_uri, arena);
    else if (l->document_uri)
        p->url = merge_slashes(l->document_uri, strlen(l->document_uri), arena);
    return p->url || (!l->request_uri && !l->document_uri);
}

/* script and rest are what a server made of one path: rest, unless the cut is inside the endpoint. */
static const char *mend_cut(const char *script, const char *rest, struct arena *arena)
{
    if (is_endpoint(rest))
        return rest;
    size_t n = strlen(script), m = strlen(rest);
    const char *slash = last_slash(script, script + n);
    if (!slash)
        return rest;
    char *joined = arena_alloc(arena, n + m + 1);
    if (!joined)
        return NULL;
    memcpy(joined, script, n);
    memcpy(joined + n, rest, m + 1);
    const char *endpoint = endpoint_in(joined);
    return endpoint == joined + (slash - script) ? endpoint : rest;
}

const char *gateway_path(const struct gateway_location *location, struct arena *arena)
{
    struct parts p = {0};
    if (!take_parts(&p, location, arena))
        return NULL;
    const char *url = p.url ? p.url : p.script;
    if (p.has_info) {
        const char *rest = behind(url, p.script);
        if (is_endpoint(p.info) || !p.url || (rest && strcmp(rest, p.info) == 0))
            return mend_cut(p.script, p.info, arena);
        if (ends_in(url, p.info))
            return p.info;
    }
    const char *rest = *p.script ? behind(url, p.script) : NULL;
    if (rest)
        return mend_cut(p.script, rest, arena);
    const char *endpoint = endpoint_in(url);
    if (endpoint)
        return endpoint;
    return *url ? url : "/";
}
