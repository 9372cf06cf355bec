/* The workers: what each does with the events it gets, and the end of it all. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "front.h"
#include "log.h"
#include "mem.h"

enum {
    ACCEPTS = 16,        /* connections served in a row before a look at what else there is */
    SWEEP_EVERY = 500,   /* ms, while there are connections */
    SWEEP_PAUSED = 20,   /* ms, while some wait for budget */
    STOP_BEGUN = 1500,   /* ms that a stop waits for requests that have begun to come in, */
    STOP_ANSWERS = 4500, /* and for everything */
    STOP_POLL = 5
};

struct worker {
    pthread_t thread;
    struct front *front;
    bool told; /* there may be connections to accept */
    unsigned char peek[CONN_PEEK];
};

/* --- New connections --- */

static struct conn *try_accept(struct front *f)
{
    const int on = 1;
    struct conn *c = front_take(f);
    if (!c)
        return NULL;
    int fd;
    do
        fd = accept4(f->listener.fd, NULL, NULL, SOCK_CLOEXEC);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        const int error = errno;
        front_put(f, c);
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
            front_pause(f);
        return NULL;
    }
    if (f->listener.tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn_begin(c, f, fd);
    return c;
}

/* Takes one connection from the queue; NULL where there is none, or no room for it. */
static struct conn *accept_one(struct front *f)
{
    atomic_fetch_add(&f->coming, 1);
    struct conn *c = try_accept(f);
    atomic_fetch_sub(&f->coming, 1);
    return c;
}

/*
 * Takes a connection and serves it.  The worker that was told of connections goes on until there are none: that is what
 * costs least while requests are short.  Where they have been long lately, another is told of the next one.
 */
static bool serve_one(struct worker *w)
{
    struct front *f = w->front;
    struct conn *c = accept_one(f);
    if (!c)
        return false;
    if (atomic_load_explicit(&f->slow, memory_order_relaxed) > 0)
        front_announce(f);
    conn_work(c, w->peek);
    return true;
}

/* --- The timer and the core's wake-up --- */

static int64_t sweep(struct front *f, int64_t now)
{
    size_t made;
    const size_t active = front_active(f, &made);
    if (now < f->sweep_due && atomic_load(&f->paused) == 0)
        return f->sweep_due;
    front_resume(f);
    front_announce(f); /* should the worker that was told of connections be held up with the first of them */
    if (active == 0) {
        atomic_store(&f->sweeping, false);
        /* One that came in the meantime has seen the flag as it was. */
        if (front_active(f, &made) == 0)
            return INT64_MAX;
        atomic_store(&f->sweeping, true);
    }
    for (size_t i = 0; i < made; i++)
        conn_sweep(f->conns[i], now);
    f->sweep_due = now + SWEEP_EVERY;
    return now + (atomic_load(&f->paused) > 0 ? SWEEP_PAUSED : SWEEP_EVERY);
}

static void tick_once(struct front *f)
{
    const int wait = kvs_tick(f->kvs, f->config->maint_interval > 0);
    const int64_t now = clock_mono();
    if (wait >= 0)
        front_timer(f, now + wait);
    if (atomic_load(&f->sweeping))
        front_timer(f, sweep(f, now));
}

/* One thread ticks; one that comes meanwhile makes it tick once more. */
static void tick(struct front *f)
{
    atomic_store(&f->tick_wanted, true);
    while (atomic_load(&f->tick_wanted) && pthread_mutex_trylock(&f->tick_lock) == 0) {
        atomic_store(&f->tick_wanted, false);
        tick_once(f);
        pthread_mutex_unlock(&f->tick_lock);
    }
}

/* --- Workers --- */

/*
 * As serve_one; a web server that is about to connect once more gets a chance to do so before this worker goes to sleep,
 * which costs both of them more than the call does.
 */
static bool serve_some(struct worker *w)
{
    if (serve_one(w))
        return true;
    sched_yield();
    if (serve_one(w))
        return true;
    front_announce(w->front);
    return false;
}

static void dispatch(struct worker *w, const struct epoll_event *e)
{
    struct front *f = w->front;
    void *of = e->data.ptr;
    if (of == &f->listener) {
        w->told = true;
    } else if (of == &f->timer_fd) {
        front_timer_fired(f);
        tick(f);
    } else if (of == &f->tick_lock) {
        tick(f);
    } else if (of != &f->quit_fd) {
        conn_work(of, w->peek);
    }
}

