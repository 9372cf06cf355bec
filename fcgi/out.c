#include "out.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "inspect.h"
#include "mem.h"
#include "proto.h"

enum {
    CONTENT_MAX = 65528, /* of one record: the most that needs no padding */
    RECORDS = 32,        /* records sent with one call */
    VECTORS = RECORDS * (1 + OUT_PARTS) + 2,
    TAIL_MAX = 2 * PROTO_HEADER + 8
};

static const unsigned char zeros[8];

/* A piece of output on its way into records. */
struct framing {
    struct out_part parts[OUT_PARTS];
    unsigned part;
    size_t at;   /* in that part */
    size_t left; /* in all of them */
    uint16_t id;
    bool last;
    bool done;
    unsigned char headers[RECORDS][PROTO_HEADER];
    unsigned char tail[TAIL_MAX];
    struct iovec vectors[VECTORS];
    size_t count;
    size_t bytes; /* in the vectors */
};

/* An iovec is not const even where it is only read. */
static struct iovec vector(const void *data, size_t len)
{
    union {
        const void *in;
        void *out;
    } base = {data};
    return (struct iovec){base.out, len};
}

static void add_vector(struct framing *f, const void *data, size_t len)
{
    if (len == 0)
        return;
    f->vectors[f->count++] = vector(data, len);
    f->bytes += len;
}

/* One STDOUT record of up to CONTENT_MAX bytes. */
static void add_record(struct framing *f, unsigned char *header)
{
    size_t len = f->left < CONTENT_MAX ? f->left : CONTENT_MAX;
    const size_t padding = proto_padding(len);
    proto_header(header, PROTO_STDOUT, f->id, (uint16_t)len, (unsigned char)padding);
    add_vector(f, header, PROTO_HEADER);
    f->left -= len;
    while (len > 0) {
        const struct out_part *part = &f->parts[f->part];
        const size_t have = part->len - f->at;
        const size_t take = have < len ? have : len;
        add_vector(f, (const char *)part->data + f->at, take);
        len -= take;
        f->at += take;
        if (f->at == part->len) {
            f->part++;
            f->at = 0;
        }
    }
    add_vector(f, zeros, padding);
}

/* Fills the vectors with the next records.  Only the last record is padded, so the vectors suffice. */
static void next_batch(struct framing *f)
{
    f->count = 0;
    f->bytes = 0;
    for (unsigned i = 0; i < RECORDS && f->left > 0; i++)
        add_record(f, f->headers[i]);
    if (f->left > 0)
        return;
    f->done = true;
    if (!f->last)
        return;
    proto_header(f->tail, PROTO_STDOUT, f->id, 0, 0);
    const size_t len = PROTO_HEADER + inspect_end_request(f->tail + PROTO_HEADER, f->id, PROTO_REQUEST_COMPLETE);
    add_vector(f, f->tail, len);
}

/* Bytes that all that is still to be framed will take, at most. */
static size_t framed_size(const struct framing *f)
{
    return f->left + (f->left / CONTENT_MAX + 1) * PROTO_HEADER + sizeof(zeros) + TAIL_MAX;
}

/* Room for n more bytes behind those that wait. */
static bool reserve(struct out *out, size_t n)
{
    const size_t pending = out_pending(out);
    if (n <= out->cap - out->end)
        return true;
    if (n > SIZE_MAX / 2 - pending)
        return false;
    if (out->start > 0 && pending <= out->cap / 2 && n <= out->cap - pending) {
        memmove(out->data, out->data + out->start, pending);
    } else {
        size_t cap = out->cap + out->cap / 2;
        if (cap < pending + n)
            cap = pending + n;
        unsigned char *data = mem_alloc(cap);
        if (!data)
            return false;
        if (pending > 0)
            memcpy(data, out->data + out->start, pending);
        mem_free(out->data);
        out->data = data;
        out->cap = cap;
    }
    out->start = 0;
    out->end = pending;
    return true;
}

/* Sends count vectors; the bytes taken, 0 where the socket is full, -1 where the peer is gone. */
static ssize_t send_vectors(int fd, struct iovec *vectors, size_t count)
{
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    for (;;) {
        const ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return 0;
        if (errno != EINTR)
            return -1;
    }
}

/* Keeps what of the batch comes after its first skip bytes.  There is room. */
static void keep_batch(struct out *out, const struct framing *f, size_t skip)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct iovec *v = &f->vectors[i];
        const size_t off = skip < v->iov_len ? skip : v->iov_len;
        skip -= off;
        if (off == v->iov_len)
            continue;
        memcpy(out->data + out->end, (const char *)v->iov_base + off, v->iov_len - off);
        out->end += v->iov_len - off;
    }
}

bool out_stdout(struct out *out, int fd, uint16_t id, const struct out_part parts[OUT_PARTS], bool last)
{
    struct framing f;
    f.part = 0;
    f.at = 0;
    f.left = 0;
    f.id = id;
    f.last = last;
    f.done = false;
    for (unsigned i = 0; i < OUT_PARTS; i++) {
        f.parts[i] = parts[i];
        f.left += parts[i].len;
    }
    if (f.left == 0 && !last)
        return true;
    while (f.parts[f.part].len == 0 && f.left > 0)
        f.part++;

    bool direct = out_pending(out) == 0;
    while (!f.done) {
        const size_t size = framed_size(&f);
        size_t sent = 0;
        next_batch(&f);
        if (direct) {
            const ssize_t n = send_vectors(fd, f.vectors, f.count);
            if (n < 0)
                return false;
            sent = (size_t)n;
        }
        if (sent == f.bytes)
            continue;
        direct = false;
        if (!reserve(out, size))
            return false;
        keep_batch(out, &f, sent);
    }
    return true;
}

bool out_raw(struct out *out, int fd, const void *data, size_t len)
{
    size_t sent = 0;
    if (out_pending(out) == 0) {
        struct iovec v = vector(data, len);
        const ssize_t n = send_vectors(fd, &v, 1);
        if (n < 0)
            return false;
        sent = (size_t)n;
    }
    if (sent == len)
        return true;
    if (!reserve(out, len - sent))
        return false;
    memcpy(out->data + out->end, (const char *)data + sent, len - sent);
    out->end += len - sent;
    return true;
}

bool out_flush(struct out *out, int fd)
{
    while (out_pending(out) > 0) {
        struct iovec v = {out->data + out->start, out_pending(out)};
        const ssize_t n = send_vectors(fd, &v, 1);
        if (n < 0)
            return false;
        if (n == 0)
            return true;
        out->start += (size_t)n;
    }
    out_free(out);
    return true;
}

void out_free(struct out *out)
{
    mem_free(out->data);
    *out = (struct out)OUT_INIT;
}
