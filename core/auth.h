/*
 * Who may do what: access tokens and their scopes.
 */
#ifndef KVS_AUTH_H
#define KVS_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "request.h"

/* What an operation needs. */
enum scope { SCOPE_PUBLIC, SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN };

struct auth;

/* What one token allows. */
struct grant {
    const char *name;
    enum scope scope; /* the highest it has */
};

/* Tokens are kept hashed; NULL when out of memory. */
struct auth *auth_new(const struct config *config);
void auth_free(struct auth *auth);

/*
 * The grant of the token that the request carries (Authorization: Bearer, whose scheme is case-insensitive, or X-KVS-Token),
 * NULL where there is none or it is wrong.  Compared in constant time.
 */
const struct grant *auth_check(const struct auth *auth, const struct kvs_request *request);

#endif
