/*
 * What happened to the files of one directory, in order: the calls that change files or names, those that make changes last, and
 * marks of whoever watches.  The shim (shim.h) writes it, a disk (disk.h) is brought forward by it.
 */
#ifndef KVS_TEST_TRACE_H
#define KVS_TEST_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum { TRACE_NAME = 64 };

enum event_type {
    EVENT_CREATE,
    EVENT_WRITE,
    EVENT_TRUNCATE,
    EVENT_SYNC,
    EVENT_SYNC_FAILED, /* the kernel gave up on what was written: a later sync does not try it again */
    EVENT_RENAME,
    EVENT_LINK,
    EVENT_UNLINK,
    EVENT_SYNC_DIRECTORY,
    EVENT_MARK
};

struct event {
    enum event_type type;
    char name[TRACE_NAME], to[TRACE_NAME]; /* within the directory; `to` of RENAME and LINK */
    int64_t offset;                        /* of WRITE; the new size of TRUNCATE; of MARK what it was made with */
    size_t len;
    unsigned char *data; /* of WRITE and MARK; the trace's */
};

struct trace {
    struct event *events; /* owned */
    size_t count, room;
};

/* Adds an event; data (len bytes, may be NULL) is copied.  Ends the program where there is no memory. */
void trace_add(struct trace *trace, enum event_type type, const char *name, const char *to, int64_t offset,
               const void *data, size_t len);

/* Forgets everything; the trace can be used again. */
void trace_clear(struct trace *trace);

#endif
