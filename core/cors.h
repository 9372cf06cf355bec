/*
 * Cross-origin requests from browsers, where the configuration allows them.
 */
#ifndef KVS_CORS_H
#define KVS_CORS_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"
#include "request.h"

/* The header lines that let the request's origin read the answer; nothing where it may not. */
void cors_headers(const struct config *config, const struct kvs_request *request, struct buf *headers);

/* Answers an OPTIONS preflight; false where CORS is off. */
bool cors_preflight(const struct config *config, const struct kvs_request *request);

#endif
