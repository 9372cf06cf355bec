/*
 * The service as a whole, through kvs_handle: what its clients may rely on whatever the clock, their neighbours in a
 * commit, and other processes do.
 */
#include <sys/wait.h>

#include "service.h"
#include "writelock.h"

enum { HOUR = 3600 * 1000 };
static const int64_t noon = INT64_C(1700000000000);

/* --- Values --- */

static void test_values_come_back_as_they_were_sent(void)
{
    static const char *const values[] = {
        "1.0",
        "123456789012345678901234567890",
        "-0",
        "1E5",
        "0.1e-7",
        "null",
        "true",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"a b\\tc\"",
        "\"\\/\\u00e9\xc3\xa9\"",
        "[1,2.50,{\"a\":[],\"a\":{}}]",
        "{}",
    };
    char body[256], want[256];
    struct service s;

    service_freeze(noon);
    service_open(&s);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(body, sizeof body, "{\"key\":[\"v\",%zu],\"value\":%s}", i, values[i]);
        is_int(post_status(&s, "/kv/set", body), 200, "value_%zu_is_taken", i);
        snprintf(body, sizeof body, "{\"key\":[\"v\",%zu]}", i);
        snprintf(want, sizeof want,
                 "{\"entry\":{\"key\":[\"v\",%zu],\"value\":%s,\"version\":1,\"revision\":%zu,\"created\":%lld}}", i,
                 values[i], i + 1, (long long)noon);
        is_reply(&s, "/kv/get", body, 200, want, "value_%zu_comes_back_byte_for_byte", i);
    }
    is_int(post_status(&s, "/kv/set", "{\"key\":[1],\"value\": { \"a\" : [ 1 , \"x  y\" ] } }"), 200,
           "spaced_value_taken");
    struct reply r = service_post(&s, "/kv/get", "{\"key\":[1]}");
    ok(r.body && strstr(r.body, "\"value\":{\"a\":[1,\"x  y\"]},"), "only_white_space_outside_strings_goes");
    free(r.body);
    is_int(post_status(&s, "/kv/set", "{\"key\":[2],\"valueBase64\":\"AP/+gA==\"}"), 200, "bytes_taken");
    r = service_post(&s, "/kv/get", "{\"key\":[2]}");
    ok(r.body && strstr(r.body, "\"valueBase64\":\"AP/+gA==\","), "bytes_come_back");
    free(r.body);
    service_close(&s);
}

static void test_errors_are_valid_unicode(void)
{
    struct service s;
    char body[256];

    service_open(&s);
    /* A name that is shown cut: not in the middle of a character. */
    for (size_t n = 52; n < 62; n++) {
        memset(body, 'x', sizeof body);
        memcpy(body, "{\"", 2);
        memcpy(body + 2 + n, "\xf0\x9f\x98\x80\xc3\xa9\":1}", 11);
        struct reply r = service_post(&s, "/kv/get", body);
        is_int(r.status, 400, "unknown_name_of_%zu_bytes_and_an_emoji", n);
        size_t len = r.body ? strlen(r.body) : 0;
        bool whole = true;
        for (size_t i = 0; i < len; i++) {
            unsigned char c = (unsigned char)r.body[i];
            size_t want = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 9;
            for (; whole && want; want--)
                whole = want < 9 && ((unsigned char)r.body[++i] & 0xc0) == 0x80;
        }
        ok(whole, "error_naming_%zu_bytes_is_valid_utf_8", n);
        free(r.body);
    }
    service_close(&s);
}

/* --- Revisions and versions --- */

