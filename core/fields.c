#include "fields.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "json_num.h"

enum { TOPIC_MAX = 256, BUCKET_NAME_MAX = 64 };

const char *fields_path(const struct fields *f, const char *name)
{
    if (!f->prefix[0])
        return name;
    size_t a = strlen(f->prefix), b = strlen(name);
    char *path = arena_alloc(f->arena, a + b + 1);
    if (!path)
        return name;
    memcpy(path, f->prefix, a);
    memcpy(path + a, name, b + 1);
    return path;
}

enum error_code fields_missing(const struct fields *f, const char *name, const char *wanted)
{
    const char *path = fields_path(f, name);
    return error_set(f->err, ERR_BAD_REQUEST, path, "%s is missing: it must be %s", path, wanted);
}

enum error_code fields_bad(const struct fields *f, const char *name, const char *wanted)
{
    const char *path = fields_path(f, name);
    return error_set(f->err, ERR_BAD_REQUEST, path, "%s must be %s", path, wanted);
}

static bool name_known(const struct json_doc *doc, size_t node, const char *const *names)
{
    for (; *names; names++)
        if (json_is(doc, node, *names))
            return true;
    return false;
}

static enum error_code unknown_field(const struct fields *f, size_t node)
{
    const char *name;
    size_t len;
    char shown[ERROR_FIELD_MAX];

    if (json_string(f->doc, node, f->arena, &name, &len)) {
        name = "?";
        len = 1;
    }
    if (len > 60)
        len = 60;
    snprintf(shown, sizeof shown, "%s%.*s", f->prefix, (int)len, name);
    return error_set(f->err, ERR_BAD_REQUEST, shown, "%s is not a field of this request", shown);
}

enum error_code fields_open(struct fields *f, const struct json_doc *doc, size_t node, const char *path,
                            const char *const *names, struct arena *arena, struct error *err)
{
    f->doc = doc;
    f->node = node;
    f->arena = arena;
    f->err = err;
    if (path[0])
        snprintf(f->prefix, sizeof f->prefix, "%s.", path);
    else
        f->prefix[0] = '\0';
    if (doc->nodes[node].type != JSON_OBJECT)
        return error_set(err, ERR_BAD_REQUEST, path, "%s must be an object", path[0] ? path : "the body");
    size_t i = node + 1;
    for (uint32_t n = 0; n < doc->nodes[node].count; n++) {
        if (!name_known(doc, i, names))
            return unknown_field(f, i);
        i = doc->nodes[i + 1].next;
    }
    return ERR_OK;
}

size_t fields_find_null(const struct fields *f, const char *name)
{
    const struct json_node *nodes = f->doc->nodes;
    size_t i = f->node + 1;

    for (uint32_t n = 0; n < nodes[f->node].count; n++) {
        if (json_is(f->doc, i, name))
            return i + 1;
        i = nodes[i + 1].next;
    }
    return 0;
}

size_t fields_find(const struct fields *f, const char *name)
{
    size_t i = fields_find_null(f, name);
    return i && f->doc->nodes[i].type == JSON_NULL ? 0 : i;
}

enum error_code fields_int(const struct fields *f, const char *name, int64_t min, int64_t max, int64_t *out)
{
    size_t i = fields_find(f, name), len;
    int64_t n;

    if (!i)
        return ERR_OK;
    if (f->doc->nodes[i].type == JSON_NUMBER) {
        const char *text = json_text(f->doc, i, &len);
        if (json_num_int(text, len, &n) == JSON_NUM_INT && n >= min && n <= max) {
            *out = n;
            return ERR_OK;
        }
    }
    const char *path = fields_path(f, name);
    if (max == INT64_MAX)
        return error_set(f->err, ERR_BAD_REQUEST, path, "%s must be an integer of at least %lld", path, (long long)min);
    return error_set(f->err, ERR_BAD_REQUEST, path, "%s must be an integer from %lld to %lld", path, (long long)min,
                     (long long)max);
}

