/*
 * What FastCGI wants as the answer to a web server's bytes, worked out from all of them at once: the judge of a front that
 * gets them in pieces.
 */
#ifndef KVS_FUZZ_PLAN_H
#define KVS_FUZZ_PLAN_H

#include "fcgi/inspect.h"
#include "records.h"

enum { PLAN_REPLIES_MAX = 4096 /* bytes that a peer may ask for beside one request */ };

enum expected {
    EXPECT_NOTHING,
    EXPECT_ANSWER, /* a whole request: its STDOUT and END_REQUEST */
    EXPECT_END,    /* one taken back: END_REQUEST alone */
    EXPECT_REFUSAL,
    EXPECT_VALUES,
    EXPECT_UNKNOWN,
    EXPECT_CLOSE /* what is no FastCGI */
};

struct plan {
    const uint8_t *data;
    size_t len, at; /* bytes in all, and of the records judged so far */
    int64_t max_body;
    bool open, keep, params_done, last; /* last: the connection ends with what is expected */
    uint16_t id;
    uint64_t body;
    int64_t content_length;
    size_t params_len, replied;
    uint8_t params[INSPECT_PARAMS_MAX];
};

enum params { PARAMS_WHOLE, PARAMS_CUT, PARAMS_BAD };

/* One length of a name-value pair. */
static inline enum params plan_length(const struct plan *p, size_t *at, size_t *length)
{
    if (*at >= p->params_len)
        return PARAMS_CUT;
    size_t n = p->params[(*at)++];
    if (n & 0x80) {
        if (p->params_len - *at < 3)
            return PARAMS_CUT;
        n = (n & 0x7f) << 24 | (size_t)p->params[*at] << 16 | (size_t)p->params[*at + 1] << 8 | p->params[*at + 2];
        *at += 3;
    }
    *length = n;
    return n <= INSPECT_PARAMS_MAX ? PARAMS_WHOLE : PARAMS_BAD;
}

/* The value of CONTENT_LENGTH; the last one that is a number counts. */
static inline void plan_content_length(struct plan *p, const uint8_t *value, size_t len)
{
    int64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || number > (INT64_MAX - 9) / 10)
            return;
        number = number * 10 + (value[i] - '0');
    }
    if (len > 0)
        p->content_length = number;
}

/* Reads the parameters that are there. */
static inline enum params plan_params(struct plan *p)
{
    p->content_length = -1;
    for (size_t at = 0; at < p->params_len;) {
        size_t name = 0, value = 0;
        enum params found = plan_length(p, &at, &name);
        if (found == PARAMS_WHOLE)
            found = plan_length(p, &at, &value);
        if (found != PARAMS_WHOLE)
            return found;
        if (name + value > p->params_len - at)
            return PARAMS_CUT;
        if (name == 14 && memcmp(p->params + at, "CONTENT_LENGTH", name) == 0)
            plan_content_length(p, p->params + at + name, value);
        at += name + value;
    }
    return PARAMS_WHOLE;
}

/* The request is over with what is expected now. */
static inline enum expected plan_over(struct plan *p, enum expected what)
{
    p->open = false;
    p->last = !p->keep;
    p->replied = what == EXPECT_ANSWER ? 0 : p->replied;
    return what;
}

/* A reply beside the request's own answer. */
static inline enum expected plan_reply(struct plan *p, enum expected what, size_t len)
{
    p->replied += len;
    return p->replied > PLAN_REPLIES_MAX ? EXPECT_CLOSE : what;
}

static inline enum expected plan_too_large(struct plan *p)
{
    p->keep = false;
    return plan_over(p, EXPECT_ANSWER);
}

static inline enum expected plan_own(struct plan *p, const struct record *r)
{
    if (r->type == PROTO_PARAMS && !p->params_done && p->params_len + r->length <= sizeof p->params) {
        memcpy(p->params + p->params_len, r->content, r->length);
        p->params_len += r->length;
        const enum params found = plan_params(p);
        p->params_done = r->length == 0;
        if (found == PARAMS_BAD || (found == PARAMS_CUT && p->params_done))
            return EXPECT_CLOSE;
        return p->params_done && p->content_length > p->max_body ? plan_too_large(p) : EXPECT_NOTHING;
    }
    if (r->type == PROTO_STDIN && p->params_done) {
        p->body += r->length;
        if (p->body > (uint64_t)p->max_body)
            return plan_too_large(p);
        return r->length == 0 ? plan_over(p, EXPECT_ANSWER) : EXPECT_NOTHING;
    }
    if (r->type == PROTO_ABORT_REQUEST) {
        enum expected what = plan_reply(p, EXPECT_END, PROTO_HEADER + 8);
        return what == EXPECT_END ? plan_over(p, what) : what;
    }
    return EXPECT_CLOSE;
}

static inline enum expected plan_begin(struct plan *p, const struct record *r)
{
    if (r->length != 8 || (p->open && r->id == p->id))
        return EXPECT_CLOSE;
    bool responder = r->content[0] == 0 && r->content[1] == PROTO_RESPONDER;
    bool keep = (r->content[2] & PROTO_KEEP_CONN) != 0;
    if (p->open || !responder) {
        p->last = !p->open && !keep;
        return plan_reply(p, EXPECT_REFUSAL, PROTO_HEADER + 8);
    }
    p->open = true;
    p->keep = keep;
    p->id = r->id;
    p->params_done = false;
    p->params_len = 0;
    p->body = 0;
    return EXPECT_NOTHING;
}

/* GET_VALUES: the bytes of the reply; 0 where it is malformed. */
static inline size_t plan_values(const struct record *r)
{
    static const char *const known[] = {"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"};
    static const size_t values[] = {4, 4, 1};
    bool seen[3] = {false};
    size_t len = 0;

    if (r->length > INSPECT_SIDE_MAX)
        return 0;
    for (size_t at = 0; at + 2 <= r->length;) {
        size_t name = r->content[at], value = r->content[at + 1];
        at += 2;
        if (name > 127 || value > 127 || name + value > r->length - at)
            return 0;
        for (size_t i = 0; i < 3; i++)
            if (strlen(known[i]) == name && memcmp(known[i], r->content + at, name) == 0 && !seen[i]) {
                seen[i] = true;
                len += 2 + name + values[i];
            }
        at += name + value;
    }
    return PROTO_HEADER + len + proto_padding(len);
}

/* Judges the next record; false where there is no whole one any more. */
static inline bool plan_next(struct plan *p, enum expected *what)
{
    struct record r;

    if (p->last || !records_next(p->data + p->at, p->len - p->at, &r))
        return false;
    p->at += r.whole;
    if (r.version != PROTO_VERSION) {
        *what = EXPECT_CLOSE;
    } else if (r.id == 0 && r.type == PROTO_GET_VALUES) {
        size_t len = plan_values(&r);
        *what = len ? plan_reply(p, EXPECT_VALUES, len) : EXPECT_CLOSE;
    } else if (r.id == 0) {
        *what = plan_reply(p, EXPECT_UNKNOWN, PROTO_HEADER + 8);
    } else if (r.type == PROTO_BEGIN_REQUEST) {
        *what = plan_begin(p, &r);
    } else if (p->open && r.id == p->id) {
        *what = plan_own(p, &r);
    } else {
        bool known =
            r.type == PROTO_PARAMS || r.type == PROTO_STDIN || r.type == PROTO_DATA || r.type == PROTO_ABORT_REQUEST;
        *what = known ? EXPECT_NOTHING : EXPECT_CLOSE;
    }
    return true;
}

#endif
