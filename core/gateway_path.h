/*
 * Where in a URL's path the mount point ends and the endpoint begins: gateway.c's, apart because every web server has its
 * own idea of SCRIPT_NAME and PATH_INFO.
 */
#ifndef KVS_GATEWAY_PATH_H
#define KVS_GATEWAY_PATH_H

#include "arena.h"

/* Meta-variables as the server gave them; NULL where unset or (but for script_name) empty. */
struct gateway_location {
    const char *request_uri;  /* raw: percent-encoded, with the query */
    const char *document_uri; /* nginx: decoded, without the query */
    const char *script_name;
    const char *path_info;
};

/*
 * The endpoint, "/kv/get": it starts with a slash, has no two slashes in a row and is in the arena or a literal.  Where the
 * path is none of the API's it is one that no operation has.  NULL: out of memory.
 *
 * PATH_INFO counts where it is an endpoint, where it completes SCRIPT_NAME to the path of the URL, or where it ends that
 * path (a rewritten URL).  Otherwise the path of the URL counts, without SCRIPT_NAME where it begins so, else from the last
 * two segments (or one: /health) that could be an endpoint.  A server that cuts at the wrong slash (SCRIPT_NAME /kv,
 * PATH_INFO /get, at the root) is put right.
 */
const char *gateway_path(const struct gateway_location *location, struct arena *arena);

#endif
