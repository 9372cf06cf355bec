/*
 * What FastCGI and CGI have in common: RFC 3875 meta-variables in, a CGI response head out.
 */
#ifndef KVS_GATEWAY_H
#define KVS_GATEWAY_H

#include "arena.h"
#include "buf.h"
#include "request.h"

/* Looks up a meta-variable; NULL where it is unset.  The string lives as long as the request. */
typedef const char *(*gateway_get)(void *context, const char *name);

/*
 * Fills all of request but body, body_len, body_state, sink.  Strings are the getter's or in the arena.
 * The endpoint is PATH_INFO where the server sets it rightly (SCRIPT_NAME + PATH_INFO is the decoded path of REQUEST_URI);
 * else REQUEST_URI's path decides: percent-decoded, repeated slashes merged, the mount point (SCRIPT_NAME) cut off.
 * False: out of memory.
 */
bool gateway_request(struct kvs_request *request, gateway_get get, void *context, struct arena *arena);

/* Declared body length: -1 where CONTENT_LENGTH is absent or empty, -2 where it is no number. */
long long gateway_content_length(gateway_get get, void *context);

/*
 * Appends "Status: …" and header lines, with the blank line.  A whole answer gets Content-Length; a stream does not.
 */
void gateway_head(struct buf *out, const struct kvs_response *response, bool whole);

#endif
