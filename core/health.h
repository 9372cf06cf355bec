/*
 * What GET /health answers: to everybody whether the database can be read, to the owner of the set-up what is right and
 * wrong with it.
 */
#ifndef KVS_HEALTH_H
#define KVS_HEALTH_H

#include <stdbool.h>

#include "diagnose.h"
#include "grant.h"
#include "json_out.h"

struct health {
    bool ok;
    double uptime; /* s */
    enum kvs_mode mode;
    const struct diagnose_report *report; /* NULL: not for this client */
};

/* Whether a token's holder is told of the set-up; grant may be NULL. */
bool health_is_for(const struct grant *grant);

void health_write(struct json_out *out, const struct health *health);

#endif