static void test_mutations_of_one_key_leave_one_entry(void)
{
    struct service s;

    service_freeze(noon);
    service_open(&s);
    service_sql(&s, "UPDATE bucket SET history=10");
    post_status(&s, "/kv/set", "{\"key\":[\"a\"],\"value\":0}");
    is_reply(&s, "/kv/atomic",
             "{\"mutations\":[{\"type\":\"set\",\"key\":[\"a\"],\"value\":1},{\"type\":\"set\",\"key\":[\"a\"],"
             "\"value\":2},{\"type\":\"delete\",\"key\":[\"a\"]},{\"type\":\"set\",\"key\":[\"a\"],\"value\":3},"
             "{\"type\":\"increment\",\"key\":[\"a\"],\"delta\":4}]}",
             200,
             "{\"ok\":true,\"results\":[{\"version\":2},{\"version\":3},{},{\"version\":1},"
             "{\"value\":7,\"version\":2}],\"ids\":[],\"version\":3,\"revision\":2}",
             "each_set_counts_a_version");
    is_reply(&s, "/kv/get", "{\"key\":[\"a\"]}", 200,
             "{\"entry\":{\"key\":[\"a\"],\"value\":7,\"version\":2,\"revision\":2,\"created\":1700000000000}}",
             "the_last_state_stays");
    is_int(service_sql_int(&s, "SELECT count(*) FROM history"), 1, "what_was_before_the_request_is_history");
    is_int(service_sql_int(&s, "SELECT keys FROM bucket"), 1, "one_key");
    is_int(service_sql_int(&s, "SELECT held FROM bucket"), 2, "two_rows");
    is_int(service_sql_int(&s, "SELECT bytes FROM bucket"),
           service_sql_int(&s, "SELECT sum(length(key)+size) FROM (SELECT key,size FROM entry UNION ALL "
                               "SELECT key,size FROM history)"),
           "bytes_are_those_of_the_rows");
    service_close(&s);
}

static void test_checks_alone_take_no_revision(void)
{
    struct service s;

    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0}");
    is_reply(&s, "/kv/atomic", "{\"checks\":[{\"key\":[1],\"version\":1},{\"key\":[2],\"version\":null}]}", 200,
             "{\"ok\":true,\"results\":[],\"ids\":[],\"version\":0,\"revision\":1}", "checks_that_hold");
    is_reply(&s, "/kv/atomic",
             "{\"checks\":[{\"key\":[1],\"version\":2},{\"key\":[1],\"revision\":1},{\"key\":[2],\"revision\":1},"
             "{\"key\":[1],\"version\":null}],\"mutations\":[{\"type\":\"set\",\"key\":[1],\"value\":1}]}",
             200, "{\"ok\":false,\"failed\":[0,2,3]}", "checks_that_fail_are_all_named");
    is_int(post_int(&s, "/kv/set", "{\"key\":[3],\"value\":0}", "revision"), 2, "neither_took_a_revision");
    is_reply(&s, "/kv/delete", "{\"key\":[9]}", 200, "{\"ok\":true,\"deleted\":false,\"revision\":2}",
             "nor_does_a_delete_of_nothing");
    service_close(&s);
}

static void test_expired_key_starts_anew(void)
{
    struct service s;

    service_freeze(noon);
    service_open(&s);
    service_sql(&s, "UPDATE bucket SET history=5");
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0,\"ttl\":1000}");
    is_int(post_int(&s, "/kv/set", "{\"key\":[1],\"value\":1,\"ttl\":1000}", "version"), 2, "live_key_counts_on");
    service_freeze(noon + 999);
    is_int(post_int(&s, "/kv/get", "{\"key\":[1]}", "version"), 2, "there_until_its_last_millisecond");
    service_freeze(noon + 1000);
    is_reply(&s, "/kv/get", "{\"key\":[1]}", 200, "{\"entry\":null}", "gone_from_its_very_millisecond");
    is_reply(&s, "/kv/list", "{\"prefix\":[]}", 200, "{\"entries\":[],\"cursor\":null}", "list_agrees");
    is_reply(&s, "/kv/get-many", "{\"keys\":[[1]]}", 200, "{\"entries\":[null]}", "get_many_agrees");
    is_reply(&s, "/kv/create", "{\"key\":[1],\"value\":2}", 200, "{\"ok\":true,\"version\":1,\"revision\":4}",
             "created_at_version_1_behind_the_marker");
    is_int(service_sql_int(&s, "SELECT revision FROM history WHERE op=3"), 3, "the_marker_has_a_revision_of_its_own");
    is_int(service_sql_int(&s, "SELECT keys FROM bucket"), 1, "one_key_is_counted");
    is_int(service_sql_int(&s, "SELECT held FROM bucket"), 4, "four_rows_are_held");
    service_close(&s);
}

