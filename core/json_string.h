/*
 * What json_scan.c needs of json_string.c besides the public functions.
 */
#ifndef KVS_JSON_STRING_H
#define KVS_JSON_STRING_H

#include "json_scan.h"

/*
 * Whether the names of object i, whose subtree is complete in the table, differ from each other once decoded.
 * ERR_BAD_JSON where two do not, ERR_NO_MEMORY.
 */
enum error_code json_names_unique(const struct json_doc *doc, size_t i, struct arena *arena, struct error *err);

#endif
