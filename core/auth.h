/*
 * Who may do what: access tokens and their scopes.
 */
#ifndef KVS_AUTH_H
#define KVS_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "grant.h"
#include "request.h"

struct auth;

/* Tokens are kept hashed; NULL when out of memory.  The named ones stay the configuration's. */
struct auth *auth_new(const struct config *config);
void auth_free(struct auth *auth);

/*
 * The grant of the token that the request carries (Authorization: Bearer, whose scheme is case-insensitive, or X-KVS-Token),
 * NULL where there is none, or it is wrong or has expired; *failed tells a token that failed from none.  Compared in constant
 * time with every token there is.
 */
const struct grant *auth_check(const struct auth *auth, const struct kvs_request *request, bool *failed);

/* What to tell a request without a grant; failed as auth_check set it. */
const char *auth_refusal(bool failed);

#endif
