/*
 * Requests that wait, through kvs_handle and kvs_tick: woken by what they wait for, whoever did it, and let go in time.
 */
#include <sys/wait.h>

#include "service.h"

enum { HOUR = 3600 * 1000 };
static const int64_t noon = INT64_C(1700000000000);

static void test_long_poll_after_clock_went_back(void)
{
    struct service s;
    struct exchange x;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0}");
    service_freeze(noon - HOUR);
    exchange_init(&x, "/queue/dequeue", "{\"waitMs\":20000}");
    kvs_handle(s.kvs, &x.request);
    ok(!service_pump(&s, &x, 50), "waits_for_a_message");
    post_status(&s, "/queue/enqueue", "{\"payload\":1}");
    ok(service_pump(&s, &x, 3000) && member_int(x.body, "id") == 1, "and_gets_it_although_its_time_is_ahead");
    if (!exchange_is_over(&x))
        kvs_stop(s.kvs);
    exchange_free(&x);
    service_close(&s);
}

static void test_listener_after_clock_went_back(void)
{
    struct service s;
    struct exchange x;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0}");
    service_freeze(noon - HOUR);
    exchange_init(&x, "/queue/listen", "{}");
    kvs_handle(s.kvs, &x.request);
    post_status(&s, "/queue/enqueue", "{\"payload\":1}");
    for (int64_t until = clock_mono() + 2000; clock_mono() < until && !(x.body && strstr(x.body, "\"id\":1"));)
        service_pump(&s, &x, 20);
    ok(x.body && strstr(x.body, "\"id\":1"), "a_listener_gets_what_is_ahead_of_the_clock");
    kvs_stop(s.kvs);
    ok(service_pump(&s, &x, 2000), "and_is_ended");
    exchange_free(&x);
    service_close(&s);
}

static void test_long_poll(void)
{
    struct service s;
    struct exchange x;

    service_freeze(noon);
    service_open(&s);
    exchange_init(&x, "/queue/dequeue", "{\"waitMs\":60}");
    kvs_handle(s.kvs, &x.request);
    ok(!exchange_is_over(&x), "parked");
    ok(service_pump(&s, &x, 3000), "answered_when_its_time_is_up");
    is_str(x.body, "{\"messages\":[]}", "with_nothing");
    exchange_free(&x);
    exchange_init(&x, "/queue/dequeue", "{\"waitMs\":20000}");
    kvs_handle(s.kvs, &x.request);
    post_status(&s, "/queue/enqueue", "{\"payload\":7}");
    ok(service_pump(&s, &x, 3000) && member_int(x.body, "payload") == 7, "woken_by_a_message");
    exchange_free(&x);
    exchange_init(&x, "/queue/dequeue", "{\"waitMs\":20000}");
    kvs_handle(s.kvs, &x.request);
    kvs_cancel(s.kvs, &x.request);
    ok(exchange_is_over(&x), "let_go_when_its_client_is_gone");
    exchange_free(&x);
    exchange_init(&x, "/queue/dequeue", "{\"waitMs\":20000}");
    kvs_handle(s.kvs, &x.request);
    kvs_stop(s.kvs);
    ok(service_pump(&s, &x, 3000), "ended_when_the_service_stops");
    is_str(x.body, "{\"messages\":[]}", "with_an_empty_answer");
    is_int(x.calls, 1, "once");
    exchange_free(&x);
    is_int(post_status(&s, "/kv/get", "{\"key\":[1]}"), 503, "and_nothing_new_is_taken");
    service_close(&s);
}

/* Stops a service while a request of it is at work: at the n-th look at the clock, which each transaction takes. */
static struct {
    struct kvs *kvs;
    int looks;
} stopper;

static int64_t stopping_clock(void)
{
    if (stopper.kvs && --stopper.looks == 0)
        kvs_stop(stopper.kvs);
    return service_clock();
}

static void test_stop_in_the_middle_of_a_long_operation(void)
{
    enum { MESSAGES = 1000, EACH = 64 };
    static char body[MESSAGES * EACH];
    struct service s;
    size_t len = 0;

    service_freeze(noon);
    service_open(&s);
    len += (size_t)sprintf(body, "{\"messages\":[");
    for (int i = 0; i < MESSAGES; i++)
        len += (size_t)sprintf(body + len, "%s{\"payload\":%d,\"maxAttempts\":1}", i ? "," : "", i);
    sprintf(body + len, "]}");
    is_int(post_status(&s, "/queue/enqueue-many", body), 200, "many_messages");
    is_int(post_status(&s, "/queue/dequeue", "{\"limit\":1000,\"leaseMs\":1}"), 200, "all_on_their_last_delivery");
    service_freeze(noon + 1);
    stopper.kvs = s.kvs;
    stopper.looks = 1;
    clock_replace(stopping_clock);
    is_reply(
        &s, "/queue/redrive", "{\"topic\":\"default\"}", 503,
        "{\"error\":{\"code\":\"stopping\",\"message\":\"the server is stopping; this was done in part: repeat it\"}}",
        "a_long_operation_is_not_done_to_its_end_when_the_service_stops");
    stopper.kvs = NULL;
    service_freeze(noon + 1);
    service_reopen(&s);
    struct reply r = service_post(&s, "/queue/stats", "{\"topic\":\"default\"}");
    long long ready = member_int(r.body, "ready"), dead = member_int(r.body, "dead");
    ok(ready > 0 && dead > 0 && ready + dead == MESSAGES, "but_its_first_part_is: %lld of %d", ready, MESSAGES);
    free(r.body);
    service_close(&s);
}

