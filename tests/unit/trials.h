/*
 * One request or more for each row of the table of operations, made on a scene (scene.h), for tests that let something fail under
 * every endpoint.
 */
#ifndef KVS_TEST_TRIALS_H
#define KVS_TEST_TRIALS_H

#include "dispatch.h"
#include "service.h"

struct trial {
    const char *path, *body; /* body NULL: a GET */
};

static const struct trial trials[] = {
    {"/kv/get", "{\"key\":[\"a\"]}"},
    {"/kv/get", "{\"bucket\":\"h\",\"key\":[\"k\"],\"revision\":1}"},
    {"/kv/set", "{\"key\":[\"a\",\"new\",1.5,{\"$bigint\":\"12345678901234567890\"}],\"value\":[1,2],\"ttl\":5000}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"r\",\"s\"],\"value\":\"republished\"}"},
    {"/kv/set", "{\"key\":[\"old\"],\"value\":2}"},
    {"/queue/enqueue", "{\"payload\":[1],\"dedupeId\":\"e\",\"backoff\":[1]}"},
    {"/queue/dequeue", "{\"limit\":10}"},
    {"/queue/ack", "{\"id\":1}"},
    {"/kv/atomic",
     "{\"checks\":[{\"key\":[\"a\"],\"version\":1}],\"mutations\":[{\"type\":\"set\",\"key\":[1],\"value\":1},"
     "{\"type\":\"increment\",\"key\":[\"n\"]},{\"type\":\"delete\",\"key\":[\"a\"]},{\"type\":\"purge\",\"key\":"
     "[\"a\",\"b\"]}],\"enqueues\":[{\"payload\":1,\"options\":{\"topic\":\"t\"}}],\"acks\":[]}"},
    {"/kv/list", "{\"prefix\":[],\"limit\":2}"},
    {"/kv/get-many", "{\"keys\":[[\"a\"],[\"missing\"],[\"n\"]]}"},
    {"/kv/delete", "{\"key\":[\"a\"]}"},
    {"/kv/create", "{\"key\":[\"c\"],\"value\":null}"},
    {"/kv/update", "{\"key\":[\"a\"],\"version\":1,\"value\":true}"},
    {"/kv/increment", "{\"key\":[\"n\"],\"delta\":1.5}"},
    {"/kv/touch", "{\"key\":[\"a\"],\"ttl\":99999}"},
    {"/kv/purge", "{\"bucket\":\"h\",\"prefix\":[]}"},
    {"/kv/reset", "{}"},
    {"/kv/clean-expired", "{}"},
    {"/kv/keys", "{\"filter\":[\"a\",\"a.>\"],\"limit\":1}"},
    {"/kv/history", "{\"bucket\":\"h\",\"filter\":\"*\",\"limit\":1}"},
    {"/kv/changes", "{\"bucket\":\"h\",\"since\":0}"},
    {"/kv/watch", NULL},
    {"/queue/listen", NULL},
    {"/lock/acquire", "{\"name\":\"l\",\"ttl\":1000,\"owner\":\"me\"}"},
    {"/lock/renew", "{\"name\":\"held\",\"token\":\"x\",\"ttl\":1000}"},
    {"/lock/release", "{\"name\":\"held\",\"token\":\"x\"}"},
    {"/bucket/create", "{\"name\":\"new\",\"options\":{\"history\":2,\"metadata\":{\"a\":\"b\"}}}"},
    {"/bucket/create", "{\"name\":\"mem\",\"options\":{\"storage\":\"memory\"}}"},
    {"/bucket/update", "{\"name\":\"h\",\"options\":{\"history\":1,\"ttl\":1000000}}"},
    {"/bucket/status", "{\"name\":\"h\"}"},
    {"/bucket/list", "{}"},
    {"/bucket/destroy", "{\"name\":\"h\"}"},
    {"/bucket/purge", "{\"name\":\"h\"}"},
    {"/bucket/purge-deletes", "{\"name\":\"h\",\"olderThan\":0}"},
    {"/queue/enqueue-many", "{\"messages\":[{\"payload\":1},{\"payload\":2,\"topic\":\"x\"}]}"},
    {"/queue/ack-many", "{\"acks\":[{\"id\":1},{\"id\":99}]}"},
    {"/queue/nack", "{\"id\":4}"},
    {"/queue/extend", "{\"id\":4,\"leaseMs\":5000}"},
    {"/queue/dead", "{\"topic\":\"dead\"}"},
    {"/queue/redrive", "{\"topic\":\"dead\"}"},
    {"/queue/discard", "{\"topic\":\"dead\"}"},
    {"/queue/stats", "{}"},
    {"/queue/purge", "{\"topic\":\"default\"}"},
    {"/metrics", NULL},
    {"/openapi.json", NULL},
    {"/health", NULL},
};

enum { TRIALS = sizeof trials / sizeof *trials };

static bool is_stream(const struct trial *t)
{
    return strcmp(t->path, "/kv/watch") == 0 || strcmp(t->path, "/queue/listen") == 0;
}

/* Ticks, as a server would, until the stream has sent what it has at first, or is over. */
static void run_stream(struct service *s, struct exchange *x, const char *what)
{
    for (int i = 0; i < 5 && !exchange_is_over(x) && !(x->body && strstr(x->body, what)); i++)
        kvs_tick(s->kvs, false);
}

/* Every row of the table of operations has its trial. */
static void test_complete(void)
{
    size_t count;
    const struct op *ops = dispatch_table(&count);

    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < TRIALS && strcmp(trials[k].path, ops[i].path))
            k++;
        ok(k < TRIALS, "%s is tried", ops[i].path);
    }
}

#endif
