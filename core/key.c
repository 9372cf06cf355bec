#include "key.h"

#include <math.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bigint.h"
#include "json_num.h"
#include "utf8.h"

/* First bytes of parts.  A bigint of n <= 8 bytes is PART_INT_ZERO + n or - n. */
enum {
    PART_BYTES = 0x01,
    PART_STRING = 0x02,
    PART_BIG_NEGATIVE = 0x0b,
    PART_INT_MIN = 0x0c,
    PART_INT_ZERO = 0x14,
    PART_INT_MAX = 0x1c,
    PART_BIG_POSITIVE = 0x1d,
    PART_NUMBER = 0x21,
    PART_FALSE = 0x26,
    PART_TRUE = 0x27,
    /* Above every type there is or may come, below the ff that escapes a NUL. */
    PART_ABOVE = 0xfe
};

enum { NUMBER_LEN = 1 + 8, INT_SHORT = 8, PART_ROOM = 16 };

#define SIGN_BIT (UINT64_C(1) << 63)

/* A key in the making, for one call of key_from_json. */
struct encoder {
    const struct json_doc *doc;
    struct arena *arena;
    struct error *err;
    const char *field;
    size_t part; /* index of the part at hand */
    unsigned char *data;
    size_t len, cap;
};

/* field[part] into buf, for errors. */
static const char *part_path(const struct encoder *e, char buf[ERROR_FIELD_MAX])
{
    snprintf(buf, ERROR_FIELD_MAX, "%s[%zu]", e->field, e->part);
    return buf;
}

static enum error_code bad_part(const struct encoder *e, const char *message)
{
    char path[ERROR_FIELD_MAX];
    return error_set(e->err, ERR_BAD_REQUEST, part_path(e, path), "%s", message);
}

static enum error_code too_large(const struct encoder *e)
{
    return error_set(e->err, ERR_TOO_LARGE, e->field, "a key may have at most %d bytes when encoded", KEY_MAX);
}

static enum error_code no_memory(const struct encoder *e)
{
    return error_set(e->err, ERR_NO_MEMORY, NULL, "%s", error_text(ERR_NO_MEMORY));
}

/* Room for n more bytes; NULL where the key would be too long. */
static unsigned char *encoder_room(struct encoder *e, size_t n)
{
    if (n > e->cap - e->len)
        return NULL;
    unsigned char *p = e->data + e->len;
    e->len += n;
    return p;
}

/* type, the bytes with 00 as 00 ff, 00.  `plain` says that there is no 00 among them. */
static enum error_code put_delimited(struct encoder *e, unsigned char type, const void *src, size_t n, bool plain)
{
    const unsigned char *s = src;
    size_t zeros = 0;
    if (n > KEY_MAX)
        return too_large(e);
    for (size_t i = 0; !plain && i < n; i++)
        zeros += s[i] == 0;
    unsigned char *p = encoder_room(e, n + zeros + 2);
    if (!p)
        return too_large(e);
    *p++ = type;
    if (zeros == 0) {
        if (n > 0)
            memcpy(p, s, n);
        p[n] = 0;
        return ERR_OK;
    }
    for (size_t i = 0; i < n; i++) {
        *p++ = s[i];
        if (s[i] == 0)
            *p++ = 0xff;
    }
    *p = 0;
    return ERR_OK;
}

static enum error_code put_string(struct encoder *e, size_t node)
{
    size_t len;
    const char *s = json_text(e->doc, node, &len);
    if (!e->doc->nodes[node].escaped) /* JSON has no bare NUL */
        return put_delimited(e, PART_STRING, s + 1, len - 2, true);
    enum error_code code = json_string(e->doc, node, e->arena, &s, &len);
    if (code == ERR_NO_MEMORY)
        return no_memory(e);
    if (code != ERR_OK)
        return bad_part(e, "a string in a key must be Unicode: \\ud800 to \\udfff only in pairs");
    return put_delimited(e, PART_STRING, s, len, false);
}

static void put_be64(unsigned char *p, uint64_t n)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *p++ = (unsigned char)(n >> shift);
}

static uint64_t get_be64(const unsigned char *p)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | p[i];
    return n;
}

