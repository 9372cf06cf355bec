/*
 * Configuration: flags over environment over file.  doc of every name: kvs.conf(5).
 */
#ifndef KVS_CONFIG_H
#define KVS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "token.h"

enum config_durability { DURABILITY_FULL, DURABILITY_RELAXED };

struct config {
    char *access_token; /* NULL where none is set; owned, wiped by config_free */
    char *db_path;      /* default kv.db; a relative one in the file is meant from the file's directory */
    char *memory_path;  /* where storage: memory lives; default: a file on /dev/shm named after db_path's inode */
    char *allow_origin; /* NULL: no CORS */
    enum config_durability durability;
    int64_t max_body;         /* bytes, default 16 MiB */
    int64_t max_value;        /* bytes, default 1 MiB */
    int64_t busy_timeout;     /* ms a write waits for its slot, default 5000 */
    int64_t maint_interval;   /* s between maintenance runs inside kvs.fcgi, default 60, 0 off */
    int64_t dedupe_window;    /* ms a dedupeId is held after its message is gone, default 120000 */
    int64_t dead_ttl;         /* s a dead letter is kept, default 0: until it is redriven, discarded or purged */
    int64_t stream_limit;     /* s a stream or long poll may last under CGI, default 25 */
    int64_t io_timeout;       /* ms a peer may stall a read or write, default 10000 */
    enum log_level log_level; /* default info */
    bool log_json;
    struct tokens tokens; /* of the file; the configuration's own */
    char *file;           /* that was read, or could not be; NULL: there is none; owned */
};

/*
 * Reads the environment and the first configuration file found: KVS_CONFIG, kvs.conf beside the program (argv0's real
 * directory), kvs/kvs.conf beside DOCUMENT_ROOT, .kvs.conf in the home directory of the user it runs as (the password database, not $HOME), sysconfdir.
 * Environment wins over the file; flags are applied by the caller with config_set afterwards.
 * On failure returns false and writes one line without any secret into message; c then holds what could be read all the
 * same, good for nothing but to tell the owner by his token.
 * A file that group or others can write, or that holds a token and that others can read, is refused; so are unknown
 * names, bad numbers, sections that are not known, tokens that lack something.
 */
bool config_load(struct config *c, const char *argv0, char *message, size_t message_size);

/*
 * Sets one name ("db_path", "max_value", …: the file's names) from text, as the file would.  False with a message where
 * the name or value is not valid.
 */
bool config_set(struct config *c, const char *name, const char *value, char *message, size_t message_size);

/* Whether there is any token at all that could be let in. */
bool config_has_token(const struct config *c);

void config_free(struct config *c);

#endif
