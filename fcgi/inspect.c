#include "inspect.h"

#include <string.h>

#include "proto.h"

static const char length_name[] = "CONTENT_LENGTH";

void inspect_init(struct inspect *in)
{
    /* The arrays are written before they are read. */
    in->id = 0;
    in->begun = false;
    in->keep = false;
    in->head_done = false;
    in->plain = true;
    in->content_length = -1;
    in->body_len = 0;
    in->reply_len = 0;
    in->close = false;
    in->why = "";
    in->busy = false;
    in->header_len = 0;
    in->kind = INSPECT_SKIP;
    in->content_left = 0;
    in->padding_left = 0;
    in->side_len = 0;
    in->params_len = 0;
    in->pairs = 0;
    in->pair_phase = 0;
    in->pair_more = 0;
    in->pair_len[0] = 0;
    in->pair_len[1] = 0;
    in->pair_at = 0;
    in->pair_is_length = false;
    in->pair_number = 0;
}

void inspect_init_busy(struct inspect *in, uint16_t id, bool keep)
{
    inspect_init(in);
    in->id = id;
    in->keep = keep;
    in->begun = true;
    in->busy = true;
}

bool inspect_between(const struct inspect *in)
{
    return in->header_len == 0;
}

void inspect_next(struct inspect *in)
{
    struct inspect old = *in;
    inspect_init(in);
    if (inspect_between(&old))
        return;
    memcpy(in->header, old.header, sizeof(in->header));
    in->header_len = old.header_len;
    in->kind = old.kind == INSPECT_ABORTING ? INSPECT_SKIP : old.kind;
    in->content_left = old.content_left;
    in->padding_left = old.padding_left;
    memcpy(in->side, old.side, sizeof(in->side));
    in->side_len = old.side_len;
    in->plain = false;
}

size_t inspect_end_request(unsigned char *out, uint16_t id, unsigned char protocol_status)
{
    proto_header(out, PROTO_END_REQUEST, id, 8, 0);
    memset(out + PROTO_HEADER, 0, 8);
    out[PROTO_HEADER + 4] = protocol_status;
    return PROTO_HEADER + 8;
}

static enum inspect_event bad(struct inspect *in, const char *why)
{
    in->why = why;
    return INSPECT_BAD;
}

static uint16_t header_id(const struct inspect *in)
{
    return (uint16_t)(in->header[2] << 8 | in->header[3]);
}

/* A record of the request that is being read. */
static enum inspect_event classify_own(struct inspect *in)
{
    const uint32_t length = in->content_left;
    switch (in->header[1]) {
    case PROTO_PARAMS:
        in->kind = INSPECT_PARAMS;
        if (in->head_done)
            return bad(in, "PARAMS after their end");
        in->params_len += length;
        if (in->params_len > INSPECT_PARAMS_MAX)
            return bad(in, "more than 64 KiB of PARAMS");
        return INSPECT_MORE;
    case PROTO_STDIN:
        in->kind = INSPECT_STDIN;
        if (!in->head_done)
            return bad(in, "STDIN before the end of PARAMS");
        in->body_len += length;
        return INSPECT_MORE;
    default:
        return bad(in, "a record type that is none of a request");
    }
}

/* A record of the request that is being answered, or of one that nobody began. */
static enum inspect_event classify_other(struct inspect *in)
{
    in->plain = false;
    in->kind = INSPECT_SKIP;
    switch (in->header[1]) {
    case PROTO_PARAMS:
    case PROTO_STDIN:
    case PROTO_DATA:
    case PROTO_ABORT_REQUEST:
        return INSPECT_MORE;
    default:
        return bad(in, "a record type that is none of a request");
    }
}

/* Judges a record by its header, as soon as that is whole. */
static enum inspect_event classify(struct inspect *in)
{
    const unsigned char type = in->header[1];
    const uint16_t id = header_id(in);
    if (in->header[0] != PROTO_VERSION)
        return bad(in, "not FastCGI version 1");
    in->content_left = (uint32_t)(in->header[4] << 8 | in->header[5]);
    in->padding_left = in->header[6];
    in->side_len = 0;
    /* libfcgi forgets the padding of the records that it acts on. */
    if (in->padding_left > 0 && (in->content_left == 0 || type == PROTO_BEGIN_REQUEST))
        in->plain = false;