static void test_reads_write_nothing(void)
{
    struct service s;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0,\"ttl\":1}");
    service_freeze(noon + 5);
    post_status(&s, "/kv/get", "{\"key\":[1]}");
    post_status(&s, "/kv/list", "{}");
    is_int(service_sql_int(&s, "SELECT revision FROM bucket"), 1, "expiry_is_not_written_by_reads");
    is_reply(&s, "/kv/touch", "{\"key\":[1],\"ttl\":0}", 200, "{\"ok\":true,\"touched\":false,\"revision\":1}",
             "an_expired_key_cannot_be_touched");
    is_reply(&s, "/kv/clean-expired", "", 200, "{\"ok\":true,\"deleted\":1}", "clean_expired_removes_it");
    is_int(service_sql_int(&s, "SELECT revision FROM bucket"), 2, "and_takes_a_revision");
    is_reply(&s, "/kv/clean-expired", "", 200, "{\"ok\":true,\"deleted\":0}", "once");
    service_close(&s);
}

static void test_reset_leaves_nothing_to_expire(void)
{
    struct service s;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0,\"ttl\":1000}");
    post_status(&s, "/queue/enqueue", "{\"payload\":1}");
    is_reply(&s, "/kv/reset", "", 200, "{\"ok\":true}", "reset");
    is_reply(&s, "/kv/list", "{}", 200, "{\"entries\":[],\"cursor\":null}", "no_keys");
    is_reply(&s, "/queue/dequeue", "{}", 200, "{\"messages\":[]}", "no_messages");
    service_freeze(noon + 2000);
    is_reply(&s, "/kv/clean-expired", "{}", 200, "{\"ok\":true,\"deleted\":0}", "what_reset_removed_does_not_expire");
    is_int(post_int(&s, "/kv/set", "{\"key\":[1],\"value\":0}", "revision"), 2, "revisions_go_on");
    is_int(post_int(&s, "/queue/enqueue", "{\"payload\":1}", "id"), 2, "so_do_ids");
    service_close(&s);
}

/* --- The clock --- */

static void test_clock_stepping_back(void)
{
    struct service s;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0,\"ttl\":1000}");
    post_status(&s, "/queue/enqueue", "{\"payload\":1}");
    is_int(post_int(&s, "/queue/dequeue", "{}", "id"), 1, "handed_out_at_noon");
    service_freeze(noon - HOUR);
    post_status(&s, "/kv/set", "{\"key\":[2],\"value\":0}");
    is_int(post_int(&s, "/kv/get", "{\"key\":[2]}", "created"), noon, "a_commit_is_not_before_its_predecessor");
    is_reply(&s, "/queue/dequeue", "{}", 200, "{\"messages\":[]}", "not_handed_out_again_an_hour_back");
    is_int(post_int(&s, "/queue/enqueue", "{\"payload\":2,\"topic\":\"t\"}", "id"), 2, "enqueued_an_hour_back");
    is_int(post_int(&s, "/queue/dequeue", "{\"topic\":\"t\"}", "id"), 2, "and_handed_out_at_once");
    service_freeze(noon + HOUR);
    post_status(&s, "/kv/set", "{\"key\":[3],\"value\":0}");
    service_freeze(noon + 1);
    post_status(&s, "/kv/set", "{\"key\":[4],\"value\":0,\"ttl\":1000}");
    is_int(post_int(&s, "/kv/get", "{\"key\":[4]}", "created"), noon + HOUR, "nor_after_a_step_forth_and_back");
    is_reply(&s, "/kv/get", "{\"key\":[1]}", 200, "{\"entry\":null}", "what_expired_stays_expired");
    service_freeze(noon + HOUR + 999);
    is_int(post_int(&s, "/kv/get", "{\"key\":[4]}", "version"), 1, "a_ttl_counts_from_the_commit");
    service_freeze(noon + HOUR + 1000);
    is_reply(&s, "/kv/get", "{\"key\":[4]}", 200, "{\"entry\":null}", "and_ends_by_it");
    service_close(&s);
}

/* --- Neighbours in one commit --- */

/* Holds the writer lock as another process would, so that requests pile up. */
static struct writelock *block_writers(const struct service *s)
{
    char path[340];
    struct writelock *lock = NULL;
    struct error err = ERROR_INIT;

