/*
 * The listening socket: inherited (descriptor 0 from the web server or spawn-fcgi, or systemd's) or our own.
 */
#ifndef KVS_LISTEN_H
#define KVS_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct listener {
    int fd;     /* non-blocking; -1 when closed */
    bool owned; /* made here: nobody else accepts on it */
    bool tcp;
    char *path; /* of a Unix socket made here, owned; removed by listen_close */
    dev_t dev;  /* of that file, so that another's is never removed */
    ino_t ino;
};

enum listen_result {
    LISTEN_OK,
    LISTEN_NONE,  /* nothing inherited */
    LISTEN_FAILED /* message says why */
};

/* Takes what was inherited: systemd's LISTEN_FDS, or descriptor 0 where it is a listening socket. */
enum listen_result listen_inherit(struct listener *l, char *message, size_t message_size);

/*
 * Listens on a path (a Unix socket, mode 0660; a stale file is replaced, a live one is an error) or HOST:PORT (loopback
 * only unless anywhere).  Before threads: it sets the umask for a moment.
 */
enum listen_result listen_open(struct listener *l, const char *where, bool anywhere, char *message,
                               size_t message_size);

/* Lets nobody connect any more, as far as that can be had; what is in the queue can still be accepted. */
void listen_refuse(struct listener *l);

void listen_close(struct listener *l);

#endif
