/* What the inspector makes of a connection's bytes, in one piece, cut in two at every byte, and a byte at a time. */
#include <stdint.h>

#include "buf.h"
#include "fcgi/inspect.h"
#include "fcgi/proto.h"
#include "tap.h"

static void record(struct buf *b, unsigned char type, uint16_t id, const void *content, size_t n, unsigned char padding)
{
    unsigned char header[PROTO_HEADER];
    proto_header(header, type, id, (uint16_t)n, padding);
    buf_add(b, header, sizeof(header));
    if (n > 0)
        buf_add(b, content, n);
    for (unsigned i = 0; i < padding; i++)
        buf_byte(b, 0xee);
}

static void begin(struct buf *b, uint16_t id, unsigned char role, unsigned char flags, unsigned char padding)
{
    const unsigned char body[8] = {0, role, flags};
    record(b, PROTO_BEGIN_REQUEST, id, body, sizeof(body), padding);
}

/* A pair; a long form of the lengths where wide. */
static void pair(struct buf *b, const char *name, const char *value, bool wide)
{
    const char *texts[] = {name, value};
    for (int i = 0; i < 2; i++) {
        if (wide) {
            const char length[4] = {(char)0x80, 0, 0, (char)strlen(texts[i])};
            buf_add(b, length, sizeof(length));
        } else {
            buf_byte(b, (unsigned char)strlen(texts[i]));
        }
    }
    buf_str(b, name);
    buf_str(b, value);
}

/* The rest of a request behind its BEGIN_REQUEST. */
static void rest(struct buf *b, uint16_t id, const char *body, unsigned char padding)
{
    struct buf params = BUF_INIT;
    char length[24];
    snprintf(length, sizeof(length), "%zu", strlen(body));
    pair(&params, "REQUEST_METHOD", "POST", false);
    pair(&params, "CONTENT_LENGTH", length, true);
    pair(&params, "CONTENT_LENGTH_", "77", false);
    pair(&params, "EMPTY", "", false);
    record(b, PROTO_PARAMS, id, params.data, params.len, padding);
    record(b, PROTO_PARAMS, id, NULL, 0, padding);
    if (*body)
        record(b, PROTO_STDIN, id, body, strlen(body), padding);
    record(b, PROTO_STDIN, id, NULL, 0, padding);
    buf_free(&params);
}

static void request(struct buf *b, uint16_t id, bool keep, const char *body, unsigned char padding)
{
    begin(b, id, PROTO_RESPONDER, keep ? PROTO_KEEP_CONN : 0, padding);
    rest(b, id, body, padding);
}

/* A run over bytes: every event by a letter, and all replies. */
struct run {
    char events[64];
    struct buf replies;
    struct buf copy;
    struct inspect in;
    size_t used;
};

static const char letters[] = {[INSPECT_MORE] = '.',  [INSPECT_HEAD] = 'h',  [INSPECT_READY] = 'r',
                               [INSPECT_REPLY] = 'p', [INSPECT_ABORT] = 'a', [INSPECT_BAD] = 'b'};

static void run_init(struct run *r)
{
    memset(r, 0, sizeof(*r));
    inspect_init(&r->in);
}

static void run_free(struct run *r)
{
    buf_free(&r->replies);
    buf_free(&r->copy);
}

/* Feeds n bytes; false when it came to an end before them. */
static bool run_feed(struct run *r, const char *data, size_t n)
{
    size_t at = 0;
    while (at < n) {
        size_t used;
        const enum inspect_event event =
            inspect_feed(&r->in, (const unsigned char *)data + at, n - at, &used, &r->copy);
        at += used;
        r->used += used;
        if (event != INSPECT_MORE && strlen(r->events) < sizeof(r->events) - 1)
            r->events[strlen(r->events)] = letters[event];
        if (event == INSPECT_REPLY)
            buf_add(&r->replies, r->in.reply, r->in.reply_len);
        if (event == INSPECT_READY || event == INSPECT_ABORT || event == INSPECT_BAD)
            return false;
        if (event == INSPECT_MORE && at < n)
            return false;
    }
    return true;
}

/* Whether two runs came to the same.  Of bytes that are refused, only the reason counts. */
static bool same(const struct run *a, const struct run *b)
{
    if (strcmp(a->events, b->events) != 0 || strcmp(a->in.why, b->in.why) != 0)
        return false;
    if (strchr(a->events, 'b'))
        return true;
    return a->used == b->used && a->copy.len == b->copy.len && a->replies.len == b->replies.len &&
           a->in.body_len == b->in.body_len && a->in.plain == b->in.plain &&
           a->in.content_length == b->in.content_length &&
           (a->copy.len == 0 || memcmp(a->copy.data, b->copy.data, a->copy.len) == 0) &&
           (a->replies.len == 0 || memcmp(a->replies.data, b->replies.data, a->replies.len) == 0);
}

