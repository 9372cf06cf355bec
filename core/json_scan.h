/*
 * Strict RFC 8259 scan of a request body.  It checks the whole text (UTF-8, escapes, number grammar, nesting, one value
 * with nothing behind it) and leaves a flat table of nodes over it.  The text below a member named in `opaque` (a value
 * or payload) is checked just as strictly, but is one node only and may repeat names: its bytes are stored and returned
 * as they came.  Names given twice in any other object are an error.
 */
#ifndef KVS_JSON_SCAN_H
#define KVS_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "error.h"

enum {
    JSON_MAX_DEPTH = 128,    /* nesting of the whole body */
    JSON_STORED_DEPTH = 136, /* of what the program has wrapped itself: republished entries, dumps of them */
    JSON_MAX_NODES = 200000  /* nodes outside opaque values; bounds the memory of a hostile body */
};

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/*
 * Nodes stand in document order.  An object's children alternate name (a JSON_STRING node), value.  `next` is the index
 * of the first node behind this one's subtree, so children are walked from i + 1 with i = nodes[i].next.
 */
struct json_node {
    uint32_t start, end; /* bytes of the text, quotes and brackets included */
    uint32_t next;
    uint32_t count; /* children of an array, members of an object; 0 in an opaque one */
    uint8_t type;   /* enum json_type */
    bool escaped;   /* a string with at least one backslash */
    bool opaque;    /* children, if any, are not in the table */
};

struct json_doc {
    const char *text; /* the caller's, unchanged; must outlive the doc */
    size_t len;
    const struct json_node *nodes; /* in the arena; nodes[0] is the body */
    size_t count;
};

/*
 * Scans text[0..len).  opaque is a NULL-terminated list of member names.  Memory comes from the arena.
 * Errors: ERR_BAD_JSON (message gives what and the byte offset), ERR_TOO_LARGE (nodes), ERR_NO_MEMORY.
 */
enum error_code json_scan(struct json_doc *doc, const char *text, size_t len, const char *const *opaque,
                          struct arena *arena, struct error *err);

/* As json_scan, down to JSON_STORED_DEPTH. */
enum error_code json_scan_stored(struct json_doc *doc, const char *text, size_t len, const char *const *opaque,
                                 struct arena *arena, struct error *err);

/* Node i's bytes as they stand in the text. */
static inline const char *json_text(const struct json_doc *d, size_t i, size_t *len)
{
    *len = d->nodes[i].end - d->nodes[i].start;
    return d->text + d->nodes[i].start;
}

/*
 * The decoded bytes of string node i (escapes resolved; without escapes a pointer into the text).  May hold NUL bytes.
 * Not NUL-terminated.  ERR_BAD_REQUEST where an escape is a lone surrogate (valid JSON, but no Unicode string).
 */
enum error_code json_string(const struct json_doc *d, size_t i, struct arena *arena, const char **str, size_t *len);

/* As json_is, for a string with escapes. */
bool json_is_decoded(const struct json_doc *d, size_t i, const char *name);

/* Whether string node i decodes to exactly the literal name (which has no NUL). */
static inline bool json_is(const struct json_doc *d, size_t i, const char *name)
{
    size_t len = d->nodes[i].end - d->nodes[i].start - 2; /* without the quotes */
    const char *p = d->text + d->nodes[i].start + 1;

    if (d->nodes[i].escaped)
        return json_is_decoded(d, i, name);
    /* Most names differ in the first byte; of an empty string that is its closing quote. */
    return (*p == *name || !*name) && strncmp(p, name, len) == 0 && name[len] == '\0';
}

/*
 * Copies JSON text (already checked) without white space outside strings.  Returns the new length; dst may be src and
 * needs len bytes.
 */
size_t json_compact(char *dst, const char *src, size_t len);

#endif
