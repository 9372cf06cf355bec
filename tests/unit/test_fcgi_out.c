/* Records on a socket: what arrives is what was sent, also where the socket takes it in small pieces or not at all. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "fcgi/out.h"
#include "fcgi/proto.h"
#include "mem.h"
#include "tap.h"

struct link {
    int ours, theirs;
    struct out out;
    struct buf got; /* what the peer has read */
};

static void link_open(struct link *l, int room)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        exit(99);
    if (room > 0)
        setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    *l = (struct link){fds[0], fds[1], OUT_INIT, BUF_INIT};
}

static void link_close(struct link *l)
{
    close(l->ours);
    if (l->theirs >= 0)
        close(l->theirs);
    out_free(&l->out);
    buf_free(&l->got);
}

/* The peer reads all there is. */
static void take(struct link *l)
{
    for (;;) {
        char *room = buf_room(&l->got, 65536);
        const ssize_t n = recv(l->theirs, room, 65536, MSG_DONTWAIT);
        if (n <= 0)
            return;
        l->got.len += (size_t)n;
    }
}

static void take_all(struct link *l)
{
    take(l);
    while (out_pending(&l->out) > 0 && out_flush(&l->out, l->ours))
        take(l);
}

static bool put(struct link *l, const char *a, size_t a_len, const char *b, size_t b_len, bool last)
{
    const struct out_part parts[OUT_PARTS] = {{a, a_len}, {b, b_len}};
    return out_stdout(&l->out, l->ours, 0x0102, parts, last);
}

/* Takes the records apart again: the content of STDOUT, and whether everything around it is as it must be. */
static bool unframe(const struct buf *wire, struct buf *content, bool *ended)
{
    const unsigned char *p = (const unsigned char *)wire->data;
    size_t at = 0;
    *ended = false;
    while (at < wire->len) {
        if (*ended || wire->len - at < PROTO_HEADER || p[at] != 1 || p[at + 2] != 1 || p[at + 3] != 2)
            return false;
        const size_t len = (size_t)(p[at + 4] << 8 | p[at + 5]);
        const size_t padding = p[at + 6];
        if ((len + padding) % 8 != 0 || wire->len - at - PROTO_HEADER < len + padding)
            return false;
        if (p[at + 1] == PROTO_END_REQUEST)
            *ended = len == 8;
        else if (p[at + 1] != PROTO_STDOUT)
            return false;
        else if (len > 0)
            buf_add(content, wire->data + at + PROTO_HEADER, len);
        at += PROTO_HEADER + len + padding;
    }
    return true;
}

static char *letters(size_t n)
{
    char *p = malloc(n + 1);
    for (size_t i = 0; p && i < n; i++)
        p[i] = (char)('a' + i % 23);
    return p;
}

static void golden(void)
{
    static const char want[] = "\1\6\1\2\0\5\3\0heado\0\0\0"
                               "\1\6\1\2\0\0\0\0"
                               "\1\3\1\2\0\10\0\0\0\0\0\0\0\0\0\0";
    struct link l;
    link_open(&l, 0);
    ok(put(&l, "head", 4, "o", 1, true), "a small answer is sent");
    is_int(out_pending(&l.out), 0, "at once");
    take(&l);
    is_mem(l.got.data, l.got.len, want, sizeof(want) - 1, "byte for byte");
    link_close(&l);

    link_open(&l, 0);
    ok(put(&l, "12345678", 8, NULL, 0, false) && put(&l, NULL, 0, "", 0, false), "a piece of a stream, and none");
    take(&l);
    is_mem(l.got.data, l.got.len,
           "\1\6\1\2\0\10\0\0"
           "12345678",
           16, "eight bytes need no padding, and nothing makes no record: that would end the stream");
    link_close(&l);

    link_open(&l, 0);
    ok(put(&l, NULL, 0, NULL, 0, true), "the end alone");
    take(&l);
    is_mem(l.got.data, l.got.len, want + 16, 24, "is the end of STDOUT and of the request");
    link_close(&l);
}

