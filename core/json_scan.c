#include "json_scan.h"

#include <string.h>

#include "json_char.h"
#include "json_string.h"
#include "utf8.h"

/* Nodes that the table has room for at first.  The tests compile with 1, so that it always grows. */
#ifndef JSON_SCAN_NODES
#define JSON_SCAN_NODES 32
#endif

/* An open array or object.  Below an opaque value only is_object counts. */
struct frame {
    uint32_t node;
    bool is_object;
};

struct scan {
    const char *text;
    size_t len, pos;
    struct json_node *nodes;
    size_t count, cap;
    const char *const *opaque; /* names; NULL-terminated */
    struct arena *arena;
    struct error *err;
    unsigned depth, max_depth;
    unsigned quiet;   /* depth of the outermost container that is opaque, 0 outside of one: no nodes below it */
    bool next_opaque; /* the member whose value comes next is opaque */
    struct frame stack[JSON_STORED_DEPTH];
};

static enum error_code wrong(const struct scan *s, const char *what, size_t pos)
{
    return error_set(s->err, ERR_BAD_JSON, NULL, "%s at byte %zu", what, pos);
}

/* what is wrong with the text from start on, unless it is merely the text's end that pos is at. */
static enum error_code wrong_or_cut(const struct scan *s, const char *what, size_t start)
{
    return s->pos < s->len ? wrong(s, what, start) : wrong(s, "the text ends too early,", s->pos);
}

/* What stands at pos cannot stand there. */
static enum error_code unexpected(const struct scan *s, const char *what)
{
    if (s->pos + 3 <= s->len && memcmp(s->text + s->pos, "\xef\xbb\xbf", 3) == 0)
        return wrong(s, "a byte order mark is not allowed,", s->pos);
    return wrong_or_cut(s, what, s->pos);
}

static void skip_space(struct scan *s)
{
    while (s->pos < s->len) {
        char c = s->text[s->pos];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return;
        s->pos++;
    }
}

/* The byte at pos, or 0 (which no grammar rule accepts) at the end. */
static char peek(const struct scan *s)
{
    return s->pos < s->len ? s->text[s->pos] : '\0';
}

static enum error_code grow(struct scan *s)
{
    if (s->count >= JSON_MAX_NODES)
        return error_set(s->err, ERR_TOO_LARGE, NULL, "the body has more than %d names and values", JSON_MAX_NODES);
    size_t cap = s->cap > 0 ? s->cap * 2 : JSON_SCAN_NODES;
    if (cap > JSON_MAX_NODES)
        cap = JSON_MAX_NODES;
    struct json_node *nodes = arena_alloc(s->arena, cap * sizeof(*nodes));
    if (!nodes)
        return error_set(s->err, ERR_NO_MEMORY, NULL, "%s", error_text(ERR_NO_MEMORY));
    if (s->count > 0)
        memcpy(nodes, s->nodes, s->count * sizeof(*nodes));
    s->nodes = nodes;
    s->cap = cap;
    return ERR_OK;
}

/* Adds a node that starts at pos; its end is set when it is known.  Does nothing below an opaque value. */
static enum error_code add_node(struct scan *s, enum json_type type, bool is_value)
{
    if (s->quiet > 0)
        return ERR_OK;
    if (s->count == s->cap) {
        enum error_code code = grow(s);
        if (code != ERR_OK)
            return code;
    }
    bool opaque = is_value && s->next_opaque;
    s->nodes[s->count] = (struct json_node){.start = (uint32_t)s->pos,
                                            .next = (uint32_t)s->count + 1,
                                            .type = (uint8_t)type,
                                            .opaque = opaque};
    s->count++;
    /* A member counts by its name, an item by itself. */
    if (s->depth > 0) {
        const struct frame *top = &s->stack[s->depth - 1];
        if (top->is_object != is_value)
            s->nodes[top->node].count++;
    }
    return ERR_OK;
}