/* Takes one event, waiting for it or not. */
static void turn(struct worker *w, bool wait)
{
    struct front *f = w->front;
    struct epoll_event e;
    if (epoll_wait(f->epoll_fd, &e, 1, wait ? -1 : 0) == 1)
        dispatch(w, &e);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    unsigned served = 0;
    while (!atomic_load(&w->front->quit)) {
        if (w->told && served++ < ACCEPTS) {
            w->told = serve_some(w);
            continue;
        }
        if (w->told)
            front_announce(w->front); /* there are many: another may help */
        served = 0;
        turn(w, !w->told);
    }
    return NULL;
}

/* --- Stopping --- */

static void nap(void)
{
    const struct timespec t = {.tv_nsec = STOP_POLL * 1000000L};
    nanosleep(&t, NULL);
}

/*
 * Nobody new; but who is in the queue has been told that the connection stands.  The descriptor is replaced rather than
 * closed, as a worker may be about to accept on it.
 */
static void stop_accepting(struct front *f)
{
    pthread_mutex_lock(&f->pool_lock);
    atomic_store(&f->stopping, true);
    if (f->accepting)
        epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, f->listener.fd, NULL);
    f->accepting = false;
    pthread_mutex_unlock(&f->pool_lock);
    listen_refuse(&f->listener);
    for (struct conn *c = accept_one(f); c; c = accept_one(f))
        conn_hand_over(c);
    if (dup2(f->quit_fd, f->listener.fd) < 0)
        log_line(LOG_WARNING, "cannot close the listening socket: %s", strerror(errno));
}

static bool any_busy(struct front *f)
{
    size_t made;
    if (atomic_load(&f->coming) > 0)
        return true;
    front_active(f, &made);
    for (size_t i = 0; i < made; i++) {
        if (conn_is_busy(f->conns[i]))
            return true;
    }
    return false;
}

static void close_all(struct front *f, enum conn_close_which which)
{
    size_t made;
    front_active(f, &made);
    for (size_t i = 0; i < made; i++)
        conn_close(f->conns[i], which);
}

/* Requests that have begun to come in are served; then those that wait are ended; then all output goes out. */
static bool stop(struct front *f)
{
    const int64_t begin = clock_mono();
    size_t made;
    stop_accepting(f);
    while (any_busy(f) && clock_mono() < begin + STOP_BEGUN)
        nap();
    kvs_stop(f->kvs);
    for (;;) {
        close_all(f, CONN_CLOSE_READING);
        if (front_active(f, &made) == 0)
            return true;
        if (clock_mono() >= begin + STOP_ANSWERS)
            break;
        nap();
    }
    close_all(f, CONN_CLOSE_ANSWERED);
    return front_active(f, &made) == 0;
}

static bool wait_for_signal(void)
{
    sigset_t signals;
    int got;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    do
        got = sigwaitinfo(&signals, NULL);
    while (got < 0 && errno == EINTR);
    return got > 0;
}

static void quit(struct front *f, struct worker **workers, unsigned n)
{
    const uint64_t one = 1;
    atomic_store(&f->quit, true);
    if (write(f->quit_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        log_line(LOG_ERROR, "cannot end the workers: %s", strerror(errno));
    for (unsigned i = 0; i < n; i++) {
        pthread_join(workers[i]->thread, NULL);
        mem_free(workers[i]);
    }
}

static struct worker *start_worker(struct front *f)
{
    struct worker *w = mem_alloc(sizeof(*w));
    if (!w)
        return NULL;
    w->front = f;
    w->told = false;
    if (pthread_create(&w->thread, NULL, work, w) != 0) {
        mem_free(w);
        return NULL;
    }
    return w;
}

bool front_run(struct front *f, unsigned threads, bool *clean, char *message, size_t message_size)
{
    unsigned n = 0;
    *clean = true;
    struct worker **workers = mem_zalloc(threads, sizeof(*workers));
    while (workers && n < threads && (workers[n] = start_worker(f)))
        n++;
    const bool ok = workers && n == threads;
    if (ok) {
        front_timer(f, clock_mono());
        wait_for_signal();
        *clean = stop(f);
    } else {
        snprintf(message, message_size, "cannot start %u threads", threads);
    }
    quit(f, workers, n);
    mem_free(workers);
    return ok;
}