/* An answer of that length, the socket's buffer full before, small, or large. */
static void sizes(size_t head_len, size_t body_len, int room, bool full)
{
    struct link l;
    struct buf content = BUF_INIT;
    bool ended;
    size_t noise = 0;
    char *head = letters(head_len);
    char *body = letters(body_len);
    link_open(&l, room);
    if (full) {
        const char filler[1000] = {0};
        for (ssize_t n; (n = send(l.ours, filler, sizeof(filler), MSG_DONTWAIT)) > 0;)
            noise += (size_t)n;
    }
    const bool sent = put(&l, head, head_len, body, body_len, true);
    if (full)
        ok(out_pending(&l.out) >= head_len + body_len + 32, "a full socket takes nothing, and all of it waits");
    take_all(&l);
    l.got.len -= noise;
    memmove(l.got.data, l.got.data + noise, l.got.len);
    ok(sent && unframe(&l.got, &content, &ended) && ended, "%zu and %zu bytes, room %d: records and their end",
       head_len, body_len, room);
    is_int(content.len, head_len + body_len, "all of it");
    ok(content.len == head_len + body_len && (head_len == 0 || memcmp(content.data, head, head_len) == 0) &&
           (body_len == 0 || memcmp(content.data + head_len, body, body_len) == 0),
       "in order");
    ok(l.out.data == NULL, "no memory is held once all is sent");
    free(head);
    free(body);
    buf_free(&content);
    link_close(&l);
}

static void streams(void)
{
    struct link l;
    struct buf content = BUF_INIT;
    struct buf want = BUF_INIT;
    bool ended, good = true, waited = false;
    char *piece = letters(5000);
    link_open(&l, 1);
    for (size_t i = 0; i < 200; i++) {
        good = good && put(&l, piece, i * 25 + 1, NULL, 0, false);
        buf_add(&want, piece, i * 25 + 1);
        waited = waited || out_pending(&l.out) > 0;
        if (i % 7 == 0) {
            take(&l);
            good = good && out_flush(&l.out, l.ours);
        }
    }
    good = good && put(&l, NULL, 0, NULL, 0, true);
    take_all(&l);
    ok(good && waited, "a stream over a socket that is too small");
    ok(unframe(&l.got, &content, &ended) && ended, "arrives as records");
    is_mem(content.data, content.len, want.data, want.len, "in order");
    free(piece);
    buf_free(&content);
    buf_free(&want);
    link_close(&l);
}

static void raw(void)
{
    struct link l;
    link_open(&l, 0);
    ok(out_raw(&l.out, l.ours, "reply", 5), "a reply");
    take(&l);
    is_mem(l.got.data, l.got.len, "reply", 5, "goes as it is");
    buf_clear(&l.got);
    const char filler[1000] = {0};
    size_t noise = 0;
    for (ssize_t n; (n = send(l.ours, filler, sizeof(filler), MSG_DONTWAIT)) > 0;)
        noise += (size_t)n;
    ok(put(&l, "x", 1, NULL, 0, true) && out_raw(&l.out, l.ours, "reply", 5), "one behind output that waits");
    take_all(&l);
    is_mem(l.got.data + l.got.len - 5, 5, "reply", 5, "comes behind it");
    is_int(l.got.len, noise + 16 + 24 + 5, "and nothing is lost");
    link_close(&l);
}

static void failures(void)
{
    struct link l;
    char *body = letters(1000000);
    link_open(&l, 0);
    close(l.theirs);
    l.theirs = -1;
    ok(!put(&l, "head", 4, body, 1000000, true), "a peer that is gone is told, without a signal");
    link_close(&l);

    link_open(&l, 0);
    mem_fail_after(0, 1);
    ok(!put(&l, "head", 4, body, 1000000, true), "no memory for what the socket does not take is told");
    mem_fail_after(-1, 0);
    link_close(&l);

    link_open(&l, 1);
    ok(put(&l, "head", 4, body, 1000000, true) && out_pending(&l.out) > 0, "output waits");
    close(l.theirs);
    l.theirs = -1;
    ok(!out_flush(&l.out, l.ours), "a peer that goes meanwhile is told");
    link_close(&l);
    free(body);
}

int main(void)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 65527, 65528, 65529, 65536, 131056, 200001};
    golden();
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        sizes(0, lengths[i], 0, false);
        sizes(100, lengths[i], 1, false);
        sizes(lengths[i], 3, 0, true);
    }
    sizes(100, 5000000, 0, false);
    sizes(100, 5000000, 1, false);
    streams();
    raw();
    failures();
    return done_testing();
}
