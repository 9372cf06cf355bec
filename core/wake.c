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
    struct lock {
        char *path;
        int watch; /* -1 while nobody waits */
    } locks[WAKE_STORES];
    atomic_int lock_count;
    atomic_bool on;
};

static bool add(struct wake *w, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return fd >= 0 && epoll_ctl(w->poll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

enum error_code wake_new(struct wake **out)
{
    struct wake *w = mem_zalloc(1, sizeof *w);

    if (!w)
        return ERR_NO_MEMORY;
    w->poll_fd = w->event_fd = w->inotify_fd = -1;
    *out = w;
    return ERR_OK;
}

/* A process that nobody waits in, as CGI's mostly are, is spared the descriptors. */
static void open_descriptors(struct wake *w)
{
    if (w->poll_fd >= 0)
        return;
    w->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    add(w, w->event_fd);
    /* Without inotify (too many instances, say) the slow poll remains. */
    add(w, w->inotify_fd);
}

void wake_add_store(struct wake *w, const char *db_path)
{
    int n = atomic_load(&w->lock_count);
    size_t len = strlen(db_path);
    char *path = n < WAKE_STORES ? mem_alloc(len + sizeof ".lock") : NULL;

    if (!path)
        return;
    memcpy(path, db_path, len);
    memcpy(path + len, ".lock", sizeof ".lock");
    w->locks[n] = (struct lock){path, -1};
    atomic_store(&w->lock_count, n + 1);
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
    for (int i = 0; i < WAKE_STORES; i++)
        mem_free(w->locks[i].path);
    mem_free(w);
}

int wake_fd(struct wake *w)
{
    open_descriptors(w);
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
    int count = atomic_load(&w->lock_count);

    if (on)
        open_descriptors(w);
    atomic_store(&w->on, on);
    for (int i = 0; w->inotify_fd >= 0 && i < count; i++) {
        struct lock *lock = &w->locks[i];
        if (on && lock->watch < 0) {
            lock->watch = inotify_add_watch(w->inotify_fd, lock->path, IN_ATTRIB);
        } else if (!on && lock->watch >= 0) {
            inotify_rm_watch(w->inotify_fd, lock->watch);
            lock->watch = -1;
        }
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
