/*
 * Reading the members of one object of a request: presence, type and range are checked here and nowhere else, and the
 * error names the member by its path.  An optional member that is null is as if it were left out.
 */
#ifndef KVS_FIELDS_H
#define KVS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "filter.h"
#include "json_scan.h"
#include "key.h"
#include "value.h"

struct fields {
    const struct json_doc *doc;
    size_t node; /* the object */
    struct arena *arena;
    struct error *err;
    char prefix[64]; /* path before the member's name: "" or "mutations[2]." */
};

/*
 * Opens object `node` as f; path is its own ("" for the body).  Refuses what is no object and members not in names.
 */
enum error_code fields_open(struct fields *f, const struct json_doc *doc, size_t node, const char *path,
                            const char *const *names, struct arena *arena, struct error *err);

/* The node of a member, 0 where it is absent or null; fields_find_null gives null nodes too. */
size_t fields_find(const struct fields *f, const char *name);
size_t fields_find_null(const struct fields *f, const char *name);

/* "prefix" + name, in the arena (or name itself when that fails), to blame in an error. */
const char *fields_path(const struct fields *f, const char *name);

/* Refusals: ERR_BAD_REQUEST with the member's path. */
enum error_code fields_missing(const struct fields *f, const char *name, const char *wanted);
enum error_code fields_bad(const struct fields *f, const char *name, const char *wanted);

/*
 * An integer in [min, max], in any JSON form; *out keeps its value (the default) where the member is absent.
 */
enum error_code fields_int(const struct fields *f, const char *name, int64_t min, int64_t max, int64_t *out);
enum error_code fields_int_required(const struct fields *f, const char *name, int64_t min, int64_t max, int64_t *out);
enum error_code fields_bool(const struct fields *f, const char *name, bool *out);

/*
 * A string of min to max bytes of valid Unicode; *str is NUL-terminated in the arena (and may hold NULs; len tells).
 * Left as it was where absent.
 */
enum error_code fields_str(const struct fields *f, const char *name, size_t min, size_t max, const char **str,
                           size_t *len);
enum error_code fields_str_required(const struct fields *f, const char *name, size_t min, size_t max, const char **str,
                                    size_t *len);

/* A key; required; the same with its text.  A prefix, start or end; key->data stays NULL where absent. */
enum error_code fields_key(const struct fields *f, const char *name, struct key *key);
enum error_code fields_key_given(const struct fields *f, const char *name, struct key_given *given);
enum error_code fields_key_optional(const struct fields *f, const char *name, size_t min_parts, struct key *key);

/* `name` or `name`Base64, exactly one of them, at most max bytes (else ERR_TOO_LARGE). */
enum error_code fields_value(const struct fields *f, const char *name, size_t max, struct value *value);

/* An array of at most max items (more is ERR_TOO_LARGE); *count 0 and *node 0 where absent. */
enum error_code fields_array(const struct fields *f, const char *name, size_t max, size_t *node, size_t *count);
enum error_code fields_array_required(const struct fields *f, const char *name, size_t max, size_t *node,
                                      size_t *count);

/* A topic: 1 to 256 bytes of UTF-8 without control characters.  *str is left as it was where absent. */
enum error_code fields_topic(const struct fields *f, const char *name, const char **str, size_t *len);

/* A bucket's name. */
enum error_code fields_bucket(const struct fields *f, const char *name, const char **str);
bool fields_is_bucket_name(const char *s, size_t len);

/* "name[index]": the path of an array's item. */
void fields_item_path(char *path, size_t size, const char *name, size_t index);

#endif