    if (id == 0) {
        in->plain = false;
        in->kind = type == PROTO_GET_VALUES ? INSPECT_VALUES : INSPECT_UNKNOWN;
        if (in->kind == INSPECT_VALUES && in->content_left > INSPECT_SIDE_MAX)
            return bad(in, "a GET_VALUES record that is too long");
        return INSPECT_MORE;
    }
    if (type == PROTO_BEGIN_REQUEST) {
        in->kind = INSPECT_BEGIN;
        if (in->content_left != 8)
            return bad(in, "a BEGIN_REQUEST record that is not of 8 bytes");
        if (in->begun && id == in->id)
            return bad(in, "a request begun twice");
        return INSPECT_MORE;
    }
    if (!in->begun || id != in->id)
        return classify_other(in);
    if (type == PROTO_ABORT_REQUEST) {
        in->kind = INSPECT_ABORTING;
        return INSPECT_MORE;
    }
    return in->busy ? bad(in, "more of a request after its end") : classify_own(in);
}

/* One byte of a length: one byte long, or four with the top bit set. */
static bool pair_length(struct inspect *in, unsigned char c)
{
    uint32_t *len = &in->pair_len[in->pair_phase];
    if (in->pair_more == 0) {
        *len = c & 0x7f;
        in->pair_more = c & 0x80 ? 3 : 0;
    } else {
        *len = *len << 8 | c;
        in->pair_more--;
    }
    if (in->pair_more > 0)
        return true;
    if (*len > INSPECT_PARAMS_MAX)
        return false;
    in->pair_phase++;
    in->pair_at = 0;
    if (in->pair_phase == 2) {
        in->pair_is_length = in->pair_len[0] == sizeof(length_name) - 1;
        in->pair_number = 0;
    }
    return true;
}

/* One digit of CONTENT_LENGTH's value. */
static void pair_digit(struct inspect *in, unsigned char c)
{
    if (c < '0' || c > '9' || in->pair_number > (INT64_MAX - 9) / 10)
        in->pair_is_length = false;
    else
        in->pair_number = in->pair_number * 10 + (c - '0');
}

/* Goes from phase to phase where a name or a value has its length. */
static void pair_step(struct inspect *in)
{
    if (in->pair_phase == 2 && in->pair_at == in->pair_len[0]) {
        in->pair_phase = 3;
        in->pair_at = 0;
    }
    if (in->pair_phase == 3 && in->pair_at == in->pair_len[1]) {
        if (in->pair_is_length && in->pair_len[1] > 0)
            in->content_length = in->pair_number;
        in->pairs++;
        in->pair_phase = 0;
    }
}

/* Bytes of the PARAMS stream.  False where a length goes beyond what the stream may hold. */
static bool pairs(struct inspect *in, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (in->pair_phase < 2) {
            if (!pair_length(in, p[i++]))
                return false;
        } else {
            const uint32_t left = in->pair_len[in->pair_phase - 2] - in->pair_at;
            const size_t take = left < n - i ? left : n - i;
            for (size_t k = 0; k < take && in->pair_is_length; k++) {
                if (in->pair_phase == 3)
                    pair_digit(in, p[i + k]);
                else if (p[i + k] != (unsigned char)length_name[in->pair_at + k])
                    in->pair_is_length = false;
            }
            in->pair_at += (uint32_t)take;
            i += take;
        }
        pair_step(in);
    }
    return true;
}

/* Takes content bytes of the record at hand. */
static bool content(struct inspect *in, const unsigned char *p, size_t n, struct buf *copy)
{
    switch (in->kind) {
    case INSPECT_BEGIN:
    case INSPECT_VALUES:
        memcpy(in->side + in->side_len, p, n);
        in->side_len += n;
        return true;
    case INSPECT_PARAMS:
        if (copy)
            buf_add(copy, p, n);
        return pairs(in, p, n);
    case INSPECT_STDIN:
        if (copy)
            buf_add(copy, p, n);
        return true;
    default:
        return true;
    }
}

/* The header of a record that libfcgi is to see; the padding stays behind. */
static void copy_header(const struct inspect *in, struct buf *copy)
{
    if (!copy)
        return;
    buf_add(copy, in->header, 6);
    buf_add(copy, "\0", 2);
}

static enum inspect_event end_begin(struct inspect *in, struct buf *copy)
{
    const unsigned role = (unsigned)(in->side[0] << 8 | in->side[1]);
    const bool keep = (in->side[2] & PROTO_KEEP_CONN) != 0;
    const uint16_t id = header_id(in);
    if (in->begun || role != PROTO_RESPONDER) {
        in->plain = false;
        in->reply_len = inspect_end_request(in->reply, id, in->begun ? PROTO_CANT_MPX_CONN : PROTO_UNKNOWN_ROLE);
        in->close = !in->begun && !keep;
        return INSPECT_REPLY;
    }
    in->begun = true;
    in->id = id;
    in->keep = keep;
    copy_header(in, copy);
    if (copy)
        buf_add(copy, in->side, in->side_len);
    return INSPECT_MORE;
}

