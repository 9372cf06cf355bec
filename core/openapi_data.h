/*
 * What GET /openapi.json says of each operation beside the table of operations itself.  Data alone; openapi.c writes it.
 *
 * Fields are written as words, name:type, in one string.  A type is boolean, string, integer, number, base64 or any, or the
 * name of a schema; behind it [] is an array of it, ? may be null as well, and ! has to be there.
 */
#ifndef KVS_OPENAPI_DATA_H
#define KVS_OPENAPI_DATA_H

#include <stddef.h>

struct openapi_operation {
    const char *path, *summary;
    const char *request; /* fields */
    const char *answer;  /* fields; NULL: no JSON object, see `type` */
    const char *type;    /* media type of an answer that is none */
};

/* Either fields, or the JSON text of the schema. */
struct openapi_schema {
    const char *name, *fields, *json;
};

extern const struct openapi_operation openapi_operations[];
extern const size_t openapi_operation_count;
extern const struct openapi_schema openapi_schemas[];
extern const size_t openapi_schema_count;

#endif
