/*
 * Log lines on stderr, of one form:  kvs.fcgi[123]: warning: text
 * or, with log_json, one JSON object a line.  Never a token, key or value.  What is about one request ends in its id.
 */
#ifndef KVS_LOG_H
#define KVS_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Called once at start, before threads.  program is a string that lives on. */
void log_init(const char *program, enum log_level level, bool json);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

/* A line about one request; id, its id, is visible ASCII. */
__attribute__((format(printf, 3, 4))) void log_request(enum log_level level, const char *id, const char *fmt, ...);

bool log_is_on(enum log_level level);

/* Level by name ("error", "warning", "info", "debug"); false if unknown. */
bool log_level_parse(const char *name, enum log_level *level);

#endif
