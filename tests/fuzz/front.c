/*
 * A web server's bytes on a real socket into the real front, whose workers serve in this process.  Byte 0 says how they
 * are cut up and whether the next request waits for the last one's answer; byte 1 chooses the cuts.  What comes back must
 * be FastCGI; each request, whole or taken back, is answered exactly once; what is no FastCGI ends the connection; nothing
 * is left of it then, and a new one is served.
 */
#include "../unit/fcgi.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "json_scan.h"
#include "log.h"
#include "plan.h"

enum {
    HEAD = 2,
    MAX_BODY = 100000,
    WIDE = 32,           /* times that a body's record is sent, so that it goes into a spool's file */
    ROOM = WIDE * 65536, /* bytes of it all */
    WAITS_MS = 30,       /* what has no answer by then is taken to wait (a watch), and is taken back */
    QUIET_MS = 1,        /* how long to listen where nothing in particular is expected */
    PATIENCE_MS = 60000, /* after that it hangs, however little of a processor it gets */
    RESET_EVERY = 4096   /* inputs */
};

enum { CUT_NOT, CUT_BYTES, CUT_RANDOM, CUT_ONCE };

/* The bits of an input's first byte. */
enum { HOW_CUT = 3, HOW_PIPELINED = 4, HOW_WIDE = 8 };

static struct rig rig;
static struct heard heard;
static struct plan plan;
static uint8_t wide[ROOM];

static void stop(void)
{
    must(rig_stop(&rig));
    service_close(&rig.service);
}

static void start(void)
{
    service_prepare(&rig.service);
    service_configure(&rig.service, "maint_interval", "0");
    service_configure(&rig.service, "max_body", "100000");
    service_configure(&rig.service, "log_level", "error");
    log_init("fuzz", LOG_ERROR, false);
    service_reopen(&rig.service);
    must(FCGX_Init() == 0 && rig_start(&rig, 2, 64));
    atexit(stop);
}

/* --- Sending --- */

struct cuts {
    unsigned how;
    uint32_t state;
    unsigned left; /* pieces that may still be sent: each costs a change of threads */
};

static struct cuts cuts_from(unsigned how, uint8_t state)
{
    static const unsigned most[] = {[CUT_NOT] = 0, [CUT_BYTES] = 400, [CUT_RANDOM] = 30, [CUT_ONCE] = 1};
    return (struct cuts){how, state, most[how]};
}

static size_t next_cut(struct cuts *cuts, size_t n)
{
    if (cuts->left == 0 || n == 1)
        return n;
    cuts->left--;
    cuts->state = cuts->state * 1664525 + 1013904223;
    if (cuts->how == CUT_BYTES)
        return 1;
    const size_t step = 1 + (cuts->state >> 8) % (cuts->how == CUT_RANDOM ? 61 : n - 1);
    return step < n ? step : n;
}

/* Gives the front the chance to take what was sent before the next piece comes. */
static void await_taken(int fd)
{
    int left = 1;
    for (int i = 0; i < 20 && ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0; i++)
        rig_nap();
}