static enum error_code put_number(struct encoder *e, size_t node)
{
    size_t len;
    const char *text = json_text(e->doc, node, &len);
    double d;
    if (!json_num_double(text, len, &d))
        return bad_part(e, "a number in a key must fit a double; larger integers go as {\"$bigint\":\"...\"}");
    unsigned char *p = encoder_room(e, NUMBER_LEN);
    if (!p)
        return too_large(e);
    if (d == 0)
        d = 0; /* -0 too */
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    *p = PART_NUMBER;
    put_be64(p + 1, bits & SIGN_BIT ? ~bits : bits | SIGN_BIT);
    return ERR_OK;
}

static enum error_code put_bool(struct encoder *e, bool value)
{
    unsigned char *p = encoder_room(e, 1);
    if (!p)
        return too_large(e);
    *p = value ? PART_TRUE : PART_FALSE;
    return ERR_OK;
}

static enum error_code put_bytes(struct encoder *e, const char *text, size_t len)
{
    unsigned char bytes[KEY_MAX];
    size_t n;
    if (len > sizeof bytes / 3 * 4)
        return too_large(e);
    if (sodium_base642bin(bytes, sizeof bytes, text, len, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return bad_part(e, "$bytes must be base64: the standard alphabet, padded with =, without white space");
    return put_delimited(e, PART_BYTES, bytes, n, false);
}

static enum error_code put_bigint(struct encoder *e, const char *text, size_t len)
{
    bool negative;
    unsigned char magnitude[BIGINT_MAX];
    size_t n;
    switch (bigint_parse(text, len, &negative, magnitude, &n)) {
    case BIGINT_OK:
        break;
    case BIGINT_SYNTAX:
        return bad_part(e, "$bigint must be decimal digits, with - before them where it is negative");
    case BIGINT_TOO_LARGE:
        return error_set(e->err, ERR_TOO_LARGE, e->field, "a bigint in a key may have at most %d bytes", BIGINT_MAX);
    }
    bool is_short = n <= INT_SHORT;
    unsigned char flip = negative ? 0xff : 0;
    unsigned char *p = encoder_room(e, n + (is_short ? 1 : 2));
    if (!p)
        return too_large(e);
    if (is_short) {
        *p++ = (unsigned char)(negative ? PART_INT_ZERO - n : PART_INT_ZERO + n);
    } else {
        *p++ = negative ? PART_BIG_NEGATIVE : PART_BIG_POSITIVE;
        *p++ = (unsigned char)n ^ flip;
    }
    for (size_t i = 0; i < n; i++)
        p[i] = magnitude[i] ^ flip;
    return ERR_OK;
}

static enum error_code put_object(struct encoder *e, size_t node)
{
    static const char wanted[] = "an object in a key must be {\"$bytes\":\"<base64>\"} or {\"$bigint\":\"<decimal>\"}";
    const struct json_node *nodes = e->doc->nodes;
    if (nodes[node].count != 1 || nodes[node].opaque || nodes[node + 2].type != JSON_STRING)
        return bad_part(e, wanted);
    bool bytes = json_is(e->doc, node + 1, "$bytes");
    if (!bytes && !json_is(e->doc, node + 1, "$bigint"))
        return bad_part(e, wanted);
    const char *s;
    size_t len;
    enum error_code code = json_string(e->doc, node + 2, e->arena, &s, &len);
    if (code == ERR_NO_MEMORY)
        return no_memory(e);
    if (code != ERR_OK)
        return bad_part(e, wanted);
    return bytes ? put_bytes(e, s, len) : put_bigint(e, s, len);
}

static enum error_code put_part(struct encoder *e, size_t node)
{
    switch ((enum json_type)e->doc->nodes[node].type) {
    case JSON_STRING:
        return put_string(e, node);
    case JSON_NUMBER:
        return put_number(e, node);
    case JSON_TRUE:
    case JSON_FALSE:
        return put_bool(e, e->doc->nodes[node].type == JSON_TRUE);
    case JSON_OBJECT:
        return put_object(e, node);
    case JSON_NULL:
    case JSON_ARRAY:
        break;
    }
    return bad_part(e, "a part of a key must be a string, a number, a boolean, {\"$bytes\":...} or {\"$bigint\":...}");
}

/* No part of n bytes of JSON text gives more than n bytes, but for short numbers. */
static size_t encoded_bound(const struct json_node *array)
{
    size_t bound = (size_t)(array->end - array->start) + array->count * (size_t)PART_ROOM;
    return bound < KEY_MAX ? bound : KEY_MAX;
}

enum error_code key_from_json(const struct json_doc *doc, size_t i, size_t min_parts, const char *field,
                              struct arena *arena, struct key *key, struct error *err)
{
    const struct json_node *array = &doc->nodes[i];
    struct encoder e = {.doc = doc, .arena = arena, .err = err, .field = field};
    if (array->type != JSON_ARRAY || array->opaque)
        return error_set(err, ERR_BAD_REQUEST, field, "must be an array of %zu to %d parts", min_parts, KEY_MAX_PARTS);
    if (array->count < min_parts || array->count > KEY_MAX_PARTS)
        return error_set(err, ERR_BAD_REQUEST, field, "must have %zu to %d parts, not %u", min_parts, KEY_MAX_PARTS,
                         (unsigned)array->count);
    e.cap = encoded_bound(array);
    e.data = arena_alloc(arena, e.cap);
    if (!e.data)
        return no_memory(&e);
    size_t node = i + 1;
    for (; e.part < array->count; e.part++) {
        enum error_code code = put_part(&e, node);
        if (code != ERR_OK)
            return code;
        node = doc->nodes[node].next;
    }
    key->data = e.data;
    key->len = e.len;
    return ERR_OK;
}

/* Strings without a backslash, and nothing between them: only one way to write that. */
static bool is_plain(const struct json_doc *doc, size_t i)
{
    const struct json_node *array = &doc->nodes[i], *part = array + 1;
    size_t len = 1;

    for (uint32_t n = 0; n < array->count; n++, part++) {
        if (part->type != JSON_STRING || part->escaped)
            return false;
        len += part->end - part->start + 1;
    }
    return len == array->end - array->start;
}

enum error_code key_given_from_json(const struct json_doc *doc, size_t i, const char *field, struct arena *arena,
                                    struct key_given *given, struct error *err)
{
    enum error_code code = key_from_json(doc, i, 1, field, arena, &given->key, err);
    if (code != ERR_OK)
        return code;
    const char *text = json_text(doc, i, &given->text_len);
    given->text = is_plain(doc, i) ? text : NULL;
    return ERR_OK;
}

/* Length of a string's or bytes' part with its terminator, n bytes being there; 0 where none is. */
static size_t delimited_len(const unsigned char *p, size_t n)
{
    size_t i = 1;
    while (i < n) {
        const unsigned char *zero = memchr(p + i, 0, n - i);
        if (!zero)
            return 0;
        i = (size_t)(zero - p) + 1;
        if (i == n || p[i] != 0xff)
            return i;
        i++;
    }
    return 0;
}

/* Length of the part at p, of which n > 0 bytes are there, by its type; 0 where there is no such type or no end. */
static size_t part_length(const unsigned char *p, size_t n)
{
    size_t len = 0;
    if (p[0] == PART_BYTES || p[0] == PART_STRING)
        return delimited_len(p, n);
    if (p[0] >= PART_INT_MIN && p[0] <= PART_INT_MAX)
        len = 1 + (size_t)(p[0] < PART_INT_ZERO ? PART_INT_ZERO - p[0] : p[0] - PART_INT_ZERO);
    else if ((p[0] == PART_BIG_NEGATIVE || p[0] == PART_BIG_POSITIVE) && n >= 2)
        len = 2 + (size_t)(p[0] == PART_BIG_NEGATIVE ? p[1] ^ 0xff : p[1]);
    else if (p[0] == PART_NUMBER)
        len = NUMBER_LEN;
    else if (p[0] == PART_FALSE || p[0] == PART_TRUE)
        len = 1;
    return len <= n ? len : 0;
}

bool key_next_part(const unsigned char *data, size_t len, size_t *pos, const unsigned char **part, size_t *part_len)
{
    if (*pos >= len)
        return false;
    size_t n = part_length(data + *pos, len - *pos);
    if (n == 0)
        return false;
    *part = data + *pos;
    *part_len = n;
    *pos += n;
    return true;
}

/* A part's contents as they were before encoding. */
struct decoded {
    bool negative;
    double number;
    const unsigned char *data; /* of strings, bytes and bigints (the magnitude); in the part or in room */
    size_t len;
    unsigned char room[KEY_MAX];
};

static void decode_delimited(struct decoded *d, const unsigned char *part, size_t len)
{
    d->data = part + 1;
    d->len = len - 2;
    if (d->len == 0 || !memchr(d->data, 0, d->len))
        return;
    size_t n = 0;
    for (size_t i = 1; i < len - 1; i++) {
        d->room[n++] = part[i];
        i += part[i] == 0; /* the ff behind it */
    }
    d->data = d->room;
    d->len = n;
}

/* False for what no number is encoded as: infinities, not-a-number, -0. */
static bool decode_number(struct decoded *d, const unsigned char *part)
{
    uint64_t bits = get_be64(part + 1);
    bits = bits & SIGN_BIT ? bits & ~SIGN_BIT : ~bits;
    memcpy(&d->number, &bits, sizeof bits);
    return isfinite(d->number) && bits != SIGN_BIT;
}

/* False where the magnitude would have been encoded in fewer bytes. */
static bool decode_bigint(struct decoded *d, const unsigned char *part, size_t len)
{
    bool is_long = part[0] == PART_BIG_NEGATIVE || part[0] == PART_BIG_POSITIVE;
    size_t head = is_long ? 2 : 1;
    d->negative = part[0] < PART_INT_ZERO;
    d->data = d->room;
    d->len = len - head;
    for (size_t i = 0; i < d->len; i++)
        d->room[i] = part[head + i] ^ (d->negative ? 0xff : 0);
    return (d->len == 0 || d->room[0] != 0) && !(is_long && d->len <= INT_SHORT);
}

/* Decodes a part that key_next_part gave, of a key of at most KEY_MAX bytes.  False where no encoder wrote it. */
static bool decode_part(struct decoded *d, const unsigned char *part, size_t len)
{
    switch (part[0]) {
    case PART_FALSE:
    case PART_TRUE:
        return true;
    case PART_NUMBER:
        return decode_number(d, part);
    case PART_BYTES:
        decode_delimited(d, part, len);
        return true;
    case PART_STRING:
        decode_delimited(d, part, len);
        return utf8_valid((const char *)d->data, d->len) == d->len;
    default:
        return decode_bigint(d, part, len);
    }
}

bool key_valid(const unsigned char *data, size_t len)
{
    struct decoded d;
    const unsigned char *part;
    size_t part_len, pos = 0, parts = 0;
    if (len > KEY_MAX)
        return false;
    while (key_next_part(data, len, &pos, &part, &part_len)) {
        if (++parts > KEY_MAX_PARTS || !decode_part(&d, part, part_len))
            return false;
    }
    return parts > 0 && pos == len;
}

static void write_bigint(struct json_out *out, const struct decoded *d)
{
    char text[BIGINT_TEXT_MAX];
    size_t n = bigint_print(text, d->negative, d->data, d->len);
    json_out_object(out);
    json_out_name(out, "$bigint");
    json_out_str(out, text, n);
    json_out_end(out);
}

static void write_part(struct json_out *out, unsigned char type, const struct decoded *d)
{
    switch (type) {
    case PART_FALSE:
    case PART_TRUE:
        json_out_bool(out, type == PART_TRUE);
        break;
    case PART_NUMBER:
        json_out_double(out, d->number);
        break;
    case PART_STRING:
        json_out_str(out, (const char *)d->data, d->len);
        break;
    case PART_BYTES:
        json_out_object(out);
        json_out_name(out, "$bytes");
        json_out_base64(out, d->data, d->len);
        json_out_end(out);
        break;
    default:
        write_bigint(out, d);
    }
}

bool key_to_json(struct json_out *out, const unsigned char *data, size_t len)
{
    struct decoded d;
    const unsigned char *part;
    size_t part_len, pos = 0;
    bool good = len > 0 && len <= KEY_MAX;
    json_out_array(out);
    while (good && key_next_part(data, len, &pos, &part, &part_len)) {
        good = decode_part(&d, part, part_len);
        if (good)
            write_part(out, part[0], &d);
    }
    json_out_end(out);
    return good && pos == len;
}

/* prefix with one more byte behind it, in the arena. */
static bool append_byte(const struct key *prefix, unsigned char byte, struct arena *arena, struct key *out)
{
    unsigned char *p = arena_alloc(arena, prefix->len + 1);
    if (!p)
        return false;
    if (prefix->len > 0)
        memcpy(p, prefix->data, prefix->len);
    p[prefix->len] = byte;
    out->data = p;
    out->len = prefix->len + 1;
    return true;
}

enum error_code key_below(const struct key *prefix, struct arena *arena, struct key *from, struct key *to)
{
    if (!append_byte(prefix, PART_BYTES, arena, from) || !append_byte(prefix, PART_ABOVE, arena, to))
        return ERR_NO_MEMORY;
    return ERR_OK;
}
