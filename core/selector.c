#include "selector.h"

#include <string.h>

enum { KEYS_MAX = 1000 };

static const char *const member_names[] = {SELECTOR_NAMES, NULL};

static enum error_code only_one(const struct fields *f)
{
    const char *first = NULL;

    for (size_t i = 0; member_names[i]; i++) {
        if (!fields_find(f, member_names[i]))
            continue;
        if (first)
            return error_set(f->err, ERR_BAD_REQUEST, fields_path(f, member_names[i]), "give %s or %s, not both", first,
                             member_names[i]);
        first = member_names[i];
    }
    return ERR_OK;
}

static enum error_code parse_keys(const struct fields *f, struct selector *s)
{
    size_t node;
    enum error_code rc = fields_array(f, "keys", KEYS_MAX, &node, &s->key_count);
    if (rc || !node)
        return rc;
    struct key *keys = arena_alloc(f->arena, (s->key_count + 1) * sizeof *keys);
    if (!keys)
        return ERR_NO_MEMORY;
    for (size_t n = 0, i = node + 1; !rc && n < s->key_count; n++, i = f->doc->nodes[i].next) {
        char path[32];
        fields_item_path(path, sizeof path, "keys", n);
        rc = key_from_json(f->doc, i, 1, path, f->arena, &keys[n], f->err);
    }
    s->keys = keys;
    return rc;
}

static enum error_code parse_key(const struct fields *f, struct selector *s)
{
    struct key *key = arena_alloc(f->arena, sizeof *key);
    if (!key)
        return ERR_NO_MEMORY;
    enum error_code rc = fields_key(f, "key", key);
    s->keys = key;
    s->key_count = 1;
    return rc;
}

/* From the filter's literal start on: that key itself may match. */
static enum error_code parse_filter(const struct fields *f, struct selector *s)
{
    struct filter *filter;
    struct key prefix;
    enum error_code rc =
        filter_from_json(f->doc, fields_find(f, "filter"), fields_path(f, "filter"), f->arena, &filter, f->err);
    if (rc)
        return rc;
    s->filter = filter;
    filter_prefix(filter, &prefix);
    struct key from;
    rc = key_below(&prefix, f->arena, &from, &s->to);
    s->from = prefix;
    return rc;
}

enum error_code selector_parse(const struct fields *f, bool shape, struct selector *s)
{
    struct key prefix;

    *s = (struct selector){.keys = NULL};
    enum error_code rc = only_one(f);
    if (!rc)
        rc = fields_key_optional(f, "prefix", 0, &prefix);
    if (!rc)
        rc = key_below(&prefix, f->arena, &s->from, &s->to);
    if (!rc && fields_find(f, "key"))
        rc = parse_key(f, s);
    if (!rc)
        rc = s->keys ? ERR_OK : parse_keys(f, s);
    if (!rc && fields_find(f, "filter"))
        rc = parse_filter(f, s);
    if (!rc && shape)
        rc = fields_bool(f, "ignoreDeletes", &s->ignore_deletes);
    return rc || !shape ? rc : fields_bool(f, "metaOnly", &s->meta_only);
}

static bool is_one_of(const struct selector *s, const unsigned char *key, size_t len)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (s->keys[i].len == len && memcmp(s->keys[i].data, key, len) == 0)
            return true;
    return false;
}

static int compare(const unsigned char *a, size_t a_len, const struct key *b)
{
    size_t n = a_len < b->len ? a_len : b->len;
    int order = n ? memcmp(a, b->data, n) : 0;
    return order ? order : (a_len > b->len) - (a_len < b->len);
}

bool selector_matches_key(const struct selector *s, const unsigned char *key, size_t len)
{
    if (s->keys)
        return is_one_of(s, key, len);
    if (compare(key, len, &s->from) < 0 || compare(key, len, &s->to) >= 0)
        return false;
    return !s->filter || filter_matches(s->filter, key, len);
}

bool selector_matches(const struct selector *s, const struct entry *e, int64_t now)
{
    if (e->op != ENTRY_PUT ? s->ignore_deletes : !entry_is_live(e, now))
        return false;
    return selector_matches_key(s, e->key.data, e->key.len);
}

void selector_hash(const struct fields *f, struct cursor_query *q)
{
    for (size_t i = 0; member_names[i]; i++) {
        size_t node = fields_find(f, member_names[i]), len = 0;
        const char *text = node ? json_text(f->doc, node, &len) : "";
        cursor_query_add(q, text, len);
    }
}