    snprintf(path, sizeof path, "%s.lock", s->path);
    if (writelock_open(&lock, path, &err) || writelock_take(lock, clock_mono() + 1000))
        printf("Bail out! cannot take the writer lock: %s\n", err.message);
    return lock;
}

static void *handle_one(void *argument)
{
    struct exchange *x = argument;
    struct service *s = x->request.core;
    kvs_handle(s->kvs, &x->request);
    return NULL;
}

/* Runs the requests so that the first is alone in a commit and the others share the next one. */
static void handle_together(struct service *s, struct exchange *list, size_t count)
{
    pthread_t leader;
    struct writelock *lock = block_writers(s);

    list[0].request.core = s; /* for handle_one; kvs_handle sets its own */
    pthread_create(&leader, NULL, handle_one, &list[0]);
    usleep(50000);
    for (size_t i = 1; i < count; i++)
        kvs_handle(s->kvs, &list[i].request); /* another leads: returns at once */
    for (size_t i = 0; i < count; i++)
        if (exchange_is_over(&list[i]))
            ok(false, "request_%zu_must_wait_for_the_lock", i);
    writelock_release(lock);
    writelock_close(lock);
    pthread_join(leader, NULL);
    for (size_t i = 0; i < count; i++)
        exchange_await(&list[i], 20000);
}

struct expected {
    const char *path, *body;
    int status;
    const char *want;
};

static void test_failing_neighbour(void)
{
    static const struct expected list[] = {
        {"/kv/set", "{\"key\":[0],\"value\":0}", 200, "{\"ok\":true,\"version\":1,\"revision\":4}"},
        {"/kv/set", "{\"key\":[1],\"value\":1}", 200, "{\"ok\":true,\"version\":1,\"revision\":5}"},
        {"/kv/increment", "{\"key\":[\"n\"],\"delta\":5}", 200,
         "{\"ok\":true,\"value\":15,\"version\":2,\"revision\":6}"},
        {"/queue/enqueue", "{\"payload\":1,\"topic\":\"x\",\"delay\":5,\"dedupeId\":\"d\"}", 200,
         "{\"ok\":true,\"id\":2}"},
        {"/queue/enqueue", "{\"payload\":1,\"topic\":\"x\",\"dedupeId\":\"d\"}", 200,
         "{\"ok\":true,\"id\":2,\"duplicate\":true}"},
        {"/kv/atomic",
         "{\"mutations\":[{\"type\":\"set\",\"key\":[2],\"value\":2},{\"type\":\"purge\",\"key\":[1]},"
         "{\"type\":\"increment\",\"key\":[\"s\"]}],\"enqueues\":[{\"payload\":7}]}",
         422,
         "{\"error\":{\"code\":\"not_a_number\",\"message\":\"the value is not a number that can be incremented (an "
         "integer of 64 bits, or a fraction)\",\"field\":\"mutations[2]\"}}"},
        {"/kv/atomic", "{\"mutations\":[{\"type\":\"delete\",\"key\":[1]}],\"acks\":[{\"id\":1,\"lease\":\"00\"}]}",
         409,
         "{\"error\":{\"code\":\"conflict\",\"message\":\"the message is gone, or its lease is not the current "
         "one\",\"field\":\"acks[0]\"}}"},
        {"/kv/increment", "{\"key\":[\"n\"],\"delta\":5}", 200,
         "{\"ok\":true,\"value\":20,\"version\":3,\"revision\":7}"},
        {"/queue/ack", "{\"id\":1}", 200, "{\"ok\":true}"},
        {"/queue/ack", "{\"id\":1}", 200, "{\"ok\":false}"},
        {"/kv/clean-expired", "", 200, "{\"ok\":true,\"deleted\":1}"},
        {"/kv/delete", "{\"key\":[9]}", 200, "{\"ok\":true,\"deleted\":false,\"revision\":8}"},
        {"/queue/enqueue", "{\"payload\":1}", 200, "{\"ok\":true,\"id\":3}"},
    };
    enum { COUNT = sizeof list / sizeof *list };
    struct exchange x[COUNT];
    struct service s;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[\"n\"],\"value\":10}");
    post_status(&s, "/kv/set", "{\"key\":[\"s\"],\"value\":\"text\"}");
    post_status(&s, "/kv/set", "{\"key\":[\"old\"],\"value\":0,\"ttl\":10}");
    post_status(&s, "/queue/enqueue", "{\"payload\":0,\"topic\":\"x\"}");
    service_freeze(noon + 10);
    for (size_t i = 0; i < COUNT; i++)
        exchange_init(&x[i], list[i].path, list[i].body);
    handle_together(&s, x, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        is_int(x[i].status, list[i].status, "neighbour_%zu_%s_status", i, list[i].path);
        is_str(x[i].body, list[i].want, "neighbour_%zu_%s", i, list[i].path);
        is_int(x[i].calls, 1, "neighbour_%zu_is_answered_once", i);
        exchange_free(&x[i]);
    }
    is_reply(&s, "/kv/get", "{\"key\":[2]}", 200, "{\"entry\":null}", "nothing_of_the_failed_request_stays");
    is_int(post_int(&s, "/kv/get", "{\"key\":[1]}", "version"), 1, "its_purge_is_taken_back");
    is_int(post_int(&s, "/queue/stats", "{\"topic\":\"default\"}", "ready"), 1, "so_is_its_message");
    is_int(service_sql_int(&s, "SELECT keys FROM bucket"), service_sql_int(&s, "SELECT count(*) FROM entry WHERE op=0"),
           "the_count_of_keys_is_right");
    is_int(service_sql_int(&s, "SELECT held FROM bucket"), service_sql_int(&s, "SELECT count(*) FROM entry"),
           "the_count_of_rows_is_right");
    service_close(&s);
}

