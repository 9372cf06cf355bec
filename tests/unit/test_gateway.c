/*
 * Meta-variables as web servers really set them, and the response head.
 */
#include <limits.h>

#include "arena.h"
#include "buf.h"
#include "error.h"
#include "gateway.h"
#include "gateway_path.h"
#include "mem.h"
#include "tap.h"

/* An environment: names and values in turn, ended by NULL. */
static const char *lookup(void *context, const char *name)
{
    for (const char *const *p = context; *p; p += 2) {
        if (strcmp(*p, name) == 0)
            return p[1];
    }
    return NULL;
}

#define UNSET NULL

static const struct {
    const char *server; /* and how it is set up */
    const char *uri, *script, *info, *path;
} locations[] = {
    {"lighttpd FastCGI at /kvs", "/kvs/kv/get", "/kvs", "/kv/get", "/kv/get"},
    {"lighttpd FastCGI at /kvs", "/kvs/health?x=1", "/kvs", "/health", "/health"},
    {"lighttpd FastCGI at /, fix-root-scriptname", "/kv/get", "", "/kv/get", "/kv/get"},
    {"lighttpd FastCGI at /, cut at the wrong slash", "/kv/get", "/kv", "/get", "/kv/get"},
    {"lighttpd FastCGI at /, nothing left", "/health", "/health", "", "/health"},
    {"lighttpd FastCGI at /, nothing left", "/openapi.json", "/openapi.json", UNSET, "/openapi.json"},
    {"lighttpd CGI", "/cgi-bin/kvs.cgi/queue/ack", "/cgi-bin/kvs.cgi", "/queue/ack", "/queue/ack"},
    {"Apache mod_cgid", "/cgi-bin/kvs.cgi/lock/acquire", "/cgi-bin/kvs.cgi", "/lock/acquire", "/lock/acquire"},
    {"Apache mod_fcgid, ScriptAlias /kvs", "/kvs/bucket/list", "/kvs", "/bucket/list", "/bucket/list"},
    {"Apache .htaccess rewrite", "/kvs/kv/get", "/cgi-bin/kvs.cgi", "/kv/get", "/kv/get"},
    {"Apache .htaccess rewrite of another name", "/read?k=1", "/cgi-bin/kvs.cgi", "/kv/get", "/kv/get"},
    {"Apache .htaccess rewrite, no such endpoint", "/kvs/x/kv/get", "/cgi-bin/kvs.cgi", "/x/kv/get", "/x/kv/get"},
    {"Apache mod_proxy_fcgi, ProxyPass /kvs/", "/kvs/kv/get", "/kvs/kv/get", UNSET, "/kv/get"},
    {"Apache mod_proxy_fcgi, ProxyPass /", "/kv/watch?since=4", "/kv/watch", UNSET, "/kv/watch"},
    {"Apache SetHandler proxy at /", "/kv/get", "/kv", "/get", "/kv/get"},
    {"Apache SetHandler proxy at /kvs", "/kvs/kv/get", "/kvs", "/kv/get", "/kv/get"},
    {"nginx fastcgi_params at /", "/kv/get", "/kv/get", UNSET, "/kv/get"},
    {"nginx fastcgi_params at /kvs", "/kvs/kv/get", "/kvs/kv/get", UNSET, "/kv/get"},
    {"nginx fastcgi_params at /a/b/c", "/a/b/c/metrics", "/a/b/c/metrics", "", "/metrics"},
    {"nginx, SCRIPT_NAME by hand", "/kvs/kv/get", "/kvs", UNSET, "/kv/get"},
    {"nginx, SCRIPT_NAME by hand with a slash", "/kvs/kv/get", "/kvs/", UNSET, "/kv/get"},
    {"nginx, split path info", "/kvs/kv/get", "/kvs", "/kv/get", "/kv/get"},
    {"nginx, PATH_INFO $uri at /kvs", "/kvs/kv/get", "/kvs/kv/get", "/kvs/kv/get", "/kv/get"},
    {"nginx, REQUEST_URI alone", "/any/where/queue/stats", UNSET, UNSET, "/queue/stats"},
    {"Caddy at /", "/kv/get", "", "/kv/get", "/kv/get"},
    {"Caddy, handle_path /kvs/*", "/kvs/kv/get", "", "/kv/get", "/kv/get"},
    {"IIS, PATH_INFO is the whole", "/kvs.cgi/kv/get", "/kvs.cgi", "/kvs.cgi/kv/get", "/kv/get"},
    {"busybox httpd", "/cgi-bin/kvs.cgi/health", "/cgi-bin/kvs.cgi", "/health", "/health"},
    {"a server without REQUEST_URI", UNSET, "/cgi-bin/kvs.cgi", "/kv/get", "/kv/get"},
    {"a server without REQUEST_URI, cut wrongly", UNSET, "/kv", "/get", "/kv/get"},
    {"a server with SCRIPT_NAME alone", UNSET, "/kvs/kv/get", UNSET, "/kv/get"},
    {"a request as proxies get it", "http://example.org/kvs/kv/get?a=/b", UNSET, UNSET, "/kv/get"},
    {"a request as proxies get it, no path", "http://example.org", UNSET, UNSET, "/"},
    {"the mount point is a group's name", "/kv/kv/get", "/kv", "/kv/get", "/kv/get"},
    {"the mount point is a group's name", "/kv/health", "/kv", "/health", "/health"},
    {"the mount point is a group's name, unknown to us", "/kv/health", "/kv/health", UNSET, "/health"},

    {"percent-encoded", "/kvs/%6bv/g%65t", "/kvs", "/kv/get", "/kv/get"},
    {"percent-encoded, PATH_INFO unset", "/kvs/%6bv/g%65t", UNSET, UNSET, "/kv/get"},
    {"percent-encoded, lower and upper case", "/%6B%76/%67et", UNSET, UNSET, "/kv/get"},
    {"percent-encoded slash", "/kvs%2Fkv%2fget", UNSET, UNSET, "/kv/get"},
    {"percent-encoded mount point", "/k%20s/kv/get", "/k s", UNSET, "/kv/get"},
    {"percent-encoded mount point", "/k%20s/nope", "/k s", "/nope", "/nope"},
    {"encoded once, not twice", "/kvs/kv/g%2565t", "/kvs", "/kv/g%65t", "/kv/g%65t"},
    {"merged slashes", "//kvs///kv//get", "/kvs", "/kv/get", "/kv/get"},
    {"merged slashes, PATH_INFO as it came", "/kvs//kv//get", "/kvs", "//kv//get", "/kv/get"},
    {"merged slashes, PATH_INFO unset", "//kv//get", UNSET, UNSET, "/kv/get"},
    {"PATH_INFO without its slash", "/kvs/kv/get", "/kvs", "kv/get", "/kv/get"},

    {"trailing slash", "/kvs/kv/get/", "/kvs", "/kv/get/", "/kv/get/"},
    {"trailing slash, PATH_INFO unset", "/kvs/kv/get/", "/kvs", UNSET, "/kv/get/"},
    {"trailing slash, nothing to go by", "/kvs/kv/get/", "/kvs/kv/get/", UNSET, "/"},
    {"trailing slash of a word", "/health/", "", "/health/", "/health/"},
    {"below the endpoint", "/kvs/kv/get/x", "/kvs", "/kv/get/x", "/kv/get/x"},
    {"above the endpoint", "/x/kv/get", "", "/x/kv/get", "/x/kv/get"},
    {"above the endpoint", "/kvs/x/kv/get", "/kvs", "/x/kv/get", "/x/kv/get"},
    {"no such endpoint", "/kvs/nope", "/kvs", "/nope", "/nope"},
    {"no such endpoint, PATH_INFO unset", "/kvs/nope", "/kvs/nope", UNSET, "/kvs/nope"},
    {"the mount point itself", "/kvs", "/kvs", UNSET, "/kvs"},
    {"the mount point's slash", "/kvs/", "/kvs", "/", "/"},
    {"the root", "/", "", "/", "/"},
    {"a group alone", "/kv/", UNSET, UNSET, "/kv/"},
    {"longer than a word", "/healthy", UNSET, UNSET, "/healthy"},
    {"dots", "/kv/../get", UNSET, UNSET, "/kv/../get"},
    {"nothing set", UNSET, UNSET, UNSET, "/"},
    {"all empty", "", "", "", "/"},
    {"a bad escape", "/kvs/kv/get%zz", UNSET, UNSET, "/%"},
    {"an escape cut off", "/kvs/kv/get%4", UNSET, UNSET, "/%"},
    {"a lone percent", "/kvs/kv/get%", UNSET, UNSET, "/%"},
    {"an encoded NUL", "/kv/get%00", UNSET, UNSET, "/%"},
    {"an encoded NUL in front", "/%00/kv/get", "/", UNSET, "/%"},
    {"a bad escape, but PATH_INFO", "/kvs/%zz", "/kvs", "/kv/get", "/kv/get"},
    {"a star", "*", UNSET, UNSET, "/*"},
};

