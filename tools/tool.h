/*
 * What the subcommands of kvs-maint share: their options, and how they speak.  Results go to standard output, messages to
 * standard error in the form of log.h.
 */
#ifndef KVS_TOOL_H
#define KVS_TOOL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "error.h"
#include "kvs.h"

/* Exit statuses. */
enum { TOOL_DONE = 0, TOOL_PROBLEM = 1, TOOL_USAGE = 2 };

/* What an option that may be given again brought. */
enum { TOOL_VALUES_MAX = 32 };
struct tool_values {
    const char *list[TOOL_VALUES_MAX];
    size_t count;
};

struct tool {
    struct config config;
    struct kvs *kvs; /* NULL for commands that open the database themselves */
    bool quiet, json, force, quick, follow;
    const char *bucket; /* --bucket; NULL where it was not given, as file */
    int64_t since;      /* --since; -1 where it was not given */
    const char *file;   /* the argument; the name of a new token */
    struct tool_values buckets, keys, topics;
    const char *scope, *expires; /* of a new token; expires NULL where it was not given */
};

/* Each runs one subcommand and returns the exit status. */
typedef int tool_command(struct tool *tool);
tool_command command_run, command_check, command_stats, command_backup, command_restore, command_dump, command_load,
    command_compact, command_tail, command_token;

/* The summary: a line on standard output, unless --quiet. */
__attribute__((format(printf, 2, 3))) void tool_say(const struct tool *tool, const char *fmt, ...);

/*
 * Has cJSON allocate as everything else does.  To be called before any of it is used.  Where memory runs out, members of a
 * report are missing; that is remembered, and the report is not printed.
 */
void tool_json_init(void);

/* Whether memory has run out for cJSON since tool_json_init. */
bool tool_json_failed(void);

/* Prints the object as one line and frees it.  NULL, or one that is not whole for want of memory, is a problem. */
int tool_print_json(cJSON *object);

/* Adds the item to the array, which owns it then; where there is no memory the item is freed. */
void tool_json_add(cJSON *array, cJSON *item);

/* Adds an integer exactly, whatever its size. */
void tool_json_int(cJSON *object, const char *name, int64_t n);

/* Logs "what: why" (why from err where it has a message) and returns TOOL_PROBLEM. */
int tool_failed(const char *what, enum error_code rc, const struct error *err);

/* The same for a system call that has just failed. */
int tool_failed_errno(const char *what, const char *path);

/*
 * Whether a result may be written to path: not over a file that is there, unless --force, and never over the database's own
 * files.  Logs what is in the way.
 */
bool tool_may_write(const struct tool *tool, const char *path);

/* Whether both name the same file. */
bool tool_same_file(const char *a, const char *b);

#endif
