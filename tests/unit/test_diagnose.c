/*
 * What is told of a set-up that is wrong, and to whom: checks that no file system can arrange, and the answers of a program
 * that cannot serve.
 */
#include <sodium.h>
#include <sys/resource.h>

#include "diagnose.h"
#include "mem.h"
#include "refusal.h"
#include "service.h"
#include "store.h"
#include "token.h"
#include "utf8.h"

#define READER "kvs_reader"

static const int64_t noon = INT64_C(1900000000000);

static const struct diagnose_finding *find(const struct diagnose_report *report, const char *name)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->findings[i].name, name) == 0)
            return &report->findings[i];
    printf("Bail out! there is no check %s\n", name);
    exit(1);
}

static void is_finding(const struct diagnose *d, const char *name, enum diagnose_verdict verdict, const char *words)
{
    struct diagnose_report report;
    diagnose_run(d, &report);
    const struct diagnose_finding *f = find(&report, name);
    ok(f->verdict == verdict && strstr(f->message, words), "%s is %s: %s", name, diagnose_verdict_name(verdict),
       f->message);
}

static void test_clock(void)
{
    struct service s;
    struct diagnose d = {.mode = KVS_FASTCGI};

    service_freeze(noon);
    service_open(&s);
    d.config = &s.config;
    is_int(post_status(&s, "/kv/set", "{\"key\":[1],\"value\":1}"), 200, "a_commit_at_noon");
    is_finding(&d, "clock", DIAGNOSE_GOOD, "agree");
    atomic_store(&service_time, noon - 59000);
    is_finding(&d, "clock", DIAGNOSE_GOOD, "agree");
    atomic_store(&service_time, noon - 3600000);
    is_finding(&d, "clock", DIAGNOSE_WARNING, "3600 s behind the last commit");
    atomic_store(&service_time, 86400000);
    is_finding(&d, "clock", DIAGNOSE_WRONG, "shows 86400,");
    clock_replace(NULL);
    service_close(&s);
}

static void test_later_format(void)
{
    struct service s;
    struct diagnose d = {.mode = KVS_FASTCGI};

    service_open(&s);
    d.config = &s.config;
    is_finding(&d, "engine", DIAGNOSE_GOOD, "its log works; format ");
    service_sql(&s, "PRAGMA user_version=99");
    is_finding(&d, "engine", DIAGNOSE_WRONG, "format 99");
    service_close(&s);
}

static void test_what_depends_on_the_place(void)
{
    struct service s;
    struct diagnose d = {.mode = KVS_FASTCGI};

    service_prepare(&s);
    d.config = &s.config;
    is_finding(&d, "engine", DIAGNOSE_GOOD, "made there and taken away again");
    ok(access(s.path, F_OK) != 0, "and_nothing_is_left");
    chmod(s.dir, 0777);
    is_finding(&d, "directory", DIAGNOSE_WRONG, "can be written by everyone");
    is_finding(&d, "engine", DIAGNOSE_UNKNOWN, "not judged before directory is right");
    chmod(s.dir, 0700);
    d.config_problem = "it is wrong";
    is_finding(&d, "config", DIAGNOSE_WRONG, "it is wrong");
    is_finding(&d, "directory", DIAGNOSE_UNKNOWN, "not judged before config is right");
    service_close(&s);
}

/* A limit of this process, for as long as it takes to look. */
static void is_limited(const struct diagnose *d, int resource, rlim_t to, enum diagnose_verdict verdict,
                       const char *words)
{
    struct rlimit old, low;
    struct diagnose_report report;

    getrlimit((__rlimit_resource_t)resource, &old);
    low = (struct rlimit){.rlim_cur = to, .rlim_max = old.rlim_max};
    setrlimit((__rlimit_resource_t)resource, &low);
    diagnose_run(d, &report);
    setrlimit((__rlimit_resource_t)resource, &old);
    const struct diagnose_finding *f = find(&report, "limits");
    ok(f->verdict == verdict && strstr(f->message, words), "limits are %s: %s", diagnose_verdict_name(verdict),
       f->message);
}

static void test_limits(void)
{
    struct service s;
    struct diagnose d = {.mode = KVS_CGI};

    service_prepare(&s);
    d.config = &s.config;
    is_finding(&d, "limits", DIAGNOSE_GOOD, "not limited to too little");
    is_limited(&d, RLIMIT_FSIZE, 1 << 20, DIAGNOSE_WRONG, "lets 1048576 bytes a file may have");
    is_limited(&d, RLIMIT_FSIZE, 100 << 20, DIAGNOSE_WARNING, "raised to 1073741824 or more");
    is_limited(&d, RLIMIT_NOFILE, 31, DIAGNOSE_WARNING, "lets 31 files may be open");
    service_close(&s);
}

/* Texts longer than a message has room for are cut, at a whole character. */
static void test_long_paths(void)
{
    struct service s;
    struct diagnose d = {.mode = KVS_FASTCGI};
    struct diagnose_report report;
    char path[4000] = "/";

    service_prepare(&s);
    d.config = &s.config;
    while (strlen(path) < 3900)
        strcat(path, "\xc3\xa4\xff");
    service_configure(&s, "db_path", path);
    diagnose_run(&d, &report);
    for (size_t i = 0; i < report.count; i++)
        ok(utf8_valid(report.findings[i].message, strlen(report.findings[i].message)) ==
               strlen(report.findings[i].message),
           "%s_is_utf8", report.findings[i].name);
    service_close(&s);
}