enum error_code fields_int_required(const struct fields *f, const char *name, int64_t min, int64_t max, int64_t *out)
{
    if (!fields_find(f, name))
        return fields_missing(f, name, "an integer");
    return fields_int(f, name, min, max, out);
}

enum error_code fields_bool(const struct fields *f, const char *name, bool *out)
{
    size_t i = fields_find(f, name);

    if (!i)
        return ERR_OK;
    int type = f->doc->nodes[i].type;
    if (type != JSON_TRUE && type != JSON_FALSE)
        return fields_bad(f, name, "true or false");
    *out = type == JSON_TRUE;
    return ERR_OK;
}

enum error_code fields_str(const struct fields *f, const char *name, size_t min, size_t max, const char **str,
                           size_t *len)
{
    size_t i = fields_find(f, name), n;
    const char *s;

    if (!i)
        return ERR_OK;
    if (f->doc->nodes[i].type != JSON_STRING)
        return fields_bad(f, name, "a string");
    enum error_code rc = json_string(f->doc, i, f->arena, &s, &n);
    if (rc == ERR_BAD_REQUEST)
        return fields_bad(f, name, "a string of valid Unicode");
    if (rc)
        return rc;
    const char *path = fields_path(f, name);
    if (n < min || n > max)
        return error_set(f->err, ERR_BAD_REQUEST, path, "%s must be a string of %zu to %zu bytes", path, min, max);
    *str = arena_dup(f->arena, s, n);
    *len = n;
    return *str ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code fields_str_required(const struct fields *f, const char *name, size_t min, size_t max, const char **str,
                                    size_t *len)
{
    if (!fields_find(f, name))
        return fields_missing(f, name, "a string");
    return fields_str(f, name, min, max, str, len);
}

static enum error_code key_at(const struct fields *f, size_t i, const char *name, size_t min_parts, struct key *key)
{
    return key_from_json(f->doc, i, min_parts, fields_path(f, name), f->arena, key, f->err);
}

enum error_code fields_key_optional(const struct fields *f, const char *name, size_t min_parts, struct key *key)
{
    size_t i = fields_find(f, name);

    key->data = NULL;
    key->len = 0;
    return i ? key_at(f, i, name, min_parts, key) : ERR_OK;
}

static enum error_code no_key(const struct fields *f, const char *name)
{
    return fields_missing(f, name, "a key: an array of 1 to 64 parts");
}

enum error_code fields_key(const struct fields *f, const char *name, struct key *key)
{
    size_t i = fields_find(f, name);
    return i ? key_at(f, i, name, 1, key) : no_key(f, name);
}

enum error_code fields_key_given(const struct fields *f, const char *name, struct key_given *given)
{
    size_t i = fields_find(f, name);

    return i ? key_given_from_json(f->doc, i, fields_path(f, name), f->arena, given, f->err) : no_key(f, name);
}

static enum error_code too_long(const struct fields *f, const char *path, size_t max)
{
    return error_set(f->err, ERR_TOO_LARGE, path, "%s is over the limit of %zu bytes", path, max);
}

static enum error_code value_text(const struct fields *f, size_t i, size_t *len, const char **text)
{
    *text = json_text(f->doc, i, len);
    if (!memchr(*text, ' ', *len) && !memchr(*text, '\n', *len) && !memchr(*text, '\t', *len) &&
        !memchr(*text, '\r', *len))
        return ERR_OK;
    char *copy = arena_alloc(f->arena, *len);
    if (!copy)
        return ERR_NO_MEMORY;
    *len = json_compact(copy, *text, *len);
    *text = copy;
    return ERR_OK;
}

static enum error_code value_base64(const struct fields *f, const char *name, size_t i, size_t max, struct value *value)
{
    const char *text, *end;
    size_t len, n;

    if (f->doc->nodes[i].type != JSON_STRING)
        return fields_bad(f, name, "a string of base64");
    enum error_code rc = json_string(f->doc, i, f->arena, &text, &len);
    if (rc)
        return rc == ERR_BAD_REQUEST ? fields_bad(f, name, "a string of base64") : rc;
    if (len / 4 > max / 3 + 1)
        return too_long(f, fields_path(f, name), max);
    unsigned char *bytes = arena_alloc(f->arena, len / 4 * 3 + 3);
    if (!bytes)
        return ERR_NO_MEMORY;
    if (sodium_base642bin(bytes, len / 4 * 3 + 3, text, len, NULL, &n, &end, sodium_base64_VARIANT_ORIGINAL) ||
        end != text + len)
        return fields_bad(f, name, "base64 in the standard alphabet, padded");
    if (n > max)
        return too_long(f, fields_path(f, name), max);
    *value = (struct value){.data = bytes, .len = n, .size = n, .encoding = VALUE_BYTES};
    return ERR_OK;
}

enum error_code fields_value(const struct fields *f, const char *name, size_t max, struct value *value)
{
    char bytes_name[32];
    snprintf(bytes_name, sizeof bytes_name, "%sBase64", name);
    size_t i = fields_find_null(f, name), b = fields_find(f, bytes_name), len;
    const char *text;

    if (i && b)
        return error_set(f->err, ERR_BAD_REQUEST, fields_path(f, bytes_name), "give %s or %s, not both", name,
                         bytes_name);
    if (b)
        return value_base64(f, bytes_name, b, max, value);
    if (!i)
        return fields_missing(f, name, "any JSON value");
    enum error_code rc = value_text(f, i, &len, &text);
    if (rc)
        return rc;
    if (len > max)
        return too_long(f, fields_path(f, name), max);
    *value = (struct value){.data = (const unsigned char *)text, .len = len, .size = len, .encoding = VALUE_JSON};
    return ERR_OK;
}

enum error_code fields_array(const struct fields *f, const char *name, size_t max, size_t *node, size_t *count)
{
    *node = fields_find(f, name);
    *count = 0;
    if (!*node)
        return ERR_OK;
    if (f->doc->nodes[*node].type != JSON_ARRAY)
        return fields_bad(f, name, "an array");
    *count = f->doc->nodes[*node].count;
    if (*count > max) {
        const char *path = fields_path(f, name);
        return error_set(f->err, ERR_TOO_LARGE, path, "%s has %zu items; the limit is %zu", path, *count, max);
    }
    return ERR_OK;
}

enum error_code fields_array_required(const struct fields *f, const char *name, size_t max, size_t *node, size_t *count)
{
    if (!fields_find(f, name))
        return fields_missing(f, name, "an array");
    return fields_array(f, name, max, node, count);
}

enum error_code fields_topic(const struct fields *f, const char *name, const char **str, size_t *len)
{
    const char *s = *str;
    size_t n = *len;
    enum error_code rc = fields_str(f, name, 1, TOPIC_MAX, &s, &n);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || c1)
            return fields_bad(f, name, "a topic: 1 to 256 bytes of UTF-8 without control characters");
    }
    *str = s;
    *len = n;
    return ERR_OK;
}

bool fields_is_bucket_name(const char *s, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return len >= 1 && len <= BUCKET_NAME_MAX && strspn(s, allowed) == len;
}

enum error_code fields_bucket(const struct fields *f, const char *name, const char **str)
{
    const char *s = NULL;
    size_t len = 0;
    enum error_code rc = fields_str(f, name, 0, SIZE_MAX, &s, &len);
    if (rc || !s)
        return rc;
    if (!fields_is_bucket_name(s, len))
        return fields_bad(f, name, "a bucket's name: 1 to 64 of A-Z a-z 0-9 _ -");
    *str = s;
    return ERR_OK;
}

void fields_item_path(char *path, size_t size, const char *name, size_t index)
{
    snprintf(path, size, "%s[%zu]", name, index);
}
