/*
 * FastCGI bytes from a web server, or from anybody: the same events whether they come in one piece or cut up, at places
 * that the first two bytes choose.
 */
#include "fcgi/inspect.h"

#include "fuzz.h"

struct run {
    unsigned events; /* a sum over them in order */
    enum inspect_event last;
    struct inspect in;
    struct buf copy;
    size_t used;
};

/* Feeds n bytes; false when it came to an end. */
static bool feed(struct run *r, const uint8_t *data, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t used = 0;
        r->last = inspect_feed(&r->in, data + at, n - at, &used, &r->copy);
        must(used <= n - at);
        at += used;
        r->used += used;
        if (r->last == INSPECT_MORE)
            must(at == n);
        else
            r->events = r->events * 31 + (unsigned)r->last + 1;
        must(r->last != INSPECT_REPLY || r->in.reply_len <= sizeof r->in.reply);
        if (r->last == INSPECT_READY || r->last == INSPECT_ABORT || r->last == INSPECT_BAD ||
            (r->last == INSPECT_REPLY && r->in.close))
            return false;
    }
    return true;
}

static void run(struct run *r, const uint8_t *data, size_t n, uint32_t cuts, bool busy)
{
    memset(r, 0, sizeof *r);
    if (busy)
        inspect_init_busy(&r->in, 1, true);
    else
        inspect_init(&r->in);
    for (size_t at = 0; at < n;) {
        cuts = cuts * 1664525 + 1013904223;
        size_t step = cuts == 0 ? 1 : 1 + (cuts >> 24) % 13;
        if (step > n - at)
            step = n - at;
        if (!feed(r, data + at, step))
            return;
        at += step;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, cut;

    if (size < 2)
        return 0;
    bool busy = data[0] & 1;
    memset(&whole, 0, sizeof whole);
    if (busy)
        inspect_init_busy(&whole.in, 1, true);
    else
        inspect_init(&whole.in);
    feed(&whole, data + 2, size - 2);
    run(&cut, data + 2, size - 2, (uint32_t)data[0] << 8 | data[1], busy);
    must(whole.last == cut.last && whole.events == cut.events);
    must((whole.last == INSPECT_BAD) == (whole.in.why != NULL && whole.last == INSPECT_BAD));
    if (whole.last != INSPECT_BAD) {
        must(whole.used == cut.used && whole.in.body_len == cut.in.body_len);
        must(whole.copy.len == cut.copy.len &&
             (whole.copy.len == 0 || memcmp(whole.copy.data, cut.copy.data, whole.copy.len) == 0));
    }
    buf_free(&whole.copy);
    buf_free(&cut.copy);
    return 0;
}
