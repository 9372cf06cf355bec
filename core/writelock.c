#include "writelock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "mem.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/*
 * Two bytes of the file: the turnstile, held while waiting for the lock, and the lock.  A process that has just released
 * the lock and wants it again must pass the turnstile, which the next one in line holds.
 */
enum { TURNSTILE = 0, HELD = 1 };

/* A blocked wait is interrupted this often, to look at the deadline. */
enum { WAKE_MS = 20 };

struct writelock {
    int fd;
};

static void on_wake(int signal)
{
    (void)signal;
}

/* The signal that interrupts a blocked wait; its handler does nothing. */
static int wake_signal(void)
{
    return SIGRTMIN + 3;
}

/* Whatever the umask, the group shares it as it shares the database; the mode of a file that is there is its owner's. */
static int open_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);

    if (fd < 0 && errno == EEXIST)
        return open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && fchmod(fd, 0660)) {
        close(fd);
        return -1;
    }
    return fd;
}

enum error_code writelock_open(struct writelock **out, const char *path, struct error *err)
{
    struct sigaction action = {.sa_handler = on_wake};
    struct writelock *lock = mem_alloc(sizeof *lock);

    if (!lock)
        return error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    lock->fd = open_file(path);
    if (lock->fd < 0) {
        error_set(err, ERR_INTERNAL, NULL, "cannot open the lock file %s: %s", path, strerror(errno));
        mem_free(lock);
        return ERR_INTERNAL;
    }
    sigemptyset(&action.sa_mask);
    sigaction(wake_signal(), &action, NULL);
    *out = lock;
    return ERR_OK;
}

void writelock_close(struct writelock *lock)
{
    if (!lock)
        return;
    close(lock->fd);
    mem_free(lock);
}

static int set_lock(const struct writelock *lock, short type, off_t byte, int command)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(lock->fd, command, &range);
}

static int start_timer(timer_t *timer)
{
    struct sigevent event = {0};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = wake_signal();
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, timer))
        return -1;
    struct timespec tick = {.tv_nsec = WAKE_MS * 1000000L};
    struct itimerspec every = {.it_interval = tick, .it_value = tick};
    return timer_settime(*timer, 0, &every, NULL);
}

/* Waits for one byte; the repeating timer makes a signal that came too early harmless. */
static enum error_code wait_for(const struct writelock *lock, off_t byte, int64_t deadline)
{
    timer_t timer;
    enum error_code rc = ERR_OK;

    if (!set_lock(lock, F_WRLCK, byte, F_OFD_SETLK))
        return ERR_OK;
    if (errno != EAGAIN && errno != EACCES) {
        log_line(LOG_ERROR, "the lock file cannot be locked: %s", strerror(errno));
        return ERR_INTERNAL;
    }
    if (start_timer(&timer))
        return ERR_INTERNAL;
    while (set_lock(lock, F_WRLCK, byte, F_OFD_SETLKW)) {
        if (errno != EINTR)
            rc = ERR_INTERNAL;
        else if (clock_mono() >= deadline)
            rc = ERR_BUSY;
        if (rc)
            break;
    }
    timer_delete(timer);
    return rc;
}

enum error_code writelock_take(struct writelock *lock, int64_t deadline)
{
    enum error_code rc = wait_for(lock, TURNSTILE, deadline);
    if (rc)
        return rc;
    rc = wait_for(lock, HELD, deadline);
    set_lock(lock, F_UNLCK, TURNSTILE, F_OFD_SETLK);
    return rc;
}

void writelock_release(struct writelock *lock)
{
    set_lock(lock, F_UNLCK, HELD, F_OFD_SETLK);
}

void writelock_signal(struct writelock *lock)
{
    /* Where it fails (disk full), those who wait find out by their slow poll. */
    if (pwrite(lock->fd, "", 1, 0) < 0)
        return;
}

int writelock_contended(struct writelock *lock)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = TURNSTILE, .l_len = 1};
    return fcntl(lock->fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}
