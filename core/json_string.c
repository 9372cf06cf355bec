#include "json_string.h"

#include <string.h>

#include "json_char.h"
#include "utf8.h"

static uint32_t hex4(const char *p)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)p[i];
        /* Letters of either case: 'A' & 15 is 1. */
        code = code << 4 | (c <= '9' ? c - '0' : (c & 15) + 9);
    }
    return code;
}

static bool is_high(uint32_t code)
{
    return code >= 0xd800 && code < 0xdc00;
}

static bool is_low(uint32_t code)
{
    return code >= 0xdc00 && code < 0xe000;
}

/*
 * Decodes the escape at p, inside a string that has been checked: the bytes go to out, and the result is how many there
 * are.  Moves *p behind it.  A surrogate without its other half gets its three bytes as if it were a character, which no
 * proper string shares; *lone is then set.
 */
static size_t unescape(const char **p, const char *end, char out[4], bool *lone)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = (*p)[1];
    if (c != 'u') {
        const char *known = strchr(from, c);
        out[0] = known ? to[known - from] : c;
        *p += 2;
        return 1;
    }
    uint32_t code = hex4(*p + 2);
    *p += 6;
    if (is_high(code) && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' && is_low(hex4(*p + 2))) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(*p + 2) - 0xdc00);
        *p += 6;
    }
    if (is_high(code) || is_low(code))
        *lone = true;
    return utf8_put(out, code);
}

/* Decodes the text between the quotes; out has room for as many bytes.  Returns the decoded length. */
static size_t decode(char *out, const char *p, const char *end, bool *lone)
{
    char *to = out;
    while (p < end) {
        if (*p == '\\') {
            char bytes[4];
            size_t n = unescape(&p, end, bytes, lone);
            memcpy(to, bytes, n);
            to += n;
            continue;
        }
        size_t n = json_run(p, (size_t)(end - p));
        memcpy(to, p, n);
        to += n;
        p += n;
    }
    return (size_t)(to - out);
}

/* The text between the quotes of string node i. */
static const char *inside(const struct json_doc *d, size_t i, size_t *len)
{
    *len = d->nodes[i].end - d->nodes[i].start - 2;
    return d->text + d->nodes[i].start + 1;
}

/* As json_string, a lone surrogate being no error but reported. */
static enum error_code decoded(const struct json_doc *d, size_t i, struct arena *arena, const char **str, size_t *len,
                               bool *lone)
{
    *lone = false;
    *str = inside(d, i, len);
    if (!d->nodes[i].escaped)
        return ERR_OK;
    char *out = arena_alloc(arena, *len);
    if (!out)
        return ERR_NO_MEMORY;
    *len = decode(out, *str, *str + *len, lone);
    *str = out;
    return ERR_OK;
}

enum error_code json_string(const struct json_doc *d, size_t i, struct arena *arena, const char **str, size_t *len)
{
    bool lone;
    enum error_code code = decoded(d, i, arena, str, len, &lone);
    return code == ERR_OK && lone ? ERR_BAD_REQUEST : code;
}

bool json_is_decoded(const struct json_doc *d, size_t i, const char *name)
{
    size_t len, want = strlen(name);
    const char *p = inside(d, i, &len);
    const char *end = p + len, *name_end = name + want;
    bool lone = false;
    while (p < end) {
        char bytes[4] = {*p};
        size_t n = 1;
        if (*p == '\\')
            n = unescape(&p, end, bytes, &lone);
        else
            p++;
        if ((size_t)(name_end - name) < n || memcmp(name, bytes, n) != 0)
            return false;
        name += n;
    }
    return name == name_end;
}

/* A member's name, decoded. */
struct name {
    const char *p;
    uint32_t len;
    uint32_t at; /* offset of its quote in the text */
};

/* Any total order: by length first, as that mostly decides. */
static int compare(const struct name *a, const struct name *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->p, b->p, a->len);
}

static enum error_code given_twice(struct error *err, uint32_t at)
{
    return error_set(err, ERR_BAD_JSON, NULL, "a name that its object already has, at byte %lu", (unsigned long)at);
}

static void merge(struct name *to, const struct name *a, size_t na, const struct name *b, size_t nb)
{
    while (na > 0 && nb > 0) {
        if (compare(a, b) <= 0) {
            *to++ = *a++;
            na--;
        } else {
            *to++ = *b++;
            nb--;
        }
    }
    memcpy(to, a, na * sizeof(*a));
    memcpy(to + na, b, nb * sizeof(*b));
}

/*
 * Sorts bottom up, with as much room again at spare; returns which of the two holds the result.  Merging takes n log n
 * steps whatever a hostile client sends, where a hash table would need a secret.
 */
static struct name *sort(struct name *names, struct name *spare, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t na = n - i < width ? n - i : width;
            size_t nb = n - i - na < width ? n - i - na : width;
            merge(spare + i, names + i, na, names + i + na, nb);
        }
        struct name *sorted = spare;
        spare = names;
        names = sorted;
    }
    return names;
}

static enum error_code read_names(const struct json_doc *doc, size_t i, struct arena *arena, struct name *names)
{
    size_t node = i + 1;
    for (size_t n = 0; n < doc->nodes[i].count; n++) {
        size_t len;
        bool lone;
        enum error_code code = decoded(doc, node, arena, &names[n].p, &len, &lone);
        if (code != ERR_OK)
            return code;
        names[n].len = (uint32_t)len;
        names[n].at = doc->nodes[node].start;
        node = doc->nodes[node + 1].next;
    }
    return ERR_OK;
}

enum error_code json_names_unique(const struct json_doc *doc, size_t i, struct arena *arena, struct error *err)
{
    enum { FEW = 16 };
    struct name few[FEW], *names = few;
    size_t n = doc->nodes[i].count;
    if (n > FEW)
        names = arena_alloc(arena, 2 * n * sizeof(*names));
    if (!names || read_names(doc, i, arena, names) != ERR_OK)
        return error_set(err, ERR_NO_MEMORY, NULL, "%s", error_text(ERR_NO_MEMORY));
    if (n > FEW) {
        names = sort(names, names + n, n);
        for (size_t k = 1; k < n; k++)
            if (compare(&names[k - 1], &names[k]) == 0)
                return given_twice(err, names[k].at);
        return ERR_OK;
    }
    for (size_t k = 1; k < n; k++)
        for (size_t j = 0; j < k; j++)
            if (compare(&names[j], &names[k]) == 0)
                return given_twice(err, names[k].at);
    return ERR_OK;
}

/* The end of the string whose opening quote is at i, behind its closing one. */
static size_t string_end(const char *p, size_t i, size_t len)
{
    i++;
    while (i < len && p[i] != '"') {
        size_t run = json_run(p + i, len - i);
        i += run > 0 ? run : 2; /* at a backslash: what it escapes is skipped with it */
    }
    return i < len ? i + 1 : len;
}

size_t json_compact(char *dst, const char *src, size_t len)
{
    char *to = dst;
    size_t start = 0, i = 0; /* [start, i) is to be copied */
    while (i < len) {
        char c = src[i];
        if (c == '"') {
            i = string_end(src, i, len);
            continue;
        }
        i++;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            continue;
        memmove(to, src + start, i - 1 - start);
        to += i - 1 - start;
        start = i;
    }
    memmove(to, src + start, i - start);
    return (size_t)(to - dst) + (i - start);
}
