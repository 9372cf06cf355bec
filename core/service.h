/*
 * The state of one process: what the handle of kvs.h stands for.
 */
#ifndef KVS_SERVICE_H
#define KVS_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth.h"
#include "kvs.h"
#include "store.h"

struct hub;

struct kvs {
    const struct config *config; /* the caller's */
    enum kvs_mode mode;
    struct store *file;
    struct auth *auth;
    struct hub *hub;
    int64_t started; /* clock_mono */
    atomic_bool stopping;
    int64_t next_maint; /* clock_mono; the ticking thread's */
};

#endif
