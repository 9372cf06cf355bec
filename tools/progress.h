/*
 * A progress bar on standard error, where that is a terminal and nobody asked for quiet.
 */
#ifndef KVS_PROGRESS_H
#define KVS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "tool.h"

struct progress {
    const char *label;
    bool on;
    bool shown;
    int64_t next; /* clock_mono before which nothing is drawn */
};

/* label is a constant: "backing up". */
void progress_start(struct progress *p, const struct tool *tool, const char *label);

/* context is the struct progress, so that it can be given as a callback.  total 0: not known. */
void progress_at(void *context, int64_t done, int64_t total);

/* Takes the bar away, so that lines can be printed; progress_at shows it again. */
void progress_clear(struct progress *p);

#endif
