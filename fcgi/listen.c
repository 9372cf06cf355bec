#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mem.h"

enum { SYSTEMD_FIRST_FD = 3 };

static const struct listener closed = {.fd = -1};

__attribute__((format(printf, 3, 4))) static enum listen_result fail(char *message, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, size, fmt, args);
    va_end(args);
    return LISTEN_FAILED;
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t len = sizeof(listening);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static bool is_tcp(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
           (address.ss_family == AF_INET || address.ss_family == AF_INET6);
}

static bool set_flags(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* systemd's hand-over: LISTEN_PID is us and LISTEN_FDS counts descriptors from 3. */
static int systemd_fds(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    const long n = strtol(fds, NULL, 10);
    return n < 0 || n > 1000 ? 0 : (int)n;
}

enum listen_result listen_inherit(struct listener *l, char *message, size_t size)
{
    *l = closed;
    const int handed = systemd_fds();
    if (handed > 1)
        return fail(message, size, "systemd passed %d sockets: one ListenStream= is what kvs.fcgi serves", handed);
    l->fd = handed == 1 ? SYSTEMD_FIRST_FD : STDIN_FILENO;
    if (!is_listening(l->fd)) {
        *l = closed;
        return handed == 1 ? fail(message, size, "systemd passed a socket that does not listen") : LISTEN_NONE;
    }
    l->tcp = is_tcp(l->fd);
    if (!set_flags(l->fd))
        return fail(message, size, "cannot set up the listening socket: %s", strerror(errno));
    return LISTEN_OK;
}

/* Whether somebody listens at that address, be it that he takes no more just now: that is not waited for. */
static bool is_live(const struct sockaddr_un *address)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true; /* unknown: leave it alone */
    const bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
    const mode_t mask = umask(0117);
    const int result = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    const int error = errno;
    umask(mask);
    errno = error;
    return result;
}

/* Removes a socket file that nobody listens on.  Anything else stays and is an error. */
static enum listen_result remove_stale(const struct sockaddr_un *address, char *message, size_t size)
{
    struct stat st;
    const char *path = address->sun_path;
    if (lstat(path, &st) != 0)
        return fail(message, size, "cannot listen on %s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return fail(message, size, "cannot listen on %s: it is there and is no socket", path);
    if (is_live(address))
        return fail(message, size, "cannot listen on %s: another process serves it", path);
    if (unlink(path) != 0)
        return fail(message, size, "cannot replace the stale socket %s: %s", path, strerror(errno));
    return LISTEN_OK;
}

static enum listen_result open_unix(struct listener *l, const char *path, char *message, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    const size_t len = strlen(path);
    if (len >= sizeof(address.sun_path))
        return fail(message, size, "the socket's path is too long: at most %zu bytes", sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len + 1);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return fail(message, size, "cannot make a socket: %s", strerror(errno));
    if (bind_private(l->fd, &address) != 0) {
        if (errno != EADDRINUSE)
            return fail(message, size, "cannot listen on %s: %s", path, strerror(errno));
        if (remove_stale(&address, message, size) != LISTEN_OK)
            return LISTEN_FAILED;
        if (bind_private(l->fd, &address) != 0)
            return fail(message, size, "cannot listen on %s: %s", path, strerror(errno));
    }
    l->path = mem_dup(path, len);
    if (!l->path || stat(path, &st) != 0)
        return fail(message, size, "cannot listen on %s: %s", path, strerror(l->path ? errno : ENOMEM));
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    return LISTEN_OK;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
    }
    return false;
}

static enum listen_result bind_tcp(struct listener *l, const struct addrinfo *info, const char *where, bool anywhere,
                                   char *message, size_t size)
{
    const int on = 1;
    if (!anywhere && !is_loopback(info->ai_addr))
        return fail(message, size,
                    "%s is not a loopback address: whoever reaches it talks FastCGI to the server; "
                    "--listen-anywhere if that is meant",
                    where);
    l->fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return fail(message, size, "cannot make a socket: %s", strerror(errno));
    l->tcp = true;
    if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(l->fd, info->ai_addr, info->ai_addrlen) != 0)
        return fail(message, size, "cannot listen on %s: %s", where, strerror(errno));
    return LISTEN_OK;
}

/* host:port, [host]:port or :port (which is loopback). */
static enum listen_result open_tcp(struct listener *l, const char *where, bool anywhere, char *message, size_t size)
{
    char host[256];
    const char *colon = strrchr(where, ':');
    const char *start = where;
    size_t len = (size_t)(colon - where);
    if (len >= 2 && start[0] == '[' && start[len - 1] == ']') {
        start++;
        len -= 2;
    }
    if (len >= sizeof(host))
        return fail(message, size, "the host name is too long");
    memcpy(host, start, len);
    host[len] = '\0';
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    const int error = getaddrinfo(len > 0 ? host : "127.0.0.1", colon + 1, &hints, &info);
    if (error)
        return fail(message, size, "cannot listen on %s: %s", where, gai_strerror(error));
    const enum listen_result result = bind_tcp(l, info, where, anywhere, message, size);
    freeaddrinfo(info);
    return result;
}

/* A path has a slash or no port; everything else is host and port. */
static bool is_tcp_name(const char *where)
{
    const char *colon = strrchr(where, ':');
    return !strchr(where, '/') && colon && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0';
}

enum listen_result listen_open(struct listener *l, const char *where, bool anywhere, char *message, size_t size)
{
    *l = closed;
    l->owned = true;
    enum listen_result result =
        is_tcp_name(where) ? open_tcp(l, where, anywhere, message, size) : open_unix(l, where, message, size);
    if (result == LISTEN_OK && listen(l->fd, SOMAXCONN) != 0)
        result = fail(message, size, "cannot listen on %s: %s", where, strerror(errno));
    if (result != LISTEN_OK)
        listen_close(l);
    return result;
}

void listen_refuse(struct listener *l)
{
    /*
     * On a Unix socket this leaves the queue alone; on TCP it would reset it.  A socket that others listen on too is
     * theirs to go on with.
     */
    if (l->owned && !l->tcp)
        shutdown(l->fd, SHUT_RD);
}

void listen_close(struct listener *l)
{
    struct stat st;
    if (l->path && stat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->path);
    mem_free(l->path);
    if (l->fd >= 0)
        close(l->fd);
    *l = closed;
}