/* --- Answers of a program that cannot serve --- */

struct refused {
    struct service s;
    struct diagnose d;
    struct diagnose_report report;
};

static void refuse(struct refused *r, const char *path, const char *body, const char *authorization, struct exchange *x)
{
    exchange_init(x, path, body);
    x->request.authorization = authorization;
    r->d.config = &r->s.config;
    r->d.request = &x->request;
    diagnose_run(&r->d, &r->report);
    refusal_answer(&r->d, &r->report, &x->request);
}

static void is_refused(struct refused *r, const char *path, const char *body, const char *authorization, int status,
                       const char *with, const char *without)
{
    struct exchange x;
    refuse(r, path, body, authorization, &x);
    bool good = x.calls == 1 && x.status == status && strstr(x.body, with) && (!without || !strstr(x.body, without));
    ok(good, "%s %s: %d %s", path, authorization ? authorization : "(no token)", x.status, x.body);
    exchange_free(&x);
}

static void add_reader(struct service *s)
{
    unsigned char hash[TOKEN_HASH];
    char hex[2 * TOKEN_HASH + 1], why[200];

    token_hash(READER, strlen(READER), hash);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    ok(token_set(&s->config.tokens, "reader", "hash", hex, why, sizeof why) &&
           token_set(&s->config.tokens, "reader", "scope", "read", why, sizeof why),
       "a_reader");
}

/* Only the owner is told of what names the host's files. */
static void test_refusal_by_token(const char *config_problem, const char *store_problem, const char *words)
{
    static const char key[] = "{\"key\":[1]}",
                      stranger[] = "{\"ok\":false,\"uptime\":0,\"version\":\"" PACKAGE_VERSION "\",\"mode\":\"cgi\"}";
    struct refused r = {.d = {.mode = KVS_CGI, .config_problem = config_problem, .store_problem = store_problem}};

    service_prepare(&r.s);
    add_reader(&r.s);
    is_refused(&r, "/health", NULL, NULL, 503, stranger, NULL);
    is_refused(&r, "/health", NULL, "Bearer wrong", 503, stranger, NULL);
    is_refused(&r, "/health", NULL, "Bearer " READER, 503, stranger, NULL);
    is_refused(&r, "/health", NULL, "Bearer " SERVICE_TOKEN, 503, words, NULL);
    is_refused(&r, "/health", NULL, "Bearer " SERVICE_TOKEN, 503, "\"checks\":[{\"name\":\"user\"", NULL);
    is_refused(&r, "/kv/get", key, NULL, 401, "no token came with the request", "/x/");
    is_refused(&r, "/kv/get", key, "Bearer wrong", 401, "the access token is not valid", "/x/");
    is_refused(&r, "/kv/get", key, "Bearer " READER, 500, "its log says more", "/x/");
    is_refused(&r, "/kv/get", key, "Bearer " SERVICE_TOKEN, 500, words, NULL);
    is_refused(&r, "/health", key, "Bearer " SERVICE_TOKEN, 500, words, NULL);
    service_close(&r.s);
}

/* Where no token is known, everybody is told what to do, but not where. */
static void test_refusal_without_tokens(void)
{
    static const char key[] = "{\"key\":[1]}";
    struct refused r = {.d = {.mode = KVS_CGI}};
    char problem[400];

    service_prepare(&r.s);
    unsetenv("ACCESS_TOKEN");
    mem_free(r.s.config.access_token);
    r.s.config.access_token = NULL;
    is_refused(&r, "/kv/get", key, "Bearer x", 500, "no access token is set", r.s.dir);
    snprintf(problem, sizeof problem, "%s: others can write it; run: chmod go-w %s", r.s.config.file, r.s.config.file);
    r.d.config_problem = problem;
    is_refused(&r, "/kv/get", key, NULL, 500, ": kvs.conf: others can write it; run: chmod go-w kvs.conf", r.s.dir);
    is_refused(&r, "/health", NULL, NULL, 503, "{\"ok\":false,", r.s.dir);
    service_close(&r.s);
}

static void test_refusal_to_browsers(void)
{
    struct refused r = {.d = {.mode = KVS_CGI, .store_problem = "no"}};
    struct exchange x;

    service_prepare(&r.s);
    service_configure(&r.s, "allow_origin", "*");
    refuse(&r, "/kv/get", "{}", NULL, &x);
    ok(strstr(x.headers, "Access-Control-Allow-Origin: *\r\n") && strstr(x.headers, "WWW-Authenticate: Bearer\r\n"),
       "a_refusal_can_be_read_by_a_page");
    exchange_free(&x);
    service_close(&r.s);
}

int main(void)
{
    test_clock();
    test_later_format();
    test_what_depends_on_the_place();
    test_limits();
    test_long_paths();
    test_refusal_by_token("/x/kvs.conf:3: colour: there is no such name", NULL, "/x/kvs.conf:3: colour");
    test_refusal_by_token(NULL, "the database /x/kv.db is not fit", "the database /x/kv.db is not fit");
    test_refusal_without_tokens();
    test_refusal_to_browsers();
    return done_testing();
}
