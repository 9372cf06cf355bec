/*
 * Failed logins: each is answered late, whatever it asks for, and none of it keeps anybody else waiting.
 */
#include "service.h"

enum { FLOOD = 300, KEPT = 256, LATE_MS = 240 };

static void ask(struct service *s, struct exchange *x, const char *path, const char *body, const char *authorization)
{
    exchange_init(x, path, body);
    x->request.authorization = authorization;
    kvs_handle(s->kvs, &x->request);
}

static void is_late(struct service *s, const char *path, const char *body, int status)
{
    struct exchange x;
    int64_t began = clock_mono();

    ask(s, &x, path, body, "Bearer wrong");
    ok(!exchange_is_over(&x), "a_failed_login_at_%s_waits", path);
    ok(service_pump(s, &x, 10000) && x.status == status, "and_is_answered_with_%d", status);
    ok(clock_mono() - began >= LATE_MS, "late: after %lld ms", (long long)(clock_mono() - began));
    exchange_free(&x);
}

static void is_at_once(struct service *s, const char *path, const char *body, const char *authorization, int status)
{
    struct exchange x;

    ask(s, &x, path, body, authorization);
    ok(exchange_is_over(&x) && x.status == status, "%s with %s is answered at once: %d", path,
       authorization ? authorization : "no token", x.status);
    exchange_free(&x);
}

static void test_who_waits(void)
{
    struct service s;

    service_open(&s);
    is_late(&s, "/kv/get", "{\"key\":[1]}", 401);
    is_late(&s, "/nowhere", "{}", 401);
    is_late(&s, "/health", NULL, 200);
    is_at_once(&s, "/kv/get", "{\"key\":[1]}", NULL, 401);
    is_at_once(&s, "/health", NULL, NULL, 200);
    is_at_once(&s, "/openapi.json", NULL, "Bearer wrong", 200);
    is_at_once(&s, "/health", NULL, "Bearer " SERVICE_TOKEN, 200);
    service_close(&s);
}

/* More at a time than are kept waiting: memory is bounded, and who has a token notices nothing. */
static void test_flood(void)
{
    struct service s;
    static struct exchange x[FLOOD];
    int over = 0, good = 0;

    service_open(&s);
    for (int i = 0; i < FLOOD; i++)
        ask(&s, &x[i], "/kv/get", "{\"key\":[1]}", "Bearer wrong");
    for (int i = 0; i < FLOOD; i++)
        over += exchange_is_over(&x[i]);
    is_int(over, FLOOD - KEPT, "so_many_are_kept_and_no_more");
    is_at_once(&s, "/kv/get", "{\"key\":[1]}", "Bearer " SERVICE_TOKEN, 200);
    for (int i = 0; i < FLOOD; i++)
        good += service_pump(&s, &x[i], 10000) && x[i].status == 401 && x[i].calls == 1;
    is_int(good, FLOOD, "all_are_refused_once");
    is_late(&s, "/kv/get", "{\"key\":[1]}", 401);
    for (int i = 0; i < FLOOD; i++)
        exchange_free(&x[i]);
    service_close(&s);
}

/* A program that stays for it would hold one of the few that a host allows. */
static void test_cgi_does_not_stay(void)
{
    struct service s;
    char message[400];

    service_prepare(&s);
    s.kvs = kvs_open(&s.config, KVS_CGI, message, sizeof message);
    is_at_once(&s, "/kv/get", "{\"key\":[1]}", "Bearer wrong", 401);
    is_at_once(&s, "/health", NULL, "Bearer wrong", 200);
    service_close(&s);
}

int main(void)
{
    test_who_waits();
    test_flood();
    test_cgi_does_not_stay();
    return done_testing();
}
