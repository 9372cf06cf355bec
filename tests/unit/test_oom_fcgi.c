/*
 * The FastCGI front without memory: each request is made once for each allocation on its way, which fails, alone or with all
 * that follow it.  It is answered with its own answer or 503, or the connection is closed; the same process then serves the
 * same request.  What libfcgi allocates stays below what is set aside for it.
 */
#include <sys/mman.h>

#include "fcgi.h"
#include "fcgi/serve.h"
#include "mem.h"
#include "quiet.h"

enum {
    LARGE = 200000, /* bytes of a body that goes into a file, and of the value that it sets */
    STREAM_ALLOCATIONS = 12
};

struct trial {
    const char *name, *path, *body;
    bool pieces; /* sent in two, so that the front has to keep the first */
    bool late;   /* the answer is not read before it is there */
    bool stream; /* goes on until the client leaves */
};

static char large[LARGE + 100];

static const struct trial trials[] = {
    {"a read in one piece", "/kv/get", "{\"key\":[\"a\"]}", false, false, false},
    {"a write in two pieces", "/kv/set", "{\"key\":[\"a\"],\"value\":2}", true, false, false},
    {"a large body", "/kv/set", large, true, false, false},
    {"a large answer that is taken late", "/kv/get", "{\"key\":[\"large\"]}", false, true, false},
    {"a watch", "/kv/watch", "{\"include\":\"updates\"}", false, false, true},
    {"what there is not", "/nothing", NULL, false, false, false},
};

static struct heard heard;

/* Records for the whole trial; owned by the caller. */
static struct bytes make(const struct trial *t)
{
    struct bytes b = {malloc(2 * LARGE), 0, 2 * LARGE};
    if (!b.data)
        abort();
    bytes_request(&b, 1, false, t->path, t->body);
    return b;
}

static void send_trial(int fd, const struct trial *t)
{
    struct bytes b = make(t);
    size_t first = t->pieces ? b.len / 2 : b.len;

    send_all(fd, b.data, first);
    if (t->pieces)
        for (int i = 0; i < 100; i++)
            rig_nap();
    send_all(fd, b.data + first, b.len - first);
    free(b.data);
}

/* Whether an allocation of the program's would fail now. */
static bool fails(void)
{
    void *p = mem_alloc(1);
    mem_free(p);
    return !p;
}

/* A stream has begun, has said that it is ready. */
static bool is_ready(const struct trial *t)
{
    return t->stream && strstr(heard.text, "ready");
}

/* Listens to the end; a stream that is kept from going on by the want of memory does so once there is some. */
static void listen_on(int fd, const struct trial *t)
{
    const int64_t until = clock_mono() + 10000;
    while (!heard.closed && !is_ready(t) && clock_mono() < until)
        if (!heard_listen(&heard, fd, t->stream ? 100 : 1000) && t->stream)
            mem_fail_after(-1, 0);
}

/*
 * With the allocation after n others failing (n < 0: none).  The status; 0: closed without an answer, -1: neither came, or
 * what came was not whole.
 */
static int run_trial(const struct rig *rig, const struct trial *t, long n, int forever)
{
    int fd = rig_connect(rig);

    mem_fail_after(n, forever);

    heard_init(&heard);
    send_trial(fd, t);
    if (t->late) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 10000);
        for (int i = 0; i < 100; i++)
            rig_nap();
    }
    listen_on(fd, t);
    close(fd);
    if (heard.is_bad || (!heard.closed && !is_ready(t)))
        return -1;
    return heard.counts.complete > 0 || is_ready(t) ? heard_status(&heard) : 0;
}

static void test_trial(struct rig *rig, const struct trial *t)
{
    const int own = run_trial(rig, t, -1, 0);
    const long most = t->stream ? STREAM_ALLOCATIONS : 1000; /* a stream's end is not seen: it ticks on */
    long n = 0, runs = 0, closed = 0, refused = 0;
    bool good = own > 0;

    for (bool reached = true; reached && good && n < most; n++)
        for (int forever = 1; forever >= 0 && good; forever--) {
            int status = run_trial(rig, t, n, forever);
            if (forever)
                reached = t->stream || fails();
            mem_fail_after(-1, 0);
            good = status == own || status == 503 || status == 0;
            if (!good)
                printf("# allocation %ld%s: %d instead of %d\n", n, forever ? " and all after it" : "", status, own);
            good = good && rig_is_idle(rig) && run_trial(rig, t, -1, 0) == own;
            runs++;
            closed += status == 0;
            refused += status == 503;
        }
    ok(good && n > 2, "%s: %ld runs, %ld answered with 503, %ld closed", t->name, runs, refused, closed);
}