/* The bytes give these events, however they are cut.  The last run stays in *r, for more to be asked of it. */
static void gives(struct run *r, const struct buf *bytes, const char *events, const char *name)
{
    size_t differing = 0;
    run_init(r);
    run_feed(r, bytes->data, bytes->len);
    is_str(r->events, events, "%s", name);
    for (size_t cut = 0; cut <= bytes->len; cut++) {
        struct run other;
        run_init(&other);
        if (run_feed(&other, bytes->data, cut))
            run_feed(&other, bytes->data + cut, bytes->len - cut);
        differing += !same(r, &other);
        run_free(&other);
    }
    struct run single;
    run_init(&single);
    for (size_t i = 0; i < bytes->len && run_feed(&single, bytes->data + i, 1); i++)
        ;
    differing += !same(r, &single);
    run_free(&single);
    is_int(differing, 0, "%s: the same however it is cut", name);
}

static void whole_requests(void)
{
    struct buf b = BUF_INIT;
    struct run r;
    request(&b, 1, false, "", 0);
    gives(&r, &b, "hr", "a request without a body");
    ok(r.in.plain && !r.in.keep && r.in.id == 1 && r.in.content_length == 0, "it may go to libfcgi as it is");
    is_mem(r.copy.data, r.copy.len, b.data, b.len, "the copy is what came");
    run_free(&r);

    buf_clear(&b);
    request(&b, 0xabcd, true, "hello", 3);
    gives(&r, &b, "hr", "a padded request");
    ok(!r.in.plain && r.in.keep && r.in.id == 0xabcd, "padding that libfcgi forgets is seen");
    is_int(r.in.content_length, 5, "the declared length, in the long form");
    is_int(r.in.body_len, 5, "the length that came");
    struct buf bare = BUF_INIT;
    request(&bare, 0xabcd, true, "hello", 0);
    is_mem(r.copy.data, r.copy.len, bare.data, bare.len, "the copy has no padding");
    run_free(&r);

    const size_t one = b.len;
    request(&b, 2, true, "", 0);
    gives(&r, &b, "hr", "two requests");
    is_int(r.used, one, "the second is left alone");
    run_free(&r);
    buf_free(&b);
    buf_free(&bare);
}

