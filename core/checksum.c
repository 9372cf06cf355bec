#include "checksum.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

static const unsigned char hash_key[crypto_shorthash_KEYBYTES] = "kvs row checksum";

int64_t checksum_of(const void *data, size_t len)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t n;

    crypto_shorthash(out, data, len, hash_key);
    memcpy(&n, out, sizeof n);
    return (int64_t)le64toh(n);
}

/* An odd number, so that multiplying by it loses nothing. */
static const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);

/* One word into a lane: whatever the lane was, different words make it different, and the other way round. */
static uint64_t mix(uint64_t lane, uint64_t word)
{
    lane = (lane ^ word) * factor;
    return lane << 29 | lane >> 35;
}

static uint64_t word_at(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

/* Four lanes, since each multiplication has to wait for the one before it in its lane alone. */
uint64_t checksum_page(const void *data, size_t len, uint64_t place)
{
    const unsigned char *p = data;
    uint64_t a = 1, b = 2, c = 3, d = 4;
    size_t i = 0;

    for (; i + 32 <= len; i += 32) {
        a = mix(a, word_at(p + i));
        b = mix(b, word_at(p + i + 8));
        c = mix(c, word_at(p + i + 16));
        d = mix(d, word_at(p + i + 24));
    }
    for (; i < len; i += 8)
        a = mix(a, word_at(p + i));
    return mix(mix(mix(mix(mix(place, a), b), c), d), 0);
}
