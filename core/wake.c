#include "wake.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "mem.h"

struct wake {
    int poll_fd; /* an epoll set of the two below, so that there is one descriptor to wait for */
    int event_fd;
    int inotify_fd;
    int log_watch; /* -1 while nobody waits, or the log is not there */
    char *log_path;
    atomic_bool on;
};

static bool add(struct wake *w, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return fd >= 0 && epoll_ctl(w->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

enum error_code wake_new(struct wake **out, const char *db_path)
{
    struct wake *w = mem_zalloc(1, sizeof *w);
    size_t len = strlen(db_path);

    if (!w)
        return ERR_NO_MEMORY;
    w->log_watch = -1;
    w->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    w->log_path = mem_alloc(len + sizeof "-wal");
    if (!w->log_path || !add(w, w->event_fd)) {
        wake_free(w);
        return ERR_NO_MEMORY;
    }
    /* Without inotify (too many instances, say) the slow poll remains. */
    add(w, w->inotify_fd);
    memcpy(w->log_path, db_path, len);
    memcpy(w->log_path + len, "-wal", sizeof "-wal");
    *out = w;
    return ERR_OK;
}

static void shut(int fd)
{
    if (fd >= 0)
        close(fd);
}

void wake_free(struct wake *w)
{
    if (!w)
        return;
    shut(w->event_fd);
    shut(w->inotify_fd);
    shut(w->poll_fd);
    mem_free(w->log_path);
    mem_free(w);
}

int wake_fd(const struct wake *w)
{
    return w->poll_fd;
}

void wake_now(struct wake *w)
{
    uint64_t one = 1;

    if (!w || !atomic_load(&w->on))
        return;
    if (write(w->event_fd, &one, sizeof one) < 0)
        return; /* full of signals already */
}

void wake_watch(struct wake *w, bool on)
{
    atomic_store(&w->on, on);
    if (on && w->log_watch < 0 && w->inotify_fd >= 0) {
        w->log_watch = inotify_add_watch(w->inotify_fd, w->log_path, IN_MODIFY);
    } else if (!on && w->log_watch >= 0) {
        inotify_rm_watch(w->inotify_fd, w->log_watch);
        w->log_watch = -1;
    }
}

void wake_drain(struct wake *w)
{
    char events[4096];
    uint64_t n;

    while (read(w->event_fd, &n, sizeof n) > 0)
        ;
    while (w->inotify_fd >= 0 && read(w->inotify_fd, events, sizeof events) > 0)
        ;
}