static void test_locations(void)
{
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++) {
        const char *environment[] = {"REQUEST_URI", locations[i].uri,  "SCRIPT_NAME", locations[i].script,
                                     "PATH_INFO",   locations[i].info, NULL};
        struct kvs_request request;
        ok(gateway_request(&request, lookup, environment, &arena), "%s: is read", locations[i].server);
        is_str(request.path, locations[i].path, "%s: %s", locations[i].server,
               locations[i].uri ? locations[i].uri : "(no REQUEST_URI)");
        arena_reset(&arena);
    }
    const char *nginx[] = {"DOCUMENT_URI", "/kvs//kv/get", "SCRIPT_NAME", "/kvs/kv/get", NULL};
    struct kvs_request request;
    gateway_request(&request, lookup, nginx, &arena);
    is_str(request.path, "/kv/get", "DOCUMENT_URI stands in for REQUEST_URI");
    arena_free(&arena);
}

static void test_headers(void)
{
    struct arena arena = ARENA_INIT;
    struct kvs_request r;
    const char *full[] = {"REQUEST_METHOD",
                          "POST",
                          "QUERY_STRING",
                          "a=1&b=%20",
                          "HTTP_AUTHORIZATION",
                          "Bearer x",
                          "HTTP_X_KVS_TOKEN",
                          "y",
                          "CONTENT_TYPE",
                          "application/json",
                          "HTTP_ACCEPT",
                          "text/event-stream",
                          "HTTP_ORIGIN",
                          "https://example.org",
                          "HTTP_LAST_EVENT_ID",
                          "42",
                          "HTTP_X_REQUEST_ID",
                          "id-1",
                          "UNIQUE_ID",
                          "id-2",
                          "REQUEST_URI",
                          "/kv/get?c=2",
                          NULL};
    gateway_request(&r, lookup, full, &arena);
    is_int(r.method, METHOD_POST, "method");
    is_str(r.query, "a=1&b=%20", "query, as it came");
    is_str(r.authorization, "Bearer x", "authorization");
    is_str(r.token, "y", "token");
    is_str(r.content_type, "application/json", "content type");
    is_str(r.accept, "text/event-stream", "accept");
    is_str(r.origin, "https://example.org", "origin");
    is_str(r.last_event_id, "42", "last event id");
    is_str(r.request_id, "id-1", "request id");
    ok(!r.core, "the core's pointer is cleared");

    const char *empty[] = {"REQUEST_METHOD",
                           "",
                           "QUERY_STRING",
                           "",
                           "HTTP_AUTHORIZATION",
                           "",
                           "HTTP_X_KVS_TOKEN",
                           "",
                           "CONTENT_TYPE",
                           "",
                           "HTTP_ACCEPT",
                           "",
                           "HTTP_ORIGIN",
                           "",
                           "HTTP_LAST_EVENT_ID",
                           "",
                           "HTTP_X_REQUEST_ID",
                           "",
                           NULL};
    gateway_request(&r, lookup, empty, &arena);
    is_int(r.method, METHOD_OTHER, "an empty method is none that is known");
    is_str(r.query, "", "an empty query");
    ok(!r.authorization && !r.token && !r.content_type && !r.accept && !r.origin && !r.last_event_id && !r.request_id,
       "empty variables are absent headers");
    arena_free(&arena);
}

