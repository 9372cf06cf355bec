/*
 * What a token has begun ends with it: watches, listeners and long polls at the moment when the token expires.
 */
#include <sodium.h>

#include "service.h"
#include "token.h"

#define SOON "kvs_soon"

/* A token that holds to the end of this day, UTC. */
static const int64_t noon = INT64_C(1700000000000), midnight = INT64_C(1700006400000);
static const char day[] = "2023-11-14";

static void give(struct service *s, const char *field, const char *value)
{
    char why[200];
    if (!token_set(&s->config.tokens, "soon", field, value, why, sizeof why)) {
        printf("Bail out! %s: %s\n", field, why);
        exit(1);
    }
}

static void open_with_token(struct service *s)
{
    unsigned char hash[TOKEN_HASH];
    char hex[2 * TOKEN_HASH + 1];

    service_freeze(noon);
    service_prepare(s);
    token_hash(SOON, strlen(SOON), hash);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    give(s, "hash", hex);
    give(s, "scope", "write");
    give(s, "expires", day);
    service_reopen(s);
}

static void begin(struct service *s, struct exchange *x, const char *token, const char *path, const char *body)
{
    exchange_init(x, path, body);
    x->request.authorization = token;
    kvs_handle(s->kvs, &x->request);
    kvs_tick(s->kvs, false);
}

static bool says(const struct exchange *x, const char *text)
{
    return x->body && strstr(x->body, text);
}

/* Commits with no tick behind it, so that no stream has seen it yet. */
static void unseen(struct service *s, const char *path, const char *body)
{
    struct exchange x;

    exchange_init(&x, path, body);
    kvs_handle(s->kvs, &x.request);
    ok(exchange_is_over(&x) && x.status == 200, "unseen %s", path);
    exchange_free(&x);
}

static void let_go(struct service *s, struct exchange *x)
{
    if (!exchange_is_over(x)) {
        kvs_cancel(s->kvs, &x->request);
        ok(service_pump(s, x, 3000), "let_go");
    }
    exchange_free(x);
}

static void test_stream(const char *path, const char *write, const char *body, const char *first, const char *second)
{
    struct service s;
    struct exchange soon, lasting;

    open_with_token(&s);
    begin(&s, &soon, "Bearer " SOON, path, "{}");
    begin(&s, &lasting, "Bearer " SERVICE_TOKEN, path, "{}");
    is_int(soon.status, 200, "%s_begins", path);
    atomic_store(&service_time, midnight - 1);
    unseen(&s, write, body);
    for (int i = 0; i < 5; i++)
        kvs_tick(s.kvs, false);
    ok(says(&soon, first) && !exchange_is_over(&soon), "%s_goes_on_to_the_last_millisecond", path);
    atomic_store(&service_time, midnight);
    unseen(&s, write, second);
    for (int i = 0; i < 5; i++)
        kvs_tick(s.kvs, false);
    ok(exchange_is_over(&soon) && soon.calls == 1, "%s_is_over_with_the_token", path);
    ok(says(&soon, "{\"type\":\"end\",\"reason\":\"expired\",\"revision\":"), "%s_says_why", path);
    ok(!says(&soon, "\"late\""), "%s_hands_out_nothing_more", path);
    ok(!exchange_is_over(&lasting), "%s_of_another_token_goes_on", path);
    let_go(&s, &soon);
    let_go(&s, &lasting);
    service_close(&s);
}

static void test_watch(void)
{
    test_stream("/kv/watch", "/kv/set", "{\"key\":[\"a\"],\"value\":\"early\"}", "\"early\"",
                "{\"key\":[\"a\"],\"value\":\"late\"}");
}

/* Each listener takes one message: the second must reach the one that still may. */
static void test_listen(void)
{
    test_stream("/queue/listen", "/queue/enqueue-many",
                "{\"messages\":[{\"payload\":\"early\"},{\"payload\":\"early\"}]}", "\"early\"",
                "{\"messages\":[{\"payload\":\"late\"}]}");
}

/* The tick is to come back in time for the end, though nothing else happens. */
static void test_wakes_for_the_end(void)
{
    struct service s;
    struct exchange x;

    open_with_token(&s);
    atomic_store(&service_time, midnight - 300);
    begin(&s, &x, "Bearer " SOON, "/kv/watch", "{}");
    int wait = kvs_tick(s.kvs, false);
    ok(wait >= 0 && wait <= 300, "the_tick_wants_to_run_again_when_the_token_expires: %d", wait);
    let_go(&s, &x);
    service_close(&s);
}

static void test_long_poll(void)
{
    struct service s;
    struct exchange x;

    open_with_token(&s);
    atomic_store(&service_time, midnight - 200);
    begin(&s, &x, "Bearer " SOON, "/queue/dequeue", "{\"waitMs\":25000}");
    ok(!exchange_is_over(&x), "a_long_poll_waits");
    int64_t began = clock_mono();
    ok(service_pump(&s, &x, 20000), "until_the_token_expires");
    ok(clock_mono() - began < 15000 && says(&x, "{\"messages\":[]}"), "and_answers_as_when_its_time_is_up");
    let_go(&s, &x);
    service_close(&s);
}

int main(void)
{
    test_watch();
    test_listen();
    test_wakes_for_the_end();
    test_long_poll();
    return done_testing();
}