static void content_lengths(void)
{
    static const struct {
        const char *name, *value;
        int64_t want;
    } cases[] = {{"CONTENT_LENGTH", "123456789012", 123456789012},
                 {"CONTENT_LENGTH", "", -1},
                 {"CONTENT_LENGTH", "12x", -1},
                 {"CONTENT_LENGTH", "-1", -1},
                 {"CONTENT_LENGTH", "99999999999999999999999", -1},
                 {"CONTENT_LENGTH", "0007", 7},
                 {"XONTENT_LENGTH", "5", -1},
                 {"CONTENT_LENGTHX", "5", -1},
                 {"CONTENT_LENGT", "5", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf b = BUF_INIT;
        struct buf params = BUF_INIT;
        struct run r;
        pair(&params, cases[i].name, cases[i].value, i % 2 == 0);
        begin(&b, 1, PROTO_RESPONDER, 0, 0);
        record(&b, PROTO_PARAMS, 1, params.data, 3, 0); /* a pair over two records */
        record(&b, PROTO_PARAMS, 1, params.data + 3, params.len - 3, 0);
        record(&b, PROTO_PARAMS, 1, NULL, 0, 0);
        gives(&r, &b, "h", cases[i].name);
        is_int(r.in.content_length, cases[i].want, "%s: %s", cases[i].name, cases[i].value);
        run_free(&r);
        buf_free(&b);
        buf_free(&params);
    }
}

static void get_values(void)
{
    static const unsigned char want[] = "\1\12\0\0\0\46\2\0"
                                        "\16\4FCGI_MAX_CONNS4096"
                                        "\17\1FCGI_MPXS_CONNS0"
                                        "\0";
    struct buf b = BUF_INIT;
    struct buf names = BUF_INIT;
    struct run r;
    pair(&names, "FCGI_MAX_CONNS", "", false);
    pair(&names, "FCGI_NONSENSE", "", false);
    pair(&names, "FCGI_MPXS_CONNS", "", false);
    pair(&names, "FCGI_MAX_CONNS", "", false);
    record(&b, PROTO_GET_VALUES, 0, names.data, names.len, 2);
    request(&b, 1, true, "", 0);
    gives(&r, &b, "phr", "GET_VALUES before a request");
    is_mem(r.replies.data, r.replies.len, want, sizeof(want), "what is known is told, once, and padded to eight");
    ok(!r.in.plain, "libfcgi is not to see it");
    struct buf bare = BUF_INIT;
    request(&bare, 1, true, "", 0);
    is_mem(r.copy.data, r.copy.len, bare.data, bare.len, "it is not in the copy");
    run_free(&r);

    buf_clear(&b);
    buf_clear(&names);
    pair(&names, "FCGI_MAX_CONNS", "", false);
    record(&b, PROTO_GET_VALUES, 0, names.data, names.len - 1, 0);
    gives(&r, &b, "b", "GET_VALUES with a name that is cut off");
    run_free(&r);
    buf_free(&b);
    buf_free(&bare);
    buf_free(&names);
}

static void strangers(void)
{
    struct buf b = BUF_INIT;
    struct run r;
    record(&b, 200, 0, "abc", 3, 5);
    gives(&r, &b, "p", "a management record that nobody knows");
    is_mem(r.replies.data, r.replies.len, "\1\13\0\0\0\10\0\0\310\0\0\0\0\0\0\0", 16, "UNKNOWN_TYPE names it");
    run_free(&r);

    buf_clear(&b);
    begin(&b, 5, 3, PROTO_KEEP_CONN, 0);
    gives(&r, &b, "p", "a filter");
    is_mem(r.replies.data, r.replies.len, "\1\3\0\5\0\10\0\0\0\0\0\0\3\0\0\0", 16, "UNKNOWN_ROLE");
    ok(!r.in.close && !r.in.begun, "the connection goes on");
    run_free(&r);
    rest(&b, 5, "for the filter", 1);
    request(&b, 6, false, "x", 0);
    gives(&r, &b, "phr", "what is for the filter is passed over");
    is_int(r.in.body_len, 1, "the body is the request's alone");
    run_free(&r);

    buf_clear(&b);
    begin(&b, 5, 2, 0, 0);
    gives(&r, &b, "p", "an authorizer that closes");
    ok(r.in.close, "the connection ends");
    run_free(&r);

    buf_clear(&b);
    begin(&b, 1, PROTO_RESPONDER, PROTO_KEEP_CONN, 0);
    begin(&b, 2, PROTO_RESPONDER, PROTO_KEEP_CONN, 0);
    record(&b, PROTO_PARAMS, 2, "junk", 4, 0);
    record(&b, PROTO_ABORT_REQUEST, 2, NULL, 0, 0);
    rest(&b, 1, "hello", 0);
    gives(&r, &b, "phr", "a second request in the midst of one");
    is_mem(r.replies.data, r.replies.len, "\1\3\0\2\0\10\0\0\0\0\0\0\1\0\0\0", 16, "CANT_MPX_CONN");
    is_int(r.in.body_len, 5, "the first is whole");
    run_free(&r);
    buf_free(&b);
}

static void aborts(void)
{
    struct buf b = BUF_INIT;
    struct run r;
    begin(&b, 1, PROTO_RESPONDER, PROTO_KEEP_CONN, 0);
    record(&b, PROTO_PARAMS, 1, "\1\1ab", 4, 0);
    record(&b, PROTO_ABORT_REQUEST, 1, NULL, 0, 0);
    gives(&r, &b, "a", "an aborted request");
    run_free(&r);

    buf_clear(&b);
    record(&b, PROTO_ABORT_REQUEST, 1, NULL, 0, 0);
    request(&b, 1, true, "", 0);
    gives(&r, &b, "hr", "an abort of what was answered already");
    run_free(&r);
    buf_free(&b);
}

static void bad_bytes(void)
{
    static const unsigned char huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'a', 'b'};
    struct buf b = BUF_INIT;
    struct run r;
    buf_str(&b, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    gives(&r, &b, "b", "HTTP");
    run_free(&r);

    static const struct {
        const char *name;
        unsigned char type;
        const void *content;
        size_t n;
    } seconds[] = {{"lengths that overflow", PROTO_PARAMS, huge, sizeof(huge)},
                   {"a value longer than all may be", PROTO_PARAMS, "\1\200\1\0\1a", 6},
                   {"DATA", PROTO_DATA, "x", 1},
                   {"STDIN before the parameters end", PROTO_STDIN, "x", 1},
                   {"a second BEGIN_REQUEST", PROTO_BEGIN_REQUEST, "\0\1\0\0\0\0\0\0", 8},
                   {"a BEGIN_REQUEST of three bytes", PROTO_BEGIN_REQUEST, "\0\1\0", 3},
                   {"STDOUT", PROTO_STDOUT, "x", 1}};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
        buf_clear(&b);
        begin(&b, 1, PROTO_RESPONDER, 0, 0);
        record(&b, seconds[i].type, 1, seconds[i].content, seconds[i].n, 0);
        gives(&r, &b, "b", seconds[i].name);
        run_free(&r);
    }

    buf_clear(&b);
    begin(&b, 1, PROTO_RESPONDER, 0, 0);
    record(&b, PROTO_PARAMS, 1, "\5\5ab", 4, 0);
    record(&b, PROTO_PARAMS, 1, NULL, 0, 0);
    gives(&r, &b, "b", "parameters that end within a pair");
    run_free(&r);

    buf_clear(&b);
    begin(&b, 1, PROTO_RESPONDER, 0, 0);
    record(&b, PROTO_PARAMS, 1, "\200\0", 2, 0);
    record(&b, PROTO_PARAMS, 1, NULL, 0, 0);
    gives(&r, &b, "b", "parameters that end within a length");
    run_free(&r);
    buf_free(&b);
}

