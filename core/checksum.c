#include "checksum.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <string.h>

static const unsigned char hash_key[crypto_shorthash_KEYBYTES] = "kvs row checksum";

static void add(struct checksum *sum, int64_t n)
{
    assert(sum->count < sizeof sum->ints / sizeof sum->ints[0]);
    sum->ints[sum->count++] = (int64_t)htole64((uint64_t)n);
}

int64_t checksum_of(const void *data, size_t len)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t n;

    crypto_shorthash(out, data, len, hash_key);
    memcpy(&n, out, sizeof n);
    return (int64_t)le64toh(n);
}

void checksum_init(struct checksum *sum)
{
    sum->count = 0;
}

void checksum_int(struct checksum *sum, int64_t n)
{
    add(sum, n);
}

void checksum_data(struct checksum *sum, const void *data, size_t len)
{
    add(sum, checksum_of(data, len));
}

int64_t checksum_end(struct checksum *sum)
{
    return checksum_of(sum->ints, sum->count * sizeof sum->ints[0]);
}