static void test_reset_and_expiry_in_one_commit(void)
{
    static const struct expected list[] = {
        {"/kv/set", "{\"key\":[0],\"value\":0}", 200, "{\"ok\":true,\"version\":1,\"revision\":3}"},
        {"/kv/reset", "", 200, "{\"ok\":true}"},
        {"/kv/clean-expired", "", 200, "{\"ok\":true,\"deleted\":0}"},
        {"/kv/set", "{\"key\":[2],\"value\":0}", 200, "{\"ok\":true,\"version\":1,\"revision\":4}"},
    };
    enum { COUNT = sizeof list / sizeof *list };
    struct exchange x[COUNT];
    struct service s;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/kv/set", "{\"key\":[1],\"value\":0,\"ttl\":10}");
    post_status(&s, "/kv/set", "{\"key\":[2],\"value\":0,\"ttl\":10}");
    service_freeze(noon + 10);
    for (size_t i = 0; i < COUNT; i++)
        exchange_init(&x[i], list[i].path, list[i].body);
    handle_together(&s, x, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        is_str(x[i].body, list[i].want, "together_%zu_%s", i, list[i].path);
        exchange_free(&x[i]);
    }
    is_int(service_sql_int(&s, "SELECT keys FROM bucket"), 1, "one_key_is_left");
    is_int(service_sql_int(&s, "SELECT held FROM bucket"), 1, "in_one_row");
    service_close(&s);
}

static void test_bucket_destroyed_and_made_in_one_commit(void)
{
    static const struct expected list[] = {
        {"/kv/set", "{\"key\":[0],\"value\":0}", 200, "{\"ok\":true,\"version\":1,\"revision\":1}"},
        {"/kv/set", "{\"bucket\":\"b\",\"key\":[2],\"value\":0}", 200, "{\"ok\":true,\"version\":1,\"revision\":2}"},
        {"/bucket/destroy", "{\"name\":\"b\"}", 200, "{\"ok\":true}"},
        {"/kv/set", "{\"bucket\":\"b\",\"key\":[3],\"value\":0}", 404, NULL},
        {"/bucket/create", "{\"name\":\"b\",\"options\":{\"history\":3}}", 200, NULL}, /* another one by that name */
        {"/kv/set", "{\"bucket\":\"b\",\"key\":[1],\"value\":0}", 200, "{\"ok\":true,\"version\":1,\"revision\":3}"},
    };
    enum { COUNT = sizeof list / sizeof *list };
    struct exchange x[COUNT];
    struct service s;

    service_freeze(noon);
    service_open(&s);
    post_status(&s, "/bucket/create", "{\"name\":\"b\"}");
    post_status(&s, "/kv/set", "{\"bucket\":\"b\",\"key\":[1],\"value\":0}");
    for (size_t i = 0; i < COUNT; i++)
        exchange_init(&x[i], list[i].path, list[i].body);
    handle_together(&s, x, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        is_int(x[i].status, list[i].status, "bucket_%zu_%s_status", i, list[i].path);
        if (list[i].want)
            is_str(x[i].body, list[i].want, "bucket_%zu_%s", i, list[i].path);
        exchange_free(&x[i]);
    }
    is_int(post_int(&s, "/bucket/status", "{\"name\":\"b\"}", "history"), 3, "the_new_one_is_there");
    is_int(post_int(&s, "/bucket/status", "{\"name\":\"b\"}", "keys"), 1, "with_what_was_set_since");
    is_int(post_int(&s, "/kv/set", "{\"bucket\":\"b\",\"key\":[1],\"value\":0}", "revision"), 4, "revisions_go_on");
    service_close(&s);
}

