/*
 * From FastCGI records to a request of the core, by libfcgi.
 */
#ifndef KVS_SERVE_H
#define KVS_SERVE_H

#include "conn.h"

enum serve_result {
    SERVE_OK,
    SERVE_FAILED, /* nothing to answer with: close */
    SERVE_LOST    /* as before, and libfcgi has closed fd */
};

/* Bytes that libfcgi allocates at most while it reads the request, what each allocation takes besides included. */
size_t serve_room(const struct conn *c);

/*
 * Fills c->request from the records that fd gives (the connection itself, where all of them wait to be read, or a
 * spool).  Nothing of it belongs to libfcgi afterwards.
 */
enum serve_result serve_read(struct conn *c, int fd);

#endif
