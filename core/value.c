#include "value.h"

#include <string.h>
#include <zstd.h>

enum { COMPRESSION_LEVEL = 3 };

enum error_code value_compress(struct value *v, struct arena *arena)
{
    if (v->len <= VALUE_COMPRESS_OVER || (v->encoding & VALUE_ZSTD))
        return ERR_OK;
    size_t room = ZSTD_compressBound(v->len);
    unsigned char *out = arena_alloc(arena, room);
    if (!out)
        return ERR_NO_MEMORY;
    size_t n = ZSTD_compress(out, room, v->data, v->len, COMPRESSION_LEVEL);
    if (ZSTD_isError(n))
        return ERR_NO_MEMORY;
    if (n < v->len) {
        v->data = out;
        v->len = n;
        v->encoding |= VALUE_ZSTD;
    }
    return ERR_OK;
}

enum error_code value_expand(struct value *v, struct arena *arena)
{
    if (!(v->encoding & VALUE_ZSTD))
        return v->len == v->size ? ERR_OK : ERR_CORRUPT;
    unsigned char *out = arena_alloc(arena, v->size);
    if (!out)
        return ERR_NO_MEMORY;
    size_t n = ZSTD_decompress(out, v->size, v->data, v->len);
    if (ZSTD_isError(n) || n != v->size)
        return ERR_CORRUPT;
    v->data = out;
    v->len = n;
    v->encoding &= ~VALUE_ZSTD;
    return ERR_OK;
}

void value_to_json(struct json_out *out, const char *name, const struct value *v)
{
    if (v->encoding == VALUE_JSON) {
        json_out_name_n(out, name, strlen(name));
        json_out_raw(out, (const char *)v->data, v->len);
        return;
    }
    char full[32];
    size_t n = strlen(name);
    memcpy(full, name, n);
    memcpy(full + n, "Base64", 6);
    json_out_name_n(out, full, n + 6);
    json_out_base64(out, v->data, v->len);
}