static void test_dequeues_in_one_commit_share_nothing(void)
{
    enum { COUNT = 9 };
    struct exchange x[COUNT];
    struct service s;
    int seen[COUNT] = {0};

    service_freeze(noon);
    service_open(&s);
    for (int i = 0; i < COUNT - 2; i++)
        post_status(&s, "/queue/enqueue", "{\"payload\":1}");
    post_status(&s, "/kv/set", "{\"key\":[\"s\"],\"value\":\"text\"}");
    for (size_t i = 0; i < COUNT; i++)
        exchange_init(&x[i], "/queue/dequeue", "{}");
    exchange_free(&x[4]);
    exchange_init(
        &x[4], "/kv/atomic",
        "{\"mutations\":[{\"type\":\"set\",\"key\":[2],\"value\":2},{\"type\":\"increment\",\"key\":[\"s\"]}]}");
    handle_together(&s, x, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        long long id = i == 4 ? -1 : member_int(x[i].body, "id");
        if (id > 0 && id < COUNT)
            seen[id]++;
        exchange_free(&x[i]);
    }
    for (int id = 1; id < COUNT - 1; id++)
        is_int(seen[id], 1, "message_%d_is_handed_out_once", id);
    is_int(service_sql_int(&s, "SELECT sum(attempts) FROM message"), COUNT - 2, "and_one_delivery_each_is_counted");
    service_close(&s);
}

static void test_busy_is_told_by_the_deadline(void)
{
    enum { COUNT = 40 };
    struct exchange x[COUNT];
    struct service s;
    pthread_t leader;

    service_prepare(&s);
    service_configure(&s, "busy_timeout", "150");
    service_reopen(&s);
    struct writelock *lock = block_writers(&s);
    for (size_t i = 0; i < COUNT; i++)
        exchange_init(&x[i], "/kv/set", "{\"key\":[1],\"value\":1}");
    int64_t start = clock_mono();
    x[0].request.core = &s;
    pthread_create(&leader, NULL, handle_one, &x[0]);
    usleep(20000);
    for (size_t i = 1; i < COUNT; i++)
        kvs_handle(s.kvs, &x[i].request);
    pthread_join(leader, NULL);
    for (size_t i = 0; i < COUNT; i++)
        exchange_await(&x[i], 20000);
    int64_t took = clock_mono() - start;
    /* One after the other it would be COUNT times as long. */
    ok(took >= 150 && took < COUNT * 150 / 2, "all_are_told_together_at_their_deadline (%lld ms)", (long long)took);
    for (size_t i = 0; i < COUNT; i++) {
        if (x[i].status != 503 || !x[i].body || !strstr(x[i].body, "\"busy\"") ||
            !strstr(x[i].headers, "Retry-After") || !strstr(x[i].headers, "X-Request-Id: "))
            ok(false, "request_%zu_is_told_busy", i);
        exchange_free(&x[i]);
    }
    is_int(post_status(&s, "/kv/get", "{\"key\":[1]}"), 200, "reads_need_no_slot");
    writelock_release(lock);
    writelock_close(lock);
    is_int(post_status(&s, "/kv/set", "{\"key\":[1],\"value\":1}"), 200, "and_then_writes_go_on");
    service_close(&s);
}

