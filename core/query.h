/*
 * The GET form of the streams: query parameters with the names of the body's fields.
 */
#ifndef KVS_QUERY_H
#define KVS_QUERY_H

#include "call.h"
#include "error.h"

/*
 * Turns the request's query string into the JSON body that it stands for, so that one parser judges both.  key, keys and
 * prefix are JSON text; numbers and booleans are plain; the rest are strings.
 */
enum error_code query_to_body(struct call *call, const char **body, size_t *len);

#endif
