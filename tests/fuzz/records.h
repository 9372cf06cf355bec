/*
 * FastCGI records for the fuzzer: reading them out of raw bytes, and changing them as records rather than as bytes, since
 * nearly every change of a byte only spoils a length.
 */
#ifndef KVS_FUZZ_RECORDS_H
#define KVS_FUZZ_RECORDS_H

#include "../unit/fcgi.h"
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

struct record {
    uint8_t version, type, padding;
    uint16_t id, length;
    const uint8_t *content;
    size_t whole; /* bytes, header and padding too */
};

/* The record that begins at data; false where it is not whole. */
static inline bool records_next(const uint8_t *data, size_t n, struct record *r)
{
    if (n < PROTO_HEADER)
        return false;
    r->version = data[0];
    r->type = data[1];
    r->id = (uint16_t)(data[2] << 8 | data[3]);
    r->length = (uint16_t)(data[4] << 8 | data[5]);
    r->padding = data[6];
    r->content = data + PROTO_HEADER;
    r->whole = PROTO_HEADER + (size_t)r->length + r->padding;
    return r->whole <= n;
}

/* --- Changing --- */

/* What web servers send beside a request's own records, and what a hostile one might. */
static inline void records_insert(struct bytes *b, unsigned choice, uint16_t id)
{
    static const uint8_t begin[8] = {0, 1, 1}, odd[8] = {0, 2, 0},
                         values[] = "\016\0FCGI_MAX_CONNS\017\0FCGI_MPXS_CONNS";
    switch (choice % 9) {
    case 0:
        bytes_record(b, PROTO_GET_VALUES, 0, values, sizeof values - 1);
        break;
    case 1:
        bytes_record(b, (uint8_t)(choice >> 4), 0, values, choice >> 8 & 15);
        break;
    case 2:
        bytes_record(b, PROTO_ABORT_REQUEST, id, "", 0);
        break;
    case 3:
        bytes_record(b, PROTO_BEGIN_REQUEST, (uint16_t)(id + 1), begin, sizeof begin);
        break;
    case 4:
        bytes_record(b, PROTO_BEGIN_REQUEST, id, odd, sizeof odd);
        break;
    case 5:
        bytes_record(b, PROTO_PARAMS, id, "", 0);
        break;
    case 6:
        bytes_record(b, PROTO_STDIN, id, "", 0);
        break;
    case 7:
        bytes_record(b, PROTO_STDIN, (uint16_t)(id + 1), values, choice >> 8 & 15);
        break;
    default:
        bytes_record(b, PROTO_BEGIN_REQUEST, id, begin, sizeof begin);
        break;
    }
}

/* The record, with what it holds changed and its length put right. */
static inline void records_change(struct bytes *b, const struct record *r)
{
    uint8_t content[1024];
    size_t n = r->length < sizeof content / 2 ? r->length : sizeof content / 2;
    memcpy(content, r->content, n);
    n = LLVMFuzzerMutate(content, n, sizeof content);
    bytes_record(b, r->type, r->id, content, n);
}

/* The record, with another header over the same content. */
static inline void records_relabel(struct bytes *b, const struct record *r, const uint8_t *raw, unsigned choice)
{
    size_t at = b->len;
    bytes_add(b, raw, r->whole);
    if (b->len == at)
        return;
    switch (choice % 4) {
    case 0:
        b->data[at + 1] = (uint8_t)(choice >> 4 & 15);
        break;
    case 1:
        b->data[at + 3] = (uint8_t)(choice >> 4 & 3);
        break;
    case 2:
        b->data[at + 4] = (uint8_t)(choice >> 4);
        break;
    default:
        b->data[at + 6] = (uint8_t)(choice >> 4);
        break;
    }
}

/* One record of those in data, which begin behind skip bytes, changed; the new size. */
static inline size_t records_mutate(uint8_t *data, size_t size, size_t max, size_t skip, unsigned seed)
{
    struct record r = {0};
    struct bytes b = {.data = malloc(max), .room = max};
    size_t count = 0, at;

    must(b.data);
    for (at = skip; at < size && records_next(data + at, size - at, &r); at += r.whole)
        count++;
    size_t chosen = count ? seed % count : 0;
    unsigned choice = seed / 7919;
    for (at = skip; chosen > 0 && records_next(data + at, size - at, &r); at += r.whole)
        chosen--;
    bytes_add(&b, data, at < size ? at : size);
    if (at < size && records_next(data + at, size - at, &r)) {
        const unsigned what = choice % 8;
        const uint8_t *raw = data + at;
        at += r.whole;
        if (what == 1 || what == 2)
            records_insert(&b, choice / 8, r.id);
        if (what >= 3 && what <= 4)
            records_change(&b, &r);
        else if (what == 5)
            records_relabel(&b, &r, raw, choice / 8);
        else if (what != 6) /* 6: left out */
            bytes_add(&b, raw, r.whole);
        if (what == 7) /* there twice */
            bytes_add(&b, raw, r.whole);
        bytes_add(&b, data + at, size - at);
    }
    if (b.len > skip)
        memcpy(data, b.data, size = b.len);
    free(b.data);
    return size;
}

#endif
