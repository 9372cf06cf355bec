#include "filter.h"

#include <stdio.h>
#include <string.h>

#include "utf8.h"

/* A literal part is the encoded key's bytes; data NULL stands for `*`. */
struct part {
    const unsigned char *data;
    size_t len;
};

struct pattern {
    struct part *parts;
    size_t count;
    bool tail; /* `>`: one or more parts follow */
};

struct filter {
    struct pattern *patterns;
    size_t count;
    struct key prefix;
};

/* What every function of one parse needs. */
struct parser {
    struct arena *arena;
    const char *field;
    struct error *err;
};

static enum error_code refuse(const struct parser *p, const char *message)
{
    return error_set(p->err, ERR_BAD_REQUEST, p->field, "%s", message);
}

static enum error_code no_memory(const struct parser *p)
{
    return error_set(p->err, ERR_NO_MEMORY, NULL, "%s", error_text(ERR_NO_MEMORY));
}

static size_t count_byte(const char *s, size_t n, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += s[i] == c;
    return count;
}

/* The key part of a string, at *out, which moves behind it. */
static struct part encode_literal(unsigned char **out, const char *s, size_t n)
{
    unsigned char *p = *out;
    struct part part = {p, 0};
    *p++ = 0x02;
    for (size_t i = 0; i < n; i++) {
        *p++ = (unsigned char)s[i];
        if (s[i] == 0)
            *p++ = 0xff;
    }
    *p++ = 0;
    part.len = (size_t)(p - *out);
    *out = p;
    return part;
}

/* One part of n bytes of a pattern, the last one or not. */
static enum error_code parse_part(const struct parser *p, struct pattern *pattern, const char *s, size_t n, bool last,
                                  unsigned char **out)
{
    struct part part = {NULL, 0};
    if (n == 0)
        return refuse(p, "a filter must have no empty part: parts are separated by single dots");
    if (n == 1 && *s == '>') {
        if (!last)
            return refuse(p, "> may stand only at the end of a filter");
        pattern->tail = true;
        return ERR_OK;
    }
    if (n != 1 || *s != '*')
        part = encode_literal(out, s, n);
    pattern->parts[pattern->count++] = part;
    return ERR_OK;
}

/*
 * Literals are encoded into one buffer in order, so that those before the first wildcard lie together: filter_prefix
 * relies on it.
 */
static enum error_code parse_pattern(const struct parser *p, struct pattern *pattern, const char *s, size_t n)
{
    if (n == 0)
        return refuse(p, "a filter must not be empty; \">\" matches every key");
    if (n > KEY_MAX)
        return error_set(p->err, ERR_TOO_LARGE, p->field, "a filter may have at most %d bytes", KEY_MAX);
    size_t parts = count_byte(s, n, '.') + 1;
    if (parts > KEY_MAX_PARTS)
        return error_set(p->err, ERR_BAD_REQUEST, p->field, "a filter may have at most %d parts, not %zu",
                         KEY_MAX_PARTS, parts);
    unsigned char *out = arena_alloc(p->arena, n + count_byte(s, n, 0) + 2 * parts);
    *pattern = (struct pattern){.parts = arena_zalloc(p->arena, parts, sizeof *pattern->parts)};
    if (!out || !pattern->parts)
        return no_memory(p);
    for (const char *end = s + n; parts > 0; parts--) {
        const char *dot = parts > 1 ? memchr(s, '.', (size_t)(end - s)) : end;
        enum error_code code = parse_part(p, pattern, s, (size_t)(dot - s), parts == 1, &out);
        if (code != ERR_OK)
            return code;
        if (parts > 1)
            s = dot + 1;
    }
    return ERR_OK;
}

/* How many whole parts the pattern's literal start and the first `count` parts of model share. */
static size_t common_parts(const struct pattern *pattern, const struct pattern *model, size_t count)
{
    size_t i = 0;
    while (i < count && i < pattern->count && pattern->parts[i].data && pattern->parts[i].len == model->parts[i].len &&
           memcmp(pattern->parts[i].data, model->parts[i].data, model->parts[i].len) == 0)
        i++;
    return i;
}

static void set_prefix(struct filter *f)
{
    const struct pattern *first = &f->patterns[0];
    size_t count = 0;
    while (count < first->count && first->parts[count].data)
        count++;
    for (size_t i = 1; i < f->count; i++)
        count = common_parts(&f->patterns[i], first, count);
    f->prefix.data = count > 0 ? first->parts[0].data : (const unsigned char *)"";
    f->prefix.len = 0;
    for (size_t i = 0; i < count; i++)
        f->prefix.len += first->parts[i].len;
}