/* --- Setting up --- */

static void test_start(void)
{
    struct rig rig = {.workers = 0};
    long n = 0;
    bool started = false;

    service_open(&rig.service);
    for (; !started && n < 100; n++) {
        mem_fail_after(n, 1);
        started = rig_start(&rig, 1, 8);
        mem_fail_after(-1, 0);
        if (!started)
            unlink(rig.address.sun_path);
    }
    ok(started, "the front is not set up without memory, nor left half-done; %ld tries", n);
    /* A worker may not have got its memory: then it says so and serves nobody. */
    bool stopped = rig_stop(&rig);
    ok(stopped || !rig.served, "and stops");
    service_close(&rig.service);
}

/* --- libfcgi --- */

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *)) __attribute__((weak));

static _Thread_local bool counting;
static _Thread_local size_t counted;

/* As malloc rounds up, roughly: a head of 8 bytes, multiples of 16. */
static void on_malloc(const volatile void *p, size_t n)
{
    (void)p;
    if (counting)
        counted += (n + 8 + 15) / 16 * 16;
}

static void on_free(const volatile void *p)
{
    (void)p;
}

/* What libfcgi allocates for pairs of parameters of that size, against the room that is set aside. */
static void test_room(unsigned pairs, size_t name, size_t value)
{
    struct conn c = {.params_len = (uint32_t)((name + value + 2) * pairs), .pairs = pairs};
    struct bytes params = {malloc(1 << 17), 0, 1 << 17}, b = {malloc(1 << 18), 0, 1 << 18};
    const uint8_t begin[8] = {0, PROTO_RESPONDER};
    int fd = memfd_create("request", MFD_CLOEXEC);
    FCGX_Request from;

    if (!params.data || !b.data)
        abort();
    for (unsigned i = 0; i < pairs; i++) {
        const uint8_t lengths[2] = {(uint8_t)name, (uint8_t)value};
        bytes_add(&params, lengths, sizeof lengths);
        for (size_t k = 0; k < name + value; k++)
            bytes_add(&params, "X", 1);
    }
    bytes_record(&b, PROTO_BEGIN_REQUEST, 1, begin, sizeof begin);
    for (size_t at = 0; at < params.len; at += 32768)
        bytes_record(&b, PROTO_PARAMS, 1, params.data + at, params.len - at < 32768 ? params.len - at : 32768);
    bytes_record(&b, PROTO_PARAMS, 1, "", 0);
    bytes_record(&b, PROTO_STDIN, 1, "", 0);
    bool written = write(fd, b.data, b.len) == (ssize_t)b.len && lseek(fd, 0, SEEK_SET) == 0;
    FCGX_InitRequest(&from, -1, 0);
    from.ipcFd = fd;
    from.keepConnection = 1;
    counted = 0;
    counting = true;
    int failed = FCGX_Accept_r(&from);
    counting = false;
    ok(written && !failed && counted > 0 && counted <= serve_room(&c),
       "libfcgi takes %zu bytes for %u pairs of %zu and %zu; %zu are set aside", counted, pairs, name, value,
       serve_room(&c));
    FCGX_Free(&from, 0);
    close(fd);
    free(params.data);
    free(b.data);
}

static void test_libfcgi(void)
{
    if (!__sanitizer_install_malloc_and_free_hooks || !__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free)) {
        ok(true, "what libfcgi allocates # SKIP only a sanitizer tells");
        return;
    }
    test_room(0, 0, 0);
    test_room(20, 12, 30);
    test_room(31, 1, 0);
    test_room(500, 100, 27);
    test_room(20000, 1, 0);
}

int main(void)
{
    struct rig rig = {.workers = 0};

    silence_log();
    if (FCGX_Init() != 0)
        return 1;
    int head = snprintf(large, sizeof large, "{\"key\":[\"large\"],\"value\":\"");
    memset(large + head, 'x', LARGE);
    snprintf(large + head + LARGE, sizeof large - (size_t)head - LARGE, "\"}");
    test_libfcgi();
    test_start();
    service_prepare(&rig.service);
    service_configure(&rig.service, "maint_interval", "0");
    service_reopen(&rig.service);
    ok(post_status(&rig.service, "/kv/set", "{\"key\":[\"a\"],\"value\":1}") == 200 &&
           post_status(&rig.service, "/kv/set", large) == 200 && rig_start(&rig, 1, 64),
       "a front with one worker");
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        test_trial(&rig, &trials[i]);
    ok(rig_stop(&rig), "it stops");
    service_close(&rig.service);
    return done_testing();
}
