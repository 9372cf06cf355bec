/* Filters, then behind a NUL the bytes of a key: whatever matches lies within the filter's own prefix. */
#include "filter.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char no_key[1];
    struct arena arena = ARENA_INIT;
    struct error err = ERROR_INIT;
    struct filter *filter;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    const unsigned char *key = end ? end + 1 : no_key;
    size_t key_len = end ? size - len - 1 : 0;

    enum error_code rc = filter_from_text((const char *)data, len, "filter", &arena, &filter, &err);
    must(rc == ERR_OK || rc == ERR_BAD_REQUEST || rc == ERR_TOO_LARGE);
    if (!rc) {
        struct key prefix;
        filter_prefix(filter, &prefix);
        /* One that is longer than a key can be is the beginning of none. */
        must(prefix.len == 0 || prefix.len > KEY_MAX || key_valid(prefix.data, prefix.len));
        if (filter_matches(filter, key, key_len) && key_valid(key, key_len))
            must(key_len >= prefix.len && memcmp(key, prefix.data, prefix.len) == 0);
    }
    arena_free(&arena);
    return 0;
}
