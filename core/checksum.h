/*
 * The checksum of a row: SipHash-2-4 (libsodium's crypto_shorthash) over its columns, with a fixed key.  It finds damage, not
 * malice.
 */
#ifndef KVS_CHECKSUM_H
#define KVS_CHECKSUM_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>

enum { CHECKSUM_INTS = 16 };

struct checksum {
    int64_t ints[CHECKSUM_INTS + 4]; /* integers, then one digest for each run of data */
    size_t count;
};

/* The checksum of one run of data alone. */
int64_t checksum_of(const void *data, size_t len);

static inline void checksum_init(struct checksum *sum)
{
    sum->count = 0;
}

/* At most CHECKSUM_INTS calls. */
static inline void checksum_int(struct checksum *sum, int64_t n)
{
    assert(sum->count < sizeof sum->ints / sizeof sum->ints[0]);
    sum->ints[sum->count++] = (int64_t)htole64((uint64_t)n);
}

/* At most 4 calls. */
static inline void checksum_data(struct checksum *sum, const void *data, size_t len)
{
    checksum_int(sum, checksum_of(data, len));
}

static inline int64_t checksum_end(const struct checksum *sum)
{
    return checksum_of(sum->ints, sum->count * sizeof sum->ints[0]);
}

/*
 * The checksum of a page of the file, a multiple of 8 bytes, at its place.  Several times as fast as the above.  Damage within one
 * aligned word of 8 bytes is found for certain, any other but once in 2^64.
 */
uint64_t checksum_page(const void *data, size_t len, uint64_t place);

#endif
