/*
 * What the benchmark programs share: a store opened in process, requests to it, a bare connection to the same file, and
 * the arithmetic of medians.
 */
#ifndef BENCH_RIG_H
#define BENCH_RIG_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "config.h"
#include "kvs.h"

enum { RIG_ANSWER = 1 << 20, RIG_ROUNDS_MAX = 64 };

struct rig {
    struct config config;
    struct kvs *kvs;
    sqlite3 *bare; /* a connection of the benchmark's own, set up as the program's readers are */
};

/* One client: a request at a time. */
struct client {
    struct kvs_sink sink; /* first */
    struct rig *rig;
    struct kvs_request request;
    atomic_int state; /* enum in rig.c */
    sem_t wake;
    int status;
    size_t len;
    char answer[RIG_ANSWER];
};

/* Opens the database at path, made where it is missing.  Ends the program with a message where that fails. */
void rig_open(struct rig *rig, const char *path, bool durable);
void rig_close(struct rig *rig);

/* Prepares a statement on the bare connection; ends the program where it is wrong. */
sqlite3_stmt *rig_prepare(struct rig *rig, const char *sql);
/* Runs statements without results. */
void rig_exec(struct rig *rig, const char *sql);

struct client *client_new(struct rig *rig);
void client_free(struct client *c);

/* Runs one request and waits for its answer, which must be 200. */
void client_call(struct client *c, const char *path, const char *body, size_t len);

/* Seconds of processor time of this thread, and of the clock. */
double rig_cpu(void);
double rig_clock(void);

/* A quick generator of numbers below n; *state must not be 0. */
uint64_t rig_random(uint64_t *state, uint64_t n);

/* Sorts; the middle one. */
double rig_median(double *values, size_t count);

/* Prints "name value" for tests/bench/bench to read. */
void rig_result(const char *name, double value);
/* The medians of two series measured in turn, and the ratio a/b round by round: "name median low high". */
void rig_ratio(const char *name, const double *a, const double *b, size_t rounds);

_Noreturn void rig_fail(const char *what, const char *why);

#endif
