/*
 * Watches at their edges: clients that are too slow, changes that are gone before they were seen, buckets that are gone.
 */
#include "service.h"

static const int64_t noon = INT64_C(1700000000000);

static void begin(struct service *s, struct exchange *x, const char *body)
{
    exchange_init(x, "/kv/watch", body);
    kvs_handle(s->kvs, &x->request);
    kvs_tick(s->kvs, false);
}

/* A write with no tick behind it, so that no watcher has seen it yet. */
static void unseen(struct service *s, const char *path, const char *body)
{
    struct exchange x;

    exchange_init(&x, path, body);
    kvs_handle(s->kvs, &x.request);
    ok(exchange_is_over(&x) && x.status == 200, "unseen %s", path);
    exchange_free(&x);
}

static bool ended(struct exchange *x, const char *reason)
{
    char end[80];
    snprintf(end, sizeof end, "{\"type\":\"end\",\"reason\":\"%s\"", reason);
    return exchange_is_over(x) && x->calls == 1 && x->body && strstr(x->body, end);
}

static void let_go(struct service *s, struct exchange *x)
{
    if (!exchange_is_over(x)) {
        kvs_cancel(s->kvs, &x->request);
        ok(service_pump(s, x, 3000), "let_go");
    }
    exchange_free(x);
}

static void test_slow_client(void)
{
    struct service s;
    struct exchange slow, quick;

    service_freeze(noon);
    service_open(&s);
    begin(&s, &slow, "{}");
    begin(&s, &quick, "{}");
    ok(slow.body && strstr(slow.body, "\"ready\""), "both_are_ready");
    slow.behind = 300 << 10;
    post_status(&s, "/kv/set", "{\"key\":[\"a\"],\"value\":1}");
    ok(!exchange_is_over(&slow), "a_client_may_be_somewhat_behind");
    slow.behind = (1 << 20) + 1;
    post_status(&s, "/kv/set", "{\"key\":[\"a\"],\"value\":2}");
    kvs_tick(s.kvs, false);
    ok(ended(&slow, "slow"), "one_too_far_behind_is_ended_with_the_reason");
    ok(!exchange_is_over(&quick) && strstr(quick.body, "\"value\":2"), "its_neighbour_goes_on");
    let_go(&s, &slow);
    let_go(&s, &quick);
    service_close(&s);
}

static void test_changes_gone_before_they_were_seen(void)
{
    struct service s;
    struct exchange x;

    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[\"a\"],\"value\":1}");
    begin(&s, &x, "{}");
    ok(x.body && strstr(x.body, "\"ready\",\"revision\":1"), "live");
    unseen(&s, "/kv/delete", "{\"key\":[\"a\"]}");
    unseen(&s, "/bucket/purge-deletes", "{\"name\":\"default\",\"olderThan\":0}");
    kvs_tick(s.kvs, false);
    ok(ended(&x, "compacted"), "ended_rather_than_left_with_a_key_that_is_gone");
    let_go(&s, &x);
    service_close(&s);
}

static void test_bucket_gone(void)
{
    struct service s;
    struct exchange x, y;

    service_open(&s);
    unseen(&s, "/bucket/create", "{\"name\":\"b\"}");
    begin(&s, &x, "{\"bucket\":\"b\"}");
    unseen(&s, "/bucket/destroy", "{\"name\":\"b\"}");
    service_freeze(noon + 5);
    unseen(&s, "/bucket/create", "{\"name\":\"b\"}");
    kvs_tick(s.kvs, false);
    ok(ended(&x, "destroyed"), "another_bucket_by_the_same_name_is_not_what_was_watched");
    begin(&s, &y, "{\"bucket\":\"b\"}");
    unseen(&s, "/bucket/destroy", "{\"name\":\"b\"}");
    kvs_tick(s.kvs, false);
    ok(ended(&y, "destroyed"), "destroyed");
    let_go(&s, &x);
    let_go(&s, &y);
    service_close(&s);
}

/* A client that is behind does not get page after page of what was there before it. */
static void test_initial_pages_wait_for_the_client(void)
{
    struct service s;
    struct exchange x;
    char body[64];

    service_open(&s);
    for (int i = 0; i < 600; i++) {
        snprintf(body, sizeof body, "{\"key\":[%d],\"value\":%d}", i, i);
        post_status(&s, "/kv/set", body);
    }
    exchange_init(&x, "/kv/watch", "{}");
    x.behind = 300 << 10;
    kvs_handle(s.kvs, &x.request);
    for (int i = 0; i < 5; i++)
        kvs_tick(s.kvs, false);
    ok(x.body && strstr(x.body, "\"pending\":599") && !strstr(x.body, "\"ready\""), "one_page_and_then_a_pause");
    x.behind = 0;
    for (int i = 0; i < 5; i++)
        kvs_tick(s.kvs, false);
    ok(strstr(x.body, "\"pending\":0}") && strstr(x.body, "\"ready\",\"revision\":600"),
       "the_rest_when_it_has_caught_up");
    let_go(&s, &x);
    service_close(&s);
}

int main(void)
{
    test_slow_client();
    test_changes_gone_before_they_were_seen();
    test_bucket_gone();
    test_initial_pages_wait_for_the_client();
    return done_testing();
}