/* Sends in pieces, and listens in between so that neither side waits for the other. */
static void send_cut(int fd, const uint8_t *data, size_t n, struct cuts *cuts)
{
    for (size_t at = 0; at < n && !heard.closed;) {
        size_t step = next_cut(cuts, n - at);
        ssize_t sent = send(fd, data + at, step, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            break;
        at += sent > 0 ? (size_t)sent : 0;
        if (at < n)
            await_taken(fd);
        while (heard_listen(&heard, fd, 0) && !heard.closed)
            ;
    }
}

/* --- Judging --- */

/* One whole answer of the protocol's: a status that there is, and JSON where it says so. */
static void check_answer(void)
{
    static const int known[] = {200, 204, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 503, 507};
    static const char *const none[] = {"value", "payload", NULL};
    const char *body = heard_body(&heard);
    bool is_known = false;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known |= heard_status(&heard) == known[i];
    must(is_known && body);
    if (heard.text_len < HEARD_TEXT && *body && strstr(heard.text, "Content-Type: application/json\r\n")) {
        struct arena arena = ARENA_INIT;
        struct error err = ERROR_INIT;
        struct json_doc doc;
        must(json_scan(&doc, body, strlen(body), none, &arena, &err) == ERR_OK);
        arena_free(&arena);
    }
}

/* Listens until the counter is there; false where that takes more than ms. */
static bool await_count(int fd, const unsigned *counter, unsigned count, int ms)
{
    const int64_t until = clock_mono() + ms;
    while (*counter < count && !heard.closed && !heard.is_bad && clock_mono() <= until)
        heard_listen(&heard, fd, ms);
    return *counter >= count;
}

static void await_close(int fd)
{
    const int64_t until = clock_mono() + PATIENCE_MS;
    while (!heard.closed && clock_mono() < until)
        heard_listen(&heard, fd, PATIENCE_MS);
    must(heard.closed);
}

/* The end of a request.  One that waits for something is taken back. */
static void await_end(int fd, enum expected what, unsigned complete)
{
    bool taken_back = what == EXPECT_END;
    if (!await_count(fd, &heard.counts.complete, complete, WAITS_MS)) {
        uint8_t record[PROTO_HEADER];
        proto_header(record, PROTO_ABORT_REQUEST, plan.id, 0, 0);
        send_all(fd, record, sizeof record);
        taken_back = true;
        must(await_count(fd, &heard.counts.complete, complete, PATIENCE_MS));
    }
    must(heard.end_id == plan.id);
    must(what == EXPECT_ANSWER || heard.text_len == 0);
    if (!taken_back || heard.text_len > 0)
        check_answer();
    heard_next(&heard);
}

/* Exactly what is expected comes, and nothing else since before. */
static void expect(int fd, enum expected what, const struct heard_counts *before)
{
    struct heard_counts want = *before;

    if (what == EXPECT_ANSWER || what == EXPECT_END)
        await_end(fd, what, ++want.complete);
    else if (what == EXPECT_REFUSAL)
        await_count(fd, &heard.counts.refused, ++want.refused, PATIENCE_MS);
    else if (what == EXPECT_VALUES)
        await_count(fd, &heard.counts.values, ++want.values, PATIENCE_MS);
    else if (what == EXPECT_UNKNOWN)
        await_count(fd, &heard.counts.unknown, ++want.unknown, PATIENCE_MS);
    else
        await_close(fd);
    must(memcmp(&want, &heard.counts, sizeof want) == 0);
}

/* A well-behaved web server: waits for what is due before it goes on. */
static void converse(int fd, struct cuts *cuts)
{
    enum expected what = EXPECT_NOTHING;
    size_t sent = 0;

    while (what != EXPECT_CLOSE && plan_next(&plan, &what)) {
        const struct heard_counts before = heard.counts;
        if (what == EXPECT_NOTHING)
            continue;
        send_cut(fd, plan.data + sent, plan.at - sent, cuts);
        sent = plan.at;
        expect(fd, what, &before);
        must(heard.rest_len == 0 || what == EXPECT_CLOSE);
    }
    if (plan.last)
        await_close(fd);
    else if (what != EXPECT_CLOSE) /* what is not whole */
        send_cut(fd, plan.data + sent, plan.len - sent, cuts);
}

/* One that does not wait: no more ends than beginnings. */
static void pour(int fd, struct cuts *cuts)
{
    struct record r;
    unsigned begun = 0;

    for (size_t at = 0; records_next(plan.data + at, plan.len - at, &r); at += r.whole)
        begun += r.type == PROTO_BEGIN_REQUEST;
    send_cut(fd, plan.data, plan.len, cuts);
    while (heard_listen(&heard, fd, QUIET_MS) && !heard.closed)
        ;
    must(heard.counts.complete + heard.counts.refused <= begun);
}

/* --- The target --- */

/* Each record of a body many times. */
static size_t widen(const uint8_t *data, size_t size)
{
    struct bytes b = {wide, 0, sizeof wide};
    struct record r;
    size_t at = 0;

    for (; records_next(data + at, size - at, &r); at += r.whole)
        for (int i = 0; i < (r.type == PROTO_STDIN && r.length > 0 ? WIDE : 1); i++)
            bytes_add(&b, data + at, r.whole);
    bytes_add(&b, data + at, size - at);
    return b.len;
}

static void check_still_serves(void)
{
    static unsigned count;
    must(rig_is_idle(&rig));
    must(rig_ask(&rig, "/health", NULL, &heard) == 200);
    if (++count % RESET_EVERY == 0)
        must(rig_ask(&rig, "/kv/reset", "{}", &heard) == 200);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    if (size <= HEAD || seed % 4 == 0)
        return LLVMFuzzerMutate(data, size, max);
    return records_mutate(data, size, max, HEAD, seed / 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    if (!rig.service.kvs)
        start();
    const unsigned how = data[0];
    struct cuts cuts = cuts_from(how & HOW_CUT, data[1]);
    plan = (struct plan){.max_body = MAX_BODY};
    plan.data = how & HOW_WIDE ? wide : data + HEAD;
    plan.len = how & HOW_WIDE ? widen(data + HEAD, size - HEAD) : size - HEAD;
    heard_init(&heard);
    int fd = rig_connect(&rig);
    must(fd >= 0);
    if (how & HOW_PIPELINED)
        pour(fd, &cuts);
    else
        converse(fd, &cuts);
    must(!heard.is_bad);
    close(fd);
    check_still_serves();
    return 0;
}
