/*
 * What a program answers that cannot serve, since its configuration or its database cannot be used: why, in words, to
 * whoever has the token; to others no more than that.
 */
#ifndef KVS_REFUSAL_H
#define KVS_REFUSAL_H

#include "diagnose.h"
#include "request.h"

/*
 * Answers the request, with the report on the set-up and the problem that the subject names.  GET /health as always, with
 * ok false; else 401 without a token that is known, and 500.  Where no token can be known, the 500 tells everybody what has
 * to be done to the configuration, without a path.
 */
void refusal_answer(const struct diagnose *subject, const struct diagnose_report *report, struct kvs_request *request);

/* An error's body and status to a request that never got into the core; config NULL: without CORS. */
void refusal_error(const struct config *config, struct kvs_request *request, enum error_code code, const char *message);

#endif
