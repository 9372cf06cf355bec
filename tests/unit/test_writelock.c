/*
 * The writer lock between processes: one holder, in order, until the deadline, whatever becomes of the others.
 */
#include "writelock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "tap.h"

enum { CHILDREN = 8, TURNS = 200 };

/* Seen by all processes. */
struct shared {
    int inside; /* processes in the lock: never more than one */
    int overlaps;
    int next; /* position in order */
    int order[CHILDREN];
    long taken[CHILDREN];
};

static char path[] = "/tmp/kvs-writelock.XXXXXX";
static struct shared *shared;

static struct writelock *open_lock(void)
{
    struct writelock *lock = NULL;
    if (writelock_open(&lock, path, NULL))
        abort();
    return lock;
}

static void enter(int who)
{
    if (__atomic_add_fetch(&shared->inside, 1, __ATOMIC_SEQ_CST) != 1)
        __atomic_add_fetch(&shared->overlaps, 1, __ATOMIC_SEQ_CST);
    shared->taken[who]++;
}

static void leave(void)
{
    __atomic_sub_fetch(&shared->inside, 1, __ATOMIC_SEQ_CST);
}

static void nap(long ms)
{
    usleep((useconds_t)(ms * 1000));
}

/* A child that takes the lock once and notes its place in the order. */
static pid_t queue_up(int who)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    struct writelock *lock = open_lock();
    if (writelock_take(lock, clock_mono() + 10000))
        _exit(1);
    enter(who);
    shared->order[shared->next++] = who;
    leave();
    writelock_release(lock);
    _exit(0);
}

static bool all_well(const pid_t *pids, int count)
{
    bool well = true;
    int status;

    for (int i = 0; i < count; i++)
        well &= waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return well;
}

static void test_first_come_first_served(void)
{
    struct writelock *lock = open_lock();
    pid_t pids[CHILDREN];
    bool in_order = true;

    is_int(writelock_take(lock, clock_mono() + 1000), ERR_OK, "take_a_free_lock");
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = queue_up(i);
        nap(60); /* several times the interval at which a naive wait would look up and lose its place */
    }
    writelock_release(lock);
    ok(all_well(pids, CHILDREN), "everyone_gets_it");
    for (int i = 0; i < CHILDREN; i++)
        in_order &= shared->order[i] == i;
    ok(in_order, "in_the_order_in_which_they_came");
    writelock_close(lock);
}

/* Takes and releases without a pause. */
static pid_t hot(int who)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    struct writelock *lock = open_lock();
    for (int i = 0; i < TURNS; i++) {
        if (writelock_take(lock, clock_mono() + 20000))
            _exit(1);
        enter(who);
        for (int spin = 0; spin < 2000; spin++)
            __asm__ volatile("" ::: "memory");
        leave();
        writelock_release(lock);
    }
    _exit(0);
}

static void test_one_holder(void)
{
    pid_t pids[CHILDREN];

    memset(shared, 0, sizeof *shared);
    for (int i = 0; i < CHILDREN; i++)
        pids[i] = hot(i);
    ok(all_well(pids, CHILDREN), "all_get_all_their_turns");
    is_int(shared->overlaps, 0, "never_two_holders");
}

static void test_deadline(void)
{
    struct writelock *lock = open_lock(), *other = open_lock();

    is_int(writelock_take(lock, clock_mono() + 1000), ERR_OK, "held");
    int64_t start = clock_mono();
    is_int(writelock_take(other, start + 150), ERR_BUSY, "busy_at_the_deadline");
    ok(clock_mono() - start >= 150, "not_before");
    is_int(writelock_take(other, clock_mono() - 5), ERR_BUSY, "a_deadline_that_is_over_does_not_wait");
    writelock_release(lock);
    is_int(writelock_take(other, clock_mono() + 1000), ERR_OK, "free_again");
    writelock_release(other);
    writelock_close(other);
    writelock_close(lock);
}

/* A child that takes the lock, or waits for it, until it is killed. */
static pid_t stay(void)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    struct writelock *lock = open_lock();
    if (writelock_take(lock, clock_mono() + 60000))
        _exit(1);
    for (;;)
        pause();
}

static void test_death(void)
{
    struct writelock *lock = open_lock();
    pid_t holder = stay();

    nap(100);
    pid_t waiter = stay();
    nap(100);
    is_int(writelock_take(lock, clock_mono() + 100), ERR_BUSY, "held_by_another_process");
    kill(waiter, SIGKILL);
    kill(holder, SIGKILL);
    is_int(writelock_take(lock, clock_mono() + 5000), ERR_OK, "the_dead_make_way");
    waitpid(waiter, NULL, 0);
    waitpid(holder, NULL, 0);
    writelock_release(lock);
    writelock_close(lock);
}

/* The file is cut to nothing while somebody holds the lock: tickets begin anew, the holder keeps it. */
static void test_file_cut(void)
{
    struct writelock *lock = open_lock(), *other = open_lock();

    is_int(writelock_take(lock, clock_mono() + 1000), ERR_OK, "held_before_the_file_is_cut");
    ok(truncate(path, 0) == 0, "cut");
    writelock_release(lock);
    is_int(writelock_take(other, clock_mono() + 1000), ERR_OK, "goes_on");
    writelock_release(other);
    writelock_close(other);
    writelock_close(lock);
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0)
        return 1;
    close(fd);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    test_first_come_first_served();
    test_one_holder();
    test_deadline();
    test_death();
    test_file_cut();
    unlink(path);
    return done_testing();
}