static void test_authorization(void)
{
    static const char *const names[] = {"HTTP_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION",
                                        "REDIRECT_REDIRECT_HTTP_AUTHORIZATION"};
    struct arena arena = ARENA_INIT;
    struct kvs_request r;
    for (size_t i = 0; i < 3; i++) {
        const char *environment[] = {"HTTP_AUTHORIZATION", "", names[i], "Bearer z", NULL};
        gateway_request(&r, lookup, i ? environment : environment + 2, &arena);
        is_str(r.authorization, "Bearer z", "authorization from %s", names[i]);
    }
    const char *both[] = {"REDIRECT_HTTP_AUTHORIZATION", "Bearer old", "HTTP_AUTHORIZATION", "Bearer new", NULL};
    gateway_request(&r, lookup, both, &arena);
    is_str(r.authorization, "Bearer new", "the header itself wins");
    arena_free(&arena);
}

static void test_methods(void)
{
    static const struct {
        const char *name;
        enum kvs_method method;
    } rows[] = {{"GET", METHOD_GET},      {"HEAD", METHOD_HEAD}, {"POST", METHOD_POST},  {"OPTIONS", METHOD_OPTIONS},
                {"DELETE", METHOD_OTHER}, {"get", METHOD_OTHER}, {"GETX", METHOD_OTHER}, {NULL, METHOD_OTHER}};
    struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *environment[] = {"REQUEST_METHOD", rows[i].name, NULL};
        struct kvs_request r;
        gateway_request(&r, lookup, environment, &arena);
        is_int(r.method, rows[i].method, "method %s", rows[i].name ? rows[i].name : "(none)");
    }
    arena_free(&arena);
}