/* --- Health --- */

static void test_health(void)
{
    struct service s;
    struct exchange x;
    char hidden[340];

    service_open(&s);
    exchange_init(&x, "/health", NULL);
    x.request.authorization = NULL;
    kvs_handle(s.kvs, &x.request);
    is_int(x.status, 200, "healthy_without_a_token");
    ok(x.body && !strncmp(x.body, "{\"ok\":true,\"uptime\":", 20) && strstr(x.body, "\"mode\":\"fastcgi\"}"),
       "and_says_so");
    exchange_free(&x);
    service_reopen(&s); /* no idle connection */
    snprintf(hidden, sizeof hidden, "%s.hidden", s.path);
    rename(s.path, hidden);
    exchange_init(&x, "/health", NULL);
    kvs_handle(s.kvs, &x.request);
    is_int(x.status, 503, "unhealthy_where_the_database_cannot_be_read");
    ok(x.body && !strncmp(x.body, "{\"ok\":false,", 12), "and_says_so_in_the_same_form");
    printf("# %s\n", x.body ? x.body : "");
    exchange_free(&x);
    rename(hidden, s.path);
    service_close(&s);
}

/* Sets (or deletes) the keys 1000 * batch and those behind it in one commit. */
static int write_thousand(struct service *s, const char *type, int batch)
{
    static char body[100000];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"mutations\":[");

    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, "%s{\"type\":\"%s\",\"key\":[%d]%s}", i ? "," : "", type,
                                batch * 1000 + i, strcmp(type, "set") ? "" : ",\"value\":1");
    snprintf(body + len, sizeof body - len, "]}");
    return post_status(s, "/kv/atomic", body);
}

static void test_a_page_of_a_list_looks_at_so_many_rows(void)
{
    char body[1000], cursor[800];
    struct service s;
    struct reply r;

    service_open(&s);
    for (int batch = 0; batch < 21; batch++) {
        write_thousand(&s, "set", batch);
        write_thousand(&s, "delete", batch);
    }
    is_int(post_status(&s, "/kv/set", "{\"key\":[1000000],\"value\":1}"), 200, "one_key_behind_many_deleted");
    r = service_post(&s, "/kv/list", "{}");
    ok(r.body && strstr(r.body, "\"entries\":[],\"cursor\":\""), "a_page_may_end_before_it_found_any");
    ok(r.body && member(r.body, "cursor", cursor, sizeof cursor), "with_where_to_go_on");
    free(r.body);
    snprintf(body, sizeof body, "{\"cursor\":%s}", cursor);
    r = service_post(&s, "/kv/list", body);
    ok(r.body && strstr(r.body, "\"key\":[1000000]") && strstr(r.body, "\"cursor\":null"), "and_the_next_one_finds_it");
    free(r.body);
    r = service_post(&s, "/kv/list", "{\"reverse\":true,\"limit\":1}");
    ok(r.body && strstr(r.body, "\"key\":[1000000]") && member(r.body, "cursor", cursor, sizeof cursor),
       "in_reverse_likewise");
    free(r.body);
    snprintf(body, sizeof body, "{\"reverse\":true,\"limit\":1,\"cursor\":%s}", cursor);
    r = service_post(&s, "/kv/list", body);
    ok(r.body && strstr(r.body, "\"entries\":[],\"cursor\":null"), "to_the_end");
    free(r.body);
    service_close(&s);
}

int main(void)
{
    test_values_come_back_as_they_were_sent();
    test_errors_are_valid_unicode();
    test_mutations_of_one_key_leave_one_entry();
    test_checks_alone_take_no_revision();
    test_expired_key_starts_anew();
    test_reads_write_nothing();
    test_reset_leaves_nothing_to_expire();
    test_clock_stepping_back();
    test_failing_neighbour();
    test_reset_and_expiry_in_one_commit();
    test_bucket_destroyed_and_made_in_one_commit();
    test_dequeues_in_one_commit_share_nothing();
    test_busy_is_told_by_the_deadline();
    test_a_page_of_a_list_looks_at_so_many_rows();
    test_health();
    return done_testing();
}