/* The node just added, a scalar, ends at pos. */
static void end_scalar(struct scan *s, bool escaped)
{
    if (s->quiet > 0)
        return;
    s->nodes[s->count - 1].end = (uint32_t)s->pos;
    s->nodes[s->count - 1].escaped = escaped;
    s->next_opaque = false;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* At a backslash. */
static enum error_code scan_escape(struct scan *s)
{
    size_t start = s->pos++;
    char c = peek(s);
    if (c == 'u') {
        for (int i = 0; i < 4; i++) {
            s->pos++;
            if (!is_hex(peek(s)))
                return wrong_or_cut(s, "\\u without four hexadecimal digits", start);
        }
    } else if (c == '\0' || !strchr("\"\\/bfnrt", c)) {
        return wrong_or_cut(s, "an escape that JSON does not have", start);
    }
    s->pos++;
    return ERR_OK;
}

/* At a byte that is not ASCII: takes as many such characters as there are. */
static enum error_code scan_wide(struct scan *s)
{
    while (s->pos < s->len && (unsigned char)s->text[s->pos] >= 0x80) {
        size_t n = utf8_char(s->text + s->pos, s->len - s->pos);
        if (n == 0)
            return wrong(s, "invalid UTF-8", s->pos);
        s->pos += n;
    }
    return ERR_OK;
}

/* At the opening quote. */
static enum error_code scan_string(struct scan *s, bool is_value)
{
    enum error_code code = add_node(s, JSON_STRING, is_value);
    bool escaped = false;
    s->pos++;
    while (code == ERR_OK) {
        s->pos += json_ascii_run(s->text + s->pos, s->len - s->pos);
        unsigned char c = (unsigned char)peek(s);
        if (c == '"')
            break;
        if (c == '\\') {
            escaped = true;
            code = scan_escape(s);
        } else if (c >= 0x80) {
            code = scan_wide(s);
        } else {
            code = unexpected(s, "an unescaped control character in a string");
        }
    }
    if (code != ERR_OK)
        return code;
    s->pos++;
    end_scalar(s, escaped);
    return ERR_OK;
}

/* Takes digits, of which there must be one. */
static bool digits(struct scan *s)
{
    size_t start = s->pos;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->pos++;
    return s->pos > start;
}

/* At a minus or a digit.  What follows the number is the caller's to judge. */
static enum error_code scan_number(struct scan *s)
{
    enum error_code code = add_node(s, JSON_NUMBER, true);
    if (code != ERR_OK)
        return code;
    if (peek(s) == '-')
        s->pos++;
    if (peek(s) == '0')
        s->pos++;
    else if (!digits(s))
        return unexpected(s, "a digit is missing");
    if (peek(s) == '.') {
        s->pos++;
        if (!digits(s))
            return unexpected(s, "a digit is missing");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->pos++;
        if (!digits(s))
            return unexpected(s, "a digit is missing");
    }
    end_scalar(s, false);
    return ERR_OK;
}

static enum error_code scan_word(struct scan *s, const char *word, enum json_type type)
{
    enum error_code code = add_node(s, type, true);
    if (code != ERR_OK)
        return code;
    for (; *word != '\0'; word++, s->pos++)
        if (peek(s) != *word)
            return unexpected(s, "a value was expected");
    end_scalar(s, false);
    return ERR_OK;
}

/* At the opening bracket. */
static enum error_code open_container(struct scan *s, bool is_object)
{
    if (s->depth == s->max_depth)
        return error_set(s->err, ERR_BAD_JSON, NULL, "nested deeper than %u at byte %zu", s->max_depth, s->pos);
    enum error_code code = add_node(s, is_object ? JSON_OBJECT : JSON_ARRAY, true);
    if (code != ERR_OK)
        return code;
    s->stack[s->depth++] = (struct frame){(uint32_t)s->count - 1, is_object};
    if (s->quiet == 0 && s->next_opaque)
        s->quiet = s->depth;
    s->next_opaque = false;
    s->pos++;
    return ERR_OK;
}

/* At the closing bracket, already known to be the right one. */
static enum error_code close_container(struct scan *s)
{
    s->pos++;
    const struct frame *top = &s->stack[s->depth - 1];
    bool opaque = s->quiet == s->depth;
    if (s->quiet == 0 || opaque) {
        struct json_node *node = &s->nodes[top->node];
        node->end = (uint32_t)s->pos;
        node->next = (uint32_t)s->count;
        if (opaque)
            s->quiet = 0;
        else if (top->is_object && node->count > 1) {
            const struct json_doc doc = {s->text, s->len, s->nodes, s->count};
            enum error_code code = json_names_unique(&doc, top->node, s->arena, s->err);
            if (code != ERR_OK)
                return code;
        }
    }
    s->depth--;
    return ERR_OK;
}

/* A member's name with its colon. */
static enum error_code scan_name(struct scan *s)
{
    if (peek(s) != '"')
        return unexpected(s, "a name in quotes was expected");
    size_t node = s->count;
    enum error_code code = scan_string(s, false);
    if (code != ERR_OK)
        return code;
    if (s->quiet == 0) {
        const struct json_doc doc = {s->text, s->len, s->nodes, s->count};
        for (const char *const *name = s->opaque; *name && !s->next_opaque; name++)
            s->next_opaque = json_is(&doc, node, *name);
    }
    skip_space(s);
    if (peek(s) != ':')
        return unexpected(s, "':' was expected");
    s->pos++;
    skip_space(s);
    return ERR_OK;
}

/* Any value's start; a scalar is taken whole.  *open says that a container was opened. */
static enum error_code scan_value(struct scan *s, bool *open)
{
    *open = false;
    char c = peek(s);
    switch (c) {
    case '{':
    case '[':
        *open = true;
        return open_container(s, c == '{');
    case '"':
        return scan_string(s, true);
    case 't':
        return scan_word(s, "true", JSON_TRUE);
    case 'f':
        return scan_word(s, "false", JSON_FALSE);
    case 'n':
        return scan_word(s, "null", JSON_NULL);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return scan_number(s);
        return unexpected(s, "a value was expected");
    }
}

/*
 * From behind a value, or from behind an opening bracket (fresh), to where the next value starts, closing what closes
 * there.  *done: the body's own value is complete.
 */
static enum error_code scan_between(struct scan *s, bool fresh, bool *done)
{
    enum error_code code = ERR_OK;
    *done = false;
    for (; s->depth > 0; fresh = false) {
        bool is_object = s->stack[s->depth - 1].is_object;
        skip_space(s);
        if (peek(s) == (is_object ? '}' : ']')) {
            code = close_container(s);
            if (code != ERR_OK)
                return code;
            continue;
        }
        if (!fresh) {
            if (peek(s) != ',')
                return unexpected(s, is_object ? "',' or '}' was expected" : "',' or ']' was expected");
            s->pos++;
            skip_space(s);
        }
        return is_object ? scan_name(s) : ERR_OK;
    }
    *done = true;
    return ERR_OK;
}

static enum error_code scan_body(struct scan *s)
{
    enum error_code code;
    bool open, done = false;
    skip_space(s);
    do {
        code = scan_value(s, &open);
        if (code == ERR_OK)
            code = scan_between(s, open, &done);
    } while (code == ERR_OK && !done);
    if (code != ERR_OK)
        return code;
    skip_space(s);
    return s->pos < s->len ? wrong(s, "text after the value", s->pos) : ERR_OK;
}

static enum error_code scan_to(struct json_doc *doc, const char *text, size_t len, const char *const *opaque,
                               struct arena *arena, struct error *err, unsigned max_depth)
{
    static const char *const none[] = {NULL};
    *doc = (struct json_doc){.text = text};
    if (len >= UINT32_MAX)
        return error_set(err, ERR_TOO_LARGE, NULL, "the body is over 4 GiB");
    struct scan s; /* its stack, 1 KiB, is written before it is read */
    s.text = text;
    s.len = len;
    s.pos = 0;
    s.nodes = NULL;
    s.count = s.cap = 0;
    s.opaque = opaque ? opaque : none;
    s.arena = arena;
    s.err = err;
    s.depth = s.quiet = 0;
    s.max_depth = max_depth;
    s.next_opaque = false;
    enum error_code code = scan_body(&s);
    if (code == ERR_OK)
        *doc = (struct json_doc){text, len, s.nodes, s.count};
    return code;
}

enum error_code json_scan(struct json_doc *doc, const char *text, size_t len, const char *const *opaque,
                          struct arena *arena, struct error *err)
{
    return scan_to(doc, text, len, opaque, arena, err, JSON_MAX_DEPTH);
}

enum error_code json_scan_stored(struct json_doc *doc, const char *text, size_t len, const char *const *opaque,
                                 struct arena *arena, struct error *err)
{
    return scan_to(doc, text, len, opaque, arena, err, JSON_STORED_DEPTH);
}