static void test_query_and_id(void)
{
    struct arena arena = ARENA_INIT;
    struct kvs_request r;
    char id[130];
    memset(id, 'a', 129);
    id[129] = 0;
    const char *lost[] = {"REQUEST_URI", "/kv/watch?key=[1]", NULL};
    gateway_request(&r, lookup, lost, &arena);
    is_str(r.query, "key=[1]", "a lost query is in REQUEST_URI");
    const char *none[] = {"REQUEST_URI", "/kv/watch", NULL};
    gateway_request(&r, lookup, none, &arena);
    is_str(r.query, "", "no query is an empty one");
    const char *bad[] = {"HTTP_X_REQUEST_ID", "a b", "UNIQUE_ID", "x\ny", "REQUEST_ID", "good", NULL};
    gateway_request(&r, lookup, bad, &arena);
    is_str(r.request_id, "good", "an id that is not visible ASCII is passed over");
    const char *big[] = {"HTTP_X_REQUEST_ID", id, NULL};
    gateway_request(&r, lookup, big, &arena);
    ok(!r.request_id, "an id that is too long too");
    big[1] = id + 1;
    gateway_request(&r, lookup, big, &arena);
    is_str(r.request_id, id + 1, "the longest id is taken");
    arena_free(&arena);
}

static void test_content_length(void)
{
    static const struct {
        const char *text;
        long long want;
    } rows[] = {{NULL, -1},
                {"", -1},
                {"0", 0},
                {"12", 12},
                {"16777216", 16777216},
                {"-1", -2},
                {"x", -2},
                {"1x", -2},
                {" 1", -2},
                {"+1", -2},
                {"1.0", -2},
                {"007", 7},
                {"9223372036854775807", LLONG_MAX},
                {"9223372036854775808", LLONG_MAX},
                {"99999999999999999999999999", LLONG_MAX},
                {"99999999999999999999999999x", -2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *environment[] = {"CONTENT_LENGTH", rows[i].text, NULL};
        is_int(gateway_content_length(lookup, environment), rows[i].want, "CONTENT_LENGTH %s",
               rows[i].text ? rows[i].text : "(none)");
    }
}

static void check_head(const struct kvs_response *response, bool whole, const char *want, const char *name)
{
    struct buf out = BUF_INIT;
    gateway_head(&out, response, whole);
    is_str(buf_cstr(&out), want, "%s", name);
    buf_free(&out);
}

static void test_head(void)
{
    check_head(
        &(struct kvs_response){200, "application/json", "", "{}", 2}, true,
        "Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\r\n",
        "a whole answer");
    check_head(&(struct kvs_response){401, "application/json", "WWW-Authenticate: Bearer\r\n", NULL, 0}, true,
               "Status: 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"
               "WWW-Authenticate: Bearer\r\nCache-Control: no-store\r\n\r\n",
               "an answer with headers");
    check_head(&(struct kvs_response){200, "text/event-stream", "X-Accel-Buffering: no\r\n", NULL, 0}, false,
               "Status: 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"
               "Cache-Control: no-store\r\n\r\n",
               "a stream");
    check_head(&(struct kvs_response){204, NULL, NULL, NULL, 0}, true,
               "Status: 204 No Content\r\nCache-Control: no-store\r\n\r\n", "an answer without a body");
    check_head(&(struct kvs_response){599, NULL, "", NULL, 0}, false,
               "Status: 599 Unknown\r\nCache-Control: no-store\r\n\r\n", "a status without a phrase");
}

/* Every status of the table of errors has its phrase. */
static void test_phrases(void)
{
    static const int statuses[] = {
#define STATUS(e, status, name, text) status,
        ERROR_MAP(STATUS)
#undef STATUS
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct buf out = BUF_INIT;
        gateway_head(&out, &(struct kvs_response){.status = statuses[i]}, false);
        ok(!strstr(buf_cstr(&out), "Unknown"), "status %d has a phrase", statuses[i]);
        buf_free(&out);
    }
}

static void test_no_memory(void)
{
    static const char *const uris[] = {"/kvs/kv/get", "/kv/get"};
    for (size_t i = 0; i < 2; i++) {
        const char *environment[] = {"REQUEST_URI", uris[i], "SCRIPT_NAME", "/kv", "PATH_INFO", "/get", NULL};
        struct arena arena = ARENA_INIT;
        struct kvs_request r;
        mem_fail_after(0, 1);
        bool good = gateway_request(&r, lookup, environment, &arena);
        mem_fail_after(-1, 0);
        ok(!good, "out of memory is told (%s)", uris[i]);
        arena_free(&arena);
    }
}

/* Paths of any bytes: nothing is read out of bounds, the result keeps its promises. */
static void test_random_paths(void)
{
    static const char letters[] = "/%kvget2FfQ?.\x80";
    struct arena arena = ARENA_INIT;
    unsigned seed = 1, wrong = 0;
    for (int round = 0; round < 20000; round++) {
        char text[3][20];
        for (int k = 0; k < 3; k++) {
            size_t n = 0;
            for (; n < sizeof text[k] - 1; n++) {
                seed = seed * 1664525 + 1013904223;
                text[k][n] = letters[(seed >> 16) % sizeof letters]; /* the NUL too */
                if (!text[k][n])
                    break;
            }
            text[k][n] = 0;
        }
        struct gateway_location location = {text[0], NULL, text[1], text[2]};
        const char *path = gateway_path(&location, &arena);
        wrong += !path || path[0] != '/' || strstr(path, "//");
        arena_reset(&arena);
    }
    is_int(wrong, 0, "whatever is set, a path begins with a slash and has no two in a row");
    arena_free(&arena);
}

int main(void)
{
    test_locations();
    test_headers();
    test_authorization();
    test_methods();
    test_query_and_id();
    test_content_length();
    test_head();
    test_phrases();
    test_no_memory();
    test_random_paths();
    return done_testing();
}
