#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct event *make_room(struct trace *t)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 256;
        t->events = realloc(t->events, t->room * sizeof *t->events);
        if (!t->events)
            abort();
    }
    return &t->events[t->count++];
}

void trace_add(struct trace *t, enum event_type type, const char *name, const char *to, int64_t offset,
               const void *data, size_t len)
{
    struct event *e = make_room(t);

    *e = (struct event){.type = type, .offset = offset, .len = len};
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->to, sizeof e->to, "%s", to ? to : "");
    if (!data)
        return;
    e->data = malloc(len ? len : 1);
    if (!e->data)
        abort();
    memcpy(e->data, data, len);
}

void trace_clear(struct trace *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->events[i].data);
    free(t->events);
    *t = (struct trace){0};
}