static struct filter *make_filter(struct arena *arena, size_t count)
{
    struct filter *f = arena_zalloc(arena, 1, sizeof *f);
    if (!f)
        return NULL;
    f->count = count;
    f->patterns = arena_zalloc(arena, count, sizeof *f->patterns);
    return f->patterns ? f : NULL;
}

/* String node i as a pattern. */
static enum error_code parse_node(const struct parser *p, struct pattern *pattern, const struct json_doc *doc, size_t i)
{
    const char *s;
    size_t len;
    if (doc->nodes[i].type != JSON_STRING)
        return refuse(p, "a filter must be a string such as \"a.*.>\"");
    enum error_code code = json_string(doc, i, p->arena, &s, &len);
    if (code == ERR_NO_MEMORY)
        return no_memory(p);
    if (code != ERR_OK)
        return refuse(p, "a filter must be Unicode: \\ud800 to \\udfff only in pairs");
    return parse_pattern(p, pattern, s, len);
}

/* Item number i of an array of patterns; errors name it. */
static enum error_code parse_item(const struct parser *p, struct filter *f, size_t i, const struct json_doc *doc,
                                  size_t node)
{
    char path[ERROR_FIELD_MAX];
    struct parser item = *p;
    snprintf(path, sizeof path, "%s[%zu]", p->field, i);
    item.field = path;
    return parse_node(&item, &f->patterns[i], doc, node);
}

enum error_code filter_from_json(const struct json_doc *doc, size_t i, const char *field, struct arena *arena,
                                 struct filter **filter, struct error *err)
{
    const struct json_node *node = &doc->nodes[i];
    const struct parser p = {arena, field, err};
    bool many = node->type == JSON_ARRAY && !node->opaque;
    if (!many && node->type != JSON_STRING)
        return refuse(&p, "must be a string such as \"a.*.>\" or an array of such strings");
    if (many && (node->count == 0 || node->count > FILTER_MAX))
        return error_set(err, ERR_BAD_REQUEST, field, "must have 1 to %d patterns, not %u", FILTER_MAX,
                         (unsigned)node->count);
    struct filter *f = make_filter(arena, many ? node->count : 1);
    if (!f)
        return no_memory(&p);
    enum error_code code = ERR_OK;
    if (!many)
        code = parse_node(&p, &f->patterns[0], doc, i);
    size_t child = i + 1;
    for (size_t k = 0; many && k < f->count && code == ERR_OK; k++) {
        code = parse_item(&p, f, k, doc, child);
        child = doc->nodes[child].next;
    }
    if (code != ERR_OK)
        return code;
    set_prefix(f);
    *filter = f;
    return ERR_OK;
}

enum error_code filter_from_text(const char *text, size_t len, const char *field, struct arena *arena,
                                 struct filter **filter, struct error *err)
{
    const struct parser p = {arena, field, err};
    if (utf8_valid(text, len) != len)
        return refuse(&p, "a filter must be valid UTF-8");
    struct filter *f = make_filter(arena, 1);
    if (!f)
        return no_memory(&p);
    enum error_code code = parse_pattern(&p, &f->patterns[0], text, len);
    if (code != ERR_OK)
        return code;
    set_prefix(f);
    *filter = f;
    return ERR_OK;
}

static bool pattern_matches(const struct pattern *pattern, const struct part *parts, size_t count)
{
    if (pattern->tail ? count <= pattern->count : count != pattern->count)
        return false;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct part *want = &pattern->parts[i];
        if (want->data && (want->len != parts[i].len || memcmp(want->data, parts[i].data, want->len) != 0))
            return false;
    }
    return true;
}

bool filter_matches(const struct filter *f, const unsigned char *key, size_t len)
{
    struct part parts[KEY_MAX_PARTS];
    size_t count = 0, pos = 0;
    while (count < KEY_MAX_PARTS && key_next_part(key, len, &pos, &parts[count].data, &parts[count].len))
        count++;
    if (pos != len)
        return false;
    for (size_t i = 0; i < f->count; i++) {
        if (pattern_matches(&f->patterns[i], parts, count))
            return true;
    }
    return false;
}

void filter_prefix(const struct filter *f, struct key *prefix)
{
    *prefix = f->prefix;
}
