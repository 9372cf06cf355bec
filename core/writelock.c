#include "writelock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "checksum.h"
#include "clock.h"
#include "log.h"
#include "mem.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/*
 * A queue of tickets, kept by locks on single bytes of the file.  Whoever wants the lock takes the next ticket, locks the byte that
 * belongs to it, and waits until no byte of an earlier ticket is locked.  So the lock goes to those who wait in the order in which
 * they came, and a process that dies or gives up makes way by itself: the kernel drops its byte.
 *
 * Taking a ticket is guarded by a byte of its own, held for a few system calls.  The last ticket given is a number in the file.
 */
enum { GUARD = 0, COUNTER = 8, NOTE = 16 };

/* The bytes of tickets lie far behind everything that the file contains. */
static const off_t first_ticket = (off_t)1 << 40;

/* A blocked wait is interrupted this often, to look at the time: a signal may come before the wait begins, and a hurry after. */
enum { WAKE_MS = 20 };

/* More tickets than this are not waited with at a time. */
enum { TICKETS_MAX = 100000 };

struct writelock {
    int fd;
    off_t ticket;       /* the byte held, 0 while it is not */
    atomic_llong until; /* no wait is longer */
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
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
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
    struct writelock *lock = mem_zalloc(1, sizeof *lock);

    if (!lock)
        return error_set(err, ERR_NO_MEMORY, NULL, "out of memory");
    atomic_init(&lock->until, INT64_MAX);
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

static int set_lock(const struct writelock *lock, short type, off_t start, off_t len, int command)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(lock->fd, command, &range);
}

void writelock_hurry(struct writelock *lock, int64_t until)
{
    atomic_store(&lock->until, until);
}

int64_t writelock_deadline(const struct writelock *lock, int64_t deadline)
{
    int64_t until = atomic_load(&lock->until);
    return deadline < until ? deadline : until;
}

static int start_timer(timer_t *timer, int64_t deadline)
{
    struct sigevent event = {0};
    int64_t left = deadline - clock_mono();

    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = wake_signal();
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, timer))
        return -1;
    if (left < 1)
        left = 1;
    struct itimerspec at = {.it_interval = {.tv_nsec = WAKE_MS * 1000000L},
                            .it_value = {.tv_nsec = (left < WAKE_MS ? left : WAKE_MS) * 1000000L}};
    if (timer_settime(*timer, 0, &at, NULL) == 0)
        return 0;
    timer_delete(*timer);
    return -1;
}

/* Locks a range, waiting until the deadline. */
static enum error_code wait_for(const struct writelock *lock, short type, off_t start, off_t len, int64_t deadline)
{
    timer_t timer;
    enum error_code rc = ERR_OK;

    if (!set_lock(lock, type, start, len, F_OFD_SETLK))
        return ERR_OK;
    if (errno != EAGAIN && errno != EACCES) {
        log_line(LOG_ERROR, "the lock file cannot be locked: %s", strerror(errno));
        return ERR_INTERNAL;
    }
    if (start_timer(&timer, writelock_deadline(lock, deadline)))
        return ERR_INTERNAL;
    while (set_lock(lock, type, start, len, F_OFD_SETLKW)) {
        if (errno != EINTR)
            rc = ERR_INTERNAL;
        else if (clock_mono() >= writelock_deadline(lock, deadline))
            rc = ERR_BUSY;
        if (rc)
            break;
    }
    timer_delete(timer);
    return rc;
}

/* Writes down the last ticket that was given. */
static enum error_code save_counter(const struct writelock *lock, uint64_t last)
{
    ssize_t n = pwrite(lock->fd, &last, sizeof last, COUNTER);

    if (n == sizeof last)
        return ERR_OK;
    if (n >= 0 || errno == ENOSPC || errno == EDQUOT)
        return ERR_FULL;
    log_line(LOG_ERROR, "the lock file cannot be written: %s", strerror(errno));
    return ERR_INTERNAL;
}

/*
 * Under the guard: the next number, and its byte.  A byte that is locked already belongs to a time before the file was cut, or
 * to a stranger who has locked more than the guard: that is not waited out.
 */
static enum error_code next_ticket(struct writelock *lock)
{
    uint64_t last = 0;
    int tries = 0;

    if (pread(lock->fd, &last, sizeof last, COUNTER) != sizeof last)
        last = 0;
    last %= (uint64_t)1 << 60;
    while (set_lock(lock, F_WRLCK, first_ticket + (off_t)++last, 1, F_OFD_SETLK)) {
        if (errno != EAGAIN && errno != EACCES)
            return ERR_INTERNAL;
        if (++tries == TICKETS_MAX)
            return ERR_BUSY;
    }
    lock->ticket = first_ticket + (off_t)last;
    return save_counter(lock, last);
}

static void drop_ticket(struct writelock *lock)
{
    set_lock(lock, F_UNLCK, lock->ticket, 1, F_OFD_SETLK);
    lock->ticket = 0;
}

enum error_code writelock_take(struct writelock *lock, int64_t deadline)
{
    enum error_code rc = wait_for(lock, F_WRLCK, GUARD, 1, deadline);
    if (rc)
        return rc;
    rc = next_ticket(lock);
    set_lock(lock, F_UNLCK, GUARD, 1, F_OFD_SETLK);
    off_t earlier = lock->ticket - first_ticket;
    if (!rc) {
        /* Shared, so that those who wait do not keep each other out. */
        rc = wait_for(lock, F_RDLCK, first_ticket, earlier, deadline);
        set_lock(lock, F_UNLCK, first_ticket, earlier, F_OFD_SETLK);
    }
    if (rc)
        drop_ticket(lock);
    return rc;
}

void writelock_release(struct writelock *lock)
{
    drop_ticket(lock);
}

/* As it lies in the file. */
struct note {
    uint64_t file;
    int64_t commits, sum;
};

static int64_t note_sum(const struct note *note)
{
    return checksum_of(note, offsetof(struct note, sum));
}

void writelock_note(struct writelock *lock, uint64_t file, int64_t commits)
{
    struct note note = {.file = file, .commits = commits};

    note.sum = note_sum(&note);
    /* Where there is no room for it, nothing is noted, and nothing claimed. */
    if (pwrite(lock->fd, &note, sizeof note, NOTE) != sizeof note)
        log_line(LOG_WARNING, "the last commit's number cannot be kept in the lock file: %s", strerror(errno));
}

int64_t writelock_noted(const struct writelock *lock, uint64_t file)
{
    struct note note;

    if (pread(lock->fd, &note, sizeof note, NOTE) != sizeof note || note.file != file || note.sum != note_sum(&note))
        return 0;
    return note.commits;
}

void writelock_forget(struct writelock *lock)
{
    writelock_note(lock, 0, 0);
}

void writelock_signal(struct writelock *lock)
{
    /* Its time, not its content: that changes with every ticket.  Where it fails, the slow poll remains. */
    if (futimens(lock->fd, NULL))
        return;
}
