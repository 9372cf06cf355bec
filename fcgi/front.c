#include "front.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"

enum {
    SPOOL_BODIES = 4,        /* the budget: that many bodies of the largest size, */
    SPOOL_LEAST = 256 << 20, /* but no fewer bytes than this */
    SWEEP_SOON = 500         /* ms */
};

static bool failed(char *message, size_t size, const char *what)
{
    snprintf(message, size, "%s: %s", what, strerror(errno));
    return false;
}

static bool watch(struct front *f, int fd, uint32_t events, void *of)
{
    struct epoll_event e = {.events = events, .data.ptr = of};
    return epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0;
}

/* One worker is told, and goes on accepting until there are none: nobody else is woken for nothing meanwhile. */
static bool accept_on(struct front *f)
{
    return watch(f, f->listener.fd, EPOLLIN | EPOLLONESHOT, &f->listener);
}

void front_announce(struct front *f)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = &f->listener};
    /* Where it fails, accepting is off, and will be announced when that ends. */
    epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, f->listener.fd, &e);
}

static void on_hold(void *context)
{
    front_announce(context);
}

bool front_init(struct front *f, const struct config *config, struct kvs *kvs, const struct listener *listener,
                size_t limit, char *message, size_t message_size)
{
    const long long least = SPOOL_LEAST;
    memset(f, 0, sizeof(*f));
    f->config = config;
    f->kvs = kvs;
    f->listener = *listener;
    f->limit = limit;
    f->timer_due = INT64_MAX;
    atomic_init(&f->budget.left, SPOOL_BODIES * config->max_body > least ? SPOOL_BODIES * config->max_body : least);
    pthread_mutex_init(&f->pool_lock, NULL);
    pthread_mutex_init(&f->timer_lock, NULL);
    pthread_mutex_init(&f->tick_lock, NULL);
    f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    f->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    f->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->epoll_fd < 0 || f->timer_fd < 0 || f->quit_fd < 0)
        return failed(message, message_size, "cannot make descriptors");
    f->conns = mem_zalloc(limit, sizeof(struct conn *));
    if (!f->conns)
        return failed(message, message_size, "cannot make the table of connections");
    f->accepting = true;
    kvs_on_hold(kvs, on_hold, f);
    if (!watch(f, f->timer_fd, EPOLLIN | EPOLLET, &f->timer_fd) ||
        !watch(f, kvs_wake_fd(kvs), EPOLLIN | EPOLLET, &f->tick_lock) || !watch(f, f->quit_fd, EPOLLIN, &f->quit_fd) ||
        !accept_on(f))
        return failed(message, message_size, "cannot watch descriptors");
    return true;
}

void front_free(struct front *f)
{
    for (size_t i = 0; i < f->made; i++)
        conn_destroy(f->conns[i]);
    mem_free(f->conns);
    listen_close(&f->listener);
    const int fds[] = {f->epoll_fd, f->timer_fd, f->quit_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    pthread_mutex_destroy(&f->pool_lock);
    pthread_mutex_destroy(&f->timer_lock);
    pthread_mutex_destroy(&f->tick_lock);
}

size_t front_spool_limit(const struct front *f)
{
    return 4 * (size_t)f->config->max_body + 4 * INSPECT_PARAMS_MAX;
}

/* --- The pool; with pool_lock --- */

static struct conn *make(struct front *f)
{
    struct conn *c = mem_zalloc(1, sizeof(*c));
    if (!c)
        return NULL;
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        mem_free(c);
        return NULL;
    }
    c->fd = -1;
    c->front = f;
    c->state = CONN_FREE;
    f->conns[f->made++] = c;
    return c;
}

static void pause_accept(struct front *f)
{
    if (f->accepting && f->listener.fd >= 0)
        epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, f->listener.fd, NULL);
    f->accepting = false;
}

static void resume_accept(struct front *f)
{
    if (!f->accepting && f->listener.fd >= 0 && !atomic_load(&f->stopping))
        f->accepting = accept_on(f);
}

struct conn *front_take(struct front *f)
{
    pthread_mutex_lock(&f->pool_lock);
    struct conn *c = f->free;
    if (c)
        f->free = c->next_free;
    else if (f->made < f->limit)
        c = make(f);
    if (c)
        f->active++;
    else
        pause_accept(f);
    pthread_mutex_unlock(&f->pool_lock);
    return c;
}

void front_put(struct front *f, struct conn *c)
{
    pthread_mutex_lock(&f->pool_lock);
    c->next_free = f->free;
    f->free = c;
    f->active--;
    resume_accept(f);
    pthread_mutex_unlock(&f->pool_lock);
}

void front_pause(struct front *f)
{
    pthread_mutex_lock(&f->pool_lock);
    pause_accept(f);
    pthread_mutex_unlock(&f->pool_lock);
    front_want_sweep(f);
}

void front_resume(struct front *f)
{
    pthread_mutex_lock(&f->pool_lock);
    resume_accept(f);
    pthread_mutex_unlock(&f->pool_lock);
}

size_t front_active(struct front *f, size_t *made)
{
    pthread_mutex_lock(&f->pool_lock);
    const size_t active = f->active;
    *made = f->made;
    pthread_mutex_unlock(&f->pool_lock);
    return active;
}

/* --- The timer --- */

void front_timer(struct front *f, int64_t due)
{
    pthread_mutex_lock(&f->timer_lock);
    if (due < f->timer_due) {
        int64_t in = due - clock_mono();
        if (in < 0)
            in = 0;
        /* A time of nothing at all would switch the timer off. */
        const struct itimerspec t = {.it_value = {.tv_sec = in / 1000, .tv_nsec = in % 1000 * 1000000 + 1}};
        if (timerfd_settime(f->timer_fd, 0, &t, NULL) == 0)
            f->timer_due = due;
    }
    pthread_mutex_unlock(&f->timer_lock);
}

void front_timer_fired(struct front *f)
{
    pthread_mutex_lock(&f->timer_lock);
    f->timer_due = INT64_MAX;
    pthread_mutex_unlock(&f->timer_lock);
}

void front_want_sweep(struct front *f)
{
    if (!atomic_load_explicit(&f->sweeping, memory_order_relaxed) && !atomic_exchange(&f->sweeping, true))
        front_timer(f, clock_mono() + SWEEP_SOON);
}