/* Another process enqueues; how long does it take until the one that waits knows? */
static void test_woken_by_another_process(void)
{
    enum { ROUNDS = 5 };
    struct service s;
    struct exchange x;
    int64_t slowest = 0;

    clock_replace(NULL);
    service_prepare(&s);
    service_configure(&s, "durability", "full");
    service_reopen(&s);
    for (int i = 0; i < ROUNDS; i++) {
        pid_t child = fork();
        if (child == 0) {
            s.kvs = NULL; /* not ours to use after fork */
            service_reopen(&s);
            usleep(150000);
            char body[64];
            snprintf(body, sizeof body, "{\"payload\":%lld}", (long long)clock_now());
            service_post(&s, "/queue/enqueue", body);
            _exit(0);
        }
        exchange_init(&x, "/queue/dequeue", "{\"waitMs\":20000}");
        kvs_handle(s.kvs, &x.request);
        bool got = service_pump(&s, &x, 5000);
        int64_t took = clock_now() - member_int(x.body, "payload");
        waitpid(child, NULL, 0);
        ok(got && member_int(x.body, "id") == i + 1, "message_%d_of_another_process_arrives", i + 1);
        printf("# after %lld ms\n", (long long)took);
        if (took > slowest)
            slowest = took;
        exchange_free(&x);
    }
    ok(slowest < 4000, "long_before_its_own_end (%lld ms)", (long long)slowest);
    service_close(&s);
}

struct ticker {
    struct service *service;
    atomic_bool over;
};

static void *tick(void *argument)
{
    struct ticker *t = argument;
    struct pollfd wake = {.fd = kvs_wake_fd(t->service->kvs), .events = POLLIN};

    while (!atomic_load(&t->over)) {
        int wait = kvs_tick(t->service->kvs, true);
        poll(&wake, 1, wait < 0 || wait > 20 ? 20 : wait);
    }
    return NULL;
}

/* One request, answered by whichever thread; somebody else ticks. */
static bool ask(struct service *s, const char *path, const char *body)
{
    struct exchange x;

    exchange_init(&x, path, body);
    kvs_handle(s->kvs, &x.request);
    bool good = exchange_await(&x, 20000) && x.status == 200;
    exchange_free(&x);
    return good;
}

static void *hammer(void *argument)
{
    struct ticker *t = argument;

    while (!atomic_load(&t->over))
        if (!ask(t->service, "/kv/set", "{\"key\":[\"hammer\"],\"value\":1}"))
            atomic_store(&t->over, true);
    return NULL;
}

static void test_long_polls_under_constant_writes(void)
{
    enum { HANDS = 8, POLLS = 60 };
    struct service s;
    struct exchange x;
    struct ticker t = {.service = &s};
    pthread_t threads[HANDS + 1];
    int64_t slowest = 0;

    clock_replace(NULL);
    service_open(&s);
    pthread_create(&threads[HANDS], NULL, tick, &t);
    for (int i = 0; i < HANDS; i++)
        pthread_create(&threads[i], NULL, hammer, &t);
    for (int i = 0; i < POLLS; i++) {
        int64_t start = clock_mono();
        exchange_init(&x, "/queue/dequeue", i % 2 ? "{\"waitMs\":5000}" : "{\"waitMs\":50}");
        kvs_handle(s.kvs, &x.request);
        if (i % 2)
            ask(&s, "/queue/enqueue", "{\"payload\":1}");
        bool over = exchange_await(&x, 10000);
        int64_t took = clock_mono() - start;
        if (!over)
            ok(false, "long_poll_%d_is_answered", i);
        if (took > slowest)
            slowest = took;
        exchange_free(&x);
    }
    atomic_store(&t.over, true);
    for (int i = 0; i <= HANDS; i++)
        pthread_join(threads[i], NULL);
    ok(slowest < 4000, "long_polls_are_answered_under_constant_writes (%lld ms)", (long long)slowest);
    service_close(&s);
}

int main(void)
{
    test_long_poll_after_clock_went_back();
    test_listener_after_clock_went_back();
    test_long_poll();
    test_stop_in_the_middle_of_a_long_operation();
    test_woken_by_another_process();
    test_long_polls_under_constant_writes();
    return done_testing();
}
