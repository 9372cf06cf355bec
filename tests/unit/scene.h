/*
 * A database with something of everything in it, as bytes, so that each of many runs begins from the same; and the state of a
 * database as text, so that before and after can be compared.
 */
#ifndef KVS_TEST_SCENE_H
#define KVS_TEST_SCENE_H

#include <stdint.h>

#include "quiet.h"
#include "service.h"
#include "state.h"

static const int64_t noon = INT64_C(1700000000000);

struct scene {
    struct service s;
    char *file; /* the bytes of the database; owned, as state is */
    size_t len;
    char *state; /* of it, as state_read gives it */
};

static const char *const setting[][2] = {
    {"/kv/set", "{\"key\":[\"a\"],\"value\":{\"n\":[1,2,3]}}"},
    {"/kv/set", "{\"key\":[\"a\",\"b\"],\"value\":\"text\",\"ttl\":100000}"},
    {"/kv/set", "{\"key\":[\"old\"],\"value\":1,\"ttl\":1}"},
    {"/kv/set", "{\"key\":[\"n\"],\"value\":41}"},
    {"/kv/delete", "{\"key\":[\"n2\"]}"},
    {"/bucket/create",
     "{\"name\":\"h\",\"options\":{\"history\":3,\"compression\":true,\"republish\":{\"filter\":\"r.>\","
     "\"topic\":\"changes\",\"metaOnly\":false}}}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":1}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":2}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"gone\"],\"value\":2}"},
    {"/kv/delete", "{\"bucket\":\"h\",\"key\":[\"gone\"]}"},
    {"/queue/enqueue", "{\"payload\":{\"job\":1},\"backoff\":[5,10]}"},
    {"/queue/enqueue", "{\"payload\":\"second\",\"dedupeId\":\"d\",\"priority\":-1}"},
    {"/queue/enqueue", "{\"topic\":\"dead\",\"payload\":1,\"maxAttempts\":1}"},
    {"/queue/dequeue", "{\"topic\":\"dead\",\"leaseMs\":1}"},
    {"/queue/enqueue", "{\"topic\":\"leased\",\"payload\":1}"},
    {"/queue/dequeue", "{\"topic\":\"leased\",\"leaseMs\":1000000}"},
};

/* What lies beside the database (the lock file knows of commits that are taken back with it), and memory buckets. */
static void remove_others(const struct service *s)
{
    static const char *const ends[] = {"kv.db-wal",  "kv.db-shm",  "kv.db.lock", "mem.db",
                                       "mem.db-wal", "mem.db-shm", "mem.db.lock"};
    char path[400];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, ends[i]);
        unlink(path);
    }
}

/* What a request may have changed, but for tokens, which are random, and sums over them.  The caller frees it. */
static char *scene_state(const struct scene *scene)
{
    char *state = state_read(scene->s.path, false);

    if (!state) {
        printf("Bail out! the database cannot be read\n");
        exit(1);
    }
    return state;
}

/* durability is the setting's value. */
static void scene_make(struct scene *scene, const char *durability)
{
    struct stat st;

    memset(scene, 0, sizeof *scene);
    service_freeze(noon);
    service_prepare(&scene->s);
    service_configure(&scene->s, "maint_interval", "0");
    service_configure(&scene->s, "durability", durability);
    service_reopen(&scene->s);
    for (size_t i = 0; i < sizeof setting / sizeof *setting; i++)
        if (post_status(&scene->s, setting[i][0], setting[i][1]) != 200)
            ok(false, "setting %zu: %s", i, setting[i][0]);
    service_sql(&scene->s, "INSERT INTO lock VALUES('held','x',NULL,1,9000000000000000)");
    service_freeze(noon + 1000);
    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
    service_sql(&scene->s, "PRAGMA wal_checkpoint(TRUNCATE)");
    scene->state = scene_state(scene);
    int fd = open(scene->s.path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) || !(scene->file = malloc((size_t)st.st_size)) ||
        read(fd, scene->file, (size_t)st.st_size) != st.st_size)
        abort();
    close(fd);
    scene->len = (size_t)st.st_size;
}

/* Puts the database back as it was; nobody has it open. */
static void scene_restore(const struct scene *scene)
{
    remove_others(&scene->s);
    int fd = open(scene->s.path, O_WRONLY | O_TRUNC);
    if (fd < 0 || write(fd, scene->file, scene->len) != (ssize_t)scene->len)
        abort();
    close(fd);
}

static void scene_close(struct scene *scene)
{
    free(scene->file);
    free(scene->state);
    service_close(&scene->s);
}

#endif