static void params_limit(void)
{
    static char zeros[32768];
    struct buf b = BUF_INIT;
    struct run r;
    begin(&b, 1, PROTO_RESPONDER, 0, 0);
    record(&b, PROTO_PARAMS, 1, zeros, sizeof(zeros), 0);
    record(&b, PROTO_PARAMS, 1, zeros, sizeof(zeros), 0);
    record(&b, PROTO_PARAMS, 1, NULL, 0, 0);
    run_init(&r);
    run_feed(&r, b.data, b.len);
    is_str(r.events, "h", "64 KiB of parameters");
    run_free(&r);
    b.len -= PROTO_HEADER;
    record(&b, PROTO_PARAMS, 1, zeros, 2, 0);
    run_init(&r);
    run_feed(&r, b.data, b.len);
    is_str(r.events, "b", "two bytes more");
    run_free(&r);
    buf_free(&b);
}

/* While the answer to request 7 is made. */
static void busy(void)
{
    struct buf b = BUF_INIT;
    struct run r;
    begin(&b, 8, PROTO_RESPONDER, PROTO_KEEP_CONN, 0);
    rest(&b, 8, "x", 0);
    record(&b, PROTO_ABORT_REQUEST, 7, NULL, 0, 0);
    run_init(&r);
    inspect_init_busy(&r.in, 7, true);
    run_feed(&r, b.data, b.len);
    is_str(r.events, "pa", "another request is refused, an abort is heard");
    run_free(&r);

    buf_clear(&b);
    record(&b, PROTO_STDIN, 7, "late", 4, 0);
    run_init(&r);
    inspect_init_busy(&r.in, 7, true);
    run_feed(&r, b.data, b.len);
    is_str(r.events, "b", "more of a request that was whole");
    run_free(&r);

    buf_clear(&b);
    request(&b, 7, true, "next", 0);
    run_init(&r);
    inspect_init_busy(&r.in, 7, true);
    run_feed(&r, b.data, 5);
    ok(!inspect_between(&r.in), "within a header when the answer is out");
    inspect_next(&r.in);
    run_feed(&r, b.data + 5, b.len - 5);
    is_str(r.events, "hr", "what was begun goes on as the next request");
    is_int(r.in.body_len, 4, "and is whole");
    run_free(&r);
    buf_free(&b);
}

/* Any bytes at all: it ends, uses no more than it is given, and cutting changes nothing. */
static void noise(void)
{
    uint32_t seed = 12345;
    size_t differing = 0;
    for (int round = 0; round < 2000; round++) {
        char bytes[200];
        struct run a, b;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 1664525 + 1013904223;
            /* Mostly such bytes as headers are made of. */
            bytes[i] = (char)(seed >> 28 ? (seed >> 24) % 12 : seed >> 20);
        }
        for (size_t i = 0; i < 40; i += 8)
            bytes[i] = 1;
        run_init(&a);
        run_init(&b);
        run_feed(&a, bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes) && run_feed(&b, bytes + i, 1); i++)
            ;
        differing += !same(&a, &b);
        run_free(&a);
        run_free(&b);
    }
    is_int(differing, 0, "noise is the same noise however it is cut");
}

int main(void)
{
    whole_requests();
    content_lengths();
    get_values();
    strangers();
    aborts();
    bad_bytes();
    params_limit();
    busy();
    noise();
    return done_testing();
}