/* Appends one pair to the reply where the name is asked for; seen has one bit a name. */
static void value_reply(struct inspect *in, const unsigned char *name, size_t name_len, unsigned *seen)
{
    static const struct {
        const char *name;
        const char *value;
    } known[] = {{"FCGI_MAX_CONNS", "4096"}, {"FCGI_MAX_REQS", "4096"}, {"FCGI_MPXS_CONNS", "0"}};
    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const size_t value_len = strlen(known[i].value);
        if (strlen(known[i].name) != name_len || memcmp(known[i].name, name, name_len) != 0 || *seen & 1u << i)
            continue;
        *seen |= 1u << i;
        unsigned char *p = in->reply + in->reply_len;
        p[0] = (unsigned char)name_len;
        p[1] = (unsigned char)value_len;
        memcpy(p + 2, name, name_len);
        memcpy(p + 2 + name_len, known[i].value, value_len);
        in->reply_len += 2 + name_len + value_len;
    }
}

/* GET_VALUES: the record holds pairs of names and empty values. */
static enum inspect_event end_values(struct inspect *in)
{
    unsigned seen = 0;
    in->reply_len = PROTO_HEADER;
    for (size_t at = 0; at + 2 <= in->side_len;) {
        const size_t name_len = in->side[at];
        const size_t value_len = in->side[at + 1];
        at += 2;
        if ((name_len | value_len) & 0x80 || name_len + value_len > in->side_len - at)
            return bad(in, "a GET_VALUES record that does not hold what it says");
        value_reply(in, in->side + at, name_len, &seen);
        at += name_len + value_len;
    }
    const size_t length = in->reply_len - PROTO_HEADER;
    const size_t padding = proto_padding(length);
    proto_header(in->reply, PROTO_GET_VALUES_RESULT, 0, (uint16_t)length, (unsigned char)padding);
    memset(in->reply + in->reply_len, 0, padding);
    in->reply_len += padding;
    return INSPECT_REPLY;
}

static enum inspect_event end_unknown(struct inspect *in)
{
    proto_header(in->reply, PROTO_UNKNOWN_TYPE, 0, 8, 0);
    memset(in->reply + PROTO_HEADER, 0, 8);
    in->reply[PROTO_HEADER] = in->header[1];
    in->reply_len = PROTO_HEADER + 8;
    return INSPECT_REPLY;
}

static enum inspect_event end_params(struct inspect *in)
{
    if (in->header[4] != 0 || in->header[5] != 0)
        return INSPECT_MORE;
    if (in->pair_phase != 0 || in->pair_more != 0)
        return bad(in, "PARAMS that end within a pair");
    in->head_done = true;
    return INSPECT_HEAD;
}

/* The record at hand is whole, padding and all. */
static enum inspect_event record_end(struct inspect *in, struct buf *copy)
{
    switch (in->kind) {
    case INSPECT_BEGIN:
        return end_begin(in, copy);
    case INSPECT_PARAMS:
        return end_params(in);
    case INSPECT_STDIN:
        return in->header[4] == 0 && in->header[5] == 0 ? INSPECT_READY : INSPECT_MORE;
    case INSPECT_ABORTING:
        return INSPECT_ABORT;
    case INSPECT_VALUES:
        return end_values(in);
    case INSPECT_UNKNOWN:
        return end_unknown(in);
    default:
        return INSPECT_MORE;
    }
}

/* Takes header bytes; once there are eight, the record is judged. */
static enum inspect_event take_header(struct inspect *in, const unsigned char *data, size_t n, size_t *at,
                                      struct buf *copy)
{
    while (in->header_len < PROTO_HEADER && *at < n)
        in->header[in->header_len++] = data[(*at)++];
    if (in->header_len < PROTO_HEADER)
        return INSPECT_MORE;
    const enum inspect_event event = classify(in);
    if (event == INSPECT_MORE && (in->kind == INSPECT_PARAMS || in->kind == INSPECT_STDIN))
        copy_header(in, copy);
    return event;
}

static size_t take(uint32_t *left, size_t have)
{
    const size_t n = *left < have ? *left : have;
    *left -= (uint32_t)n;
    return n;
}

enum inspect_event inspect_feed(struct inspect *in, const unsigned char *data, size_t n, size_t *used, struct buf *copy)
{
    size_t at = 0;
    enum inspect_event event = INSPECT_MORE;
    while (at < n && event == INSPECT_MORE) {
        if (in->header_len < PROTO_HEADER)
            event = take_header(in, data, n, &at, copy);
        if (event != INSPECT_MORE || in->header_len < PROTO_HEADER)
            break;
        const size_t len = take(&in->content_left, n - at);
        if (len > 0 && !content(in, data + at, len, copy)) {
            event = bad(in, "a parameter longer than all of them may be");
            break;
        }
        at += len;
        at += take(&in->padding_left, n - at);
        if (in->content_left == 0 && in->padding_left == 0) {
            in->header_len = 0;
            event = record_end(in, copy);
        }
    }
    *used = at;
    return event;
}
