/*
 * The state of one process: what the handle of kvs.h stands for.
 */
#ifndef KVS_SERVICE_H
#define KVS_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth.h"
#include "kvs.h"
#include "pool.h"
#include "store.h"

struct hub;
struct metrics;
struct maint;

struct kvs {
    const struct config *config; /* the caller's */
    enum kvs_mode mode;
    struct store *file;
    struct store *memory; /* NULL until it is needed; guarded by memory_mutex, then constant */
    pthread_mutex_t memory_mutex;
    struct auth *auth;
    struct pool calls; /* of struct call, for call_new */
    struct hub *hub;
    struct metrics *metrics;
    void (*hold)(void *context); /* of kvs_on_hold; may be NULL */
    void *hold_context;
    int64_t started; /* clock_mono */
    atomic_bool stopping;
    struct maint *maint; /* the ticking thread's, as is the next */
    int64_t next_maint;  /* clock_mono; the ticking thread's */
};

/* What every store's on_commit and on_lead are; context is the struct kvs. */
void service_on_commit(void *kvs);
void service_on_lead(void *kvs);

#endif
