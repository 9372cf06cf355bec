/*
 * GET /openapi.json: an OpenAPI 3.1 description of all operations, made from their table.
 */
#ifndef KVS_OPENAPI_H
#define KVS_OPENAPI_H

#include "call.h"
#include "error.h"

/* The operation. */
enum error_code openapi(struct call *call);

#endif
