/*
 * A run of random requests to a service, beside the model of its queue: choices, and requests whose answers are compared.
 */
#ifndef KVS_TEST_QUEUE_RUN_H
#define KVS_TEST_QUEUE_RUN_H

#include "queue_model.h"
#include "service.h"

enum {
    PAST = 2048,   /* deliveries remembered, for leases that are no longer good */
    HOUR = 3600000 /* ms */
};

struct delivery {
    int64_t id;
    char lease[MODEL_LEASE];
};

struct run {
    struct service s;
    struct model m;
    uint64_t random;
    int64_t counter, revision; /* of a key that atomic operations raise */
    bool good;
    struct buf body, want;
    struct delivery past[PAST];
    size_t past_count;
    uint64_t *leases; /* all that were ever handed out: a hash table, 0 is free */
    size_t lease_count, lease_room;
};

/* --- Choices --- */

static uint64_t next_random(struct run *r)
{
    uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int below(struct run *r, int n)
{
    return (int)(next_random(r) % (uint64_t)n);
}

static int64_t a_delay(struct run *r)
{
    static const int64_t delays[] = {0, 0, 0, 1, 7, 40, 900, 30000, HOUR};
    return delays[below(r, sizeof delays / sizeof *delays)];
}

static struct model_message *any_message(struct run *r)
{
    return r->m.count ? &r->m.messages[below(r, (int)r->m.count)] : NULL;
}

/* A delivery to settle: most often one that is under way, else any, an earlier one, or none that ever was. */
static struct delivery a_delivery(struct run *r)
{
    static const char *const odd[] = {"", "", "00000000000000ff", "0", "none at all"};
    struct delivery d = {r->m.last_id + 1 + below(r, 3), ""};
    struct model_message *message = any_message(r);
    int how = below(r, 10);

    for (int i = 0; i < 4 && how < 6 && message && message->state != MODEL_LEASED; i++)
        message = any_message(r);
    if (message && how < 9) {
        d.id = message->id;
        memcpy(d.lease, message->lease, sizeof d.lease);
    }
    if (how >= 7 && r->past_count)
        d = r->past[(size_t)below(r, (int)(r->past_count < PAST ? r->past_count : PAST))];
    if (below(r, 8) == 0)
        snprintf(d.lease, sizeof d.lease, "%s", odd[below(r, 5)]);
    return d;
}

/* --- Asking --- */

static const char *text_of(struct buf *b)
{
    const char *text = buf_cstr(b);
    if (!text)
        abort();
    return text;
}

/* Posts r->body, which is then empty; the caller frees the reply's body. */
static struct reply post(struct run *r, const char *path)
{
    struct reply reply = service_post(&r->s, path, text_of(&r->body));
    return reply;
}

/* Compares with r->want; both texts are empty afterwards. */
static void compare(struct run *r, const char *path, struct reply *got, int status)
{
    const char *want = text_of(&r->want);

    if (r->good && (got->status != status || !got->body || strcmp(got->body, want) != 0)) {
        printf("# %s %s\n#   got  %d %s\n#   want %d %s\n", path, text_of(&r->body), got->status,
               got->body ? got->body : "(none)", status, want);
        r->good = false;
    }
    free(got->body);
    buf_clear(&r->body);
    buf_clear(&r->want);
}

static void expect(struct run *r, const char *path)
{
    struct reply got = post(r, path);
    compare(r, path, &got, 200);
}

/* False where the lease was handed out before: every delivery has its own. */
static bool new_lease(struct run *r, const char *text)
{
    uint64_t lease = strtoull(text, NULL, 16);

    if (2 * (r->lease_count + 1) > r->lease_room) {
        uint64_t *old = r->leases;
        size_t old_room = r->lease_room;
        r->lease_room = old_room ? 2 * old_room : 1024;
        r->leases = calloc(r->lease_room, sizeof *r->leases);
        if (!r->leases)
            abort();
        for (size_t i = 0; i < old_room; i++) {
            size_t at = old[i] % r->lease_room;
            while (old[i] && r->leases[at])
                at = (at + 1) % r->lease_room;
            r->leases[at] = old[i] ? old[i] : r->leases[at];
        }
        free(old);
    }
    size_t at = lease % r->lease_room;
    for (; r->leases[at]; at = (at + 1) % r->lease_room)
        if (r->leases[at] == lease)
            return false;
    r->leases[at] = lease;
    r->lease_count++;
    return true;
}

/* The lease of the next message in an answer, behind which *at then stands; "" where there is none, or it is an old one. */
static void read_lease(struct run *r, const char **at, char lease[MODEL_LEASE])
{
    static const char name[] = "\"lease\":\"";
    const char *found = *at ? strstr(*at, name) : NULL;

    *at = found;
    lease[0] = '\0';
    if (!found || strspn(found + sizeof name - 1, "0123456789abcdef") != MODEL_LEASE - 1)
        return;
    *at = found + sizeof name - 1;
    memcpy(lease, *at, MODEL_LEASE - 1);
    lease[MODEL_LEASE - 1] = '\0';
    if (!new_lease(r, lease))
        lease[0] = '\0';
}

#endif
