#include "cursor.h"

#include <sodium.h>
#include <string.h>

/* A cursor is base64url(sum, place): the sum is of the query and the place together. */
enum { SUM = sizeof(((struct cursor_query *)0)->sum), PLACE_MAX = 4096 };

void cursor_query_init(struct cursor_query *q, const char *operation)
{
    memset(q->sum, 0, SUM);
    cursor_query_add(q, operation, strlen(operation));
}

void cursor_query_add(struct cursor_query *q, const void *data, size_t len)
{
    crypto_generichash_state state;
    unsigned long long n = len;

    crypto_generichash_init(&state, NULL, 0, SUM);
    crypto_generichash_update(&state, q->sum, SUM);
    crypto_generichash_update(&state, (const unsigned char *)&n, sizeof n);
    if (len)
        crypto_generichash_update(&state, data, len);
    crypto_generichash_final(&state, q->sum, SUM);
}

void cursor_to_json(struct json_out *out, const struct cursor_query *q, const void *place, size_t len,
                    struct arena *arena)
{
    struct cursor_query whole = *q;
    unsigned char *bytes = arena_alloc(arena, SUM + len);
    size_t room = sodium_base64_ENCODED_LEN(SUM + len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = arena_alloc(arena, room);

    if (!bytes || !text) {
        out->buf->failed = true;
        json_out_null(out);
        return;
    }
    cursor_query_add(&whole, place, len);
    memcpy(bytes, whole.sum, SUM);
    memcpy(bytes + SUM, place, len);
    sodium_bin2base64(text, room, bytes, SUM + len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    json_out_cstr(out, text);
}

enum error_code cursor_parse(const struct fields *f, const struct cursor_query *q, const unsigned char **place,
                             size_t *len)
{
    struct cursor_query whole = *q;
    const char *text = NULL, *end;
    size_t text_len = 0, n;
    enum error_code rc = fields_str(f, "cursor", 0, SIZE_MAX, &text, &text_len);

    *place = NULL;
    if (rc || !text)
        return rc;
    unsigned char *bytes = arena_alloc(f->arena, PLACE_MAX);
    if (!bytes)
        return ERR_NO_MEMORY;
    bool sound = sodium_base642bin(bytes, PLACE_MAX, text, text_len, NULL, &n, &end,
                                   sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
                 end == text + text_len && n >= SUM;
    if (sound) {
        cursor_query_add(&whole, bytes + SUM, n - SUM);
        sound = sodium_memcmp(whole.sum, bytes, SUM) == 0;
    }
    if (!sound)
        return fields_bad(f, "cursor", "one that this very query gave");
    *place = bytes + SUM;
    *len = n - SUM;
    return ERR_OK;
}
