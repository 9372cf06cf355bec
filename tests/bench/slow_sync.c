/*
 * Preloaded into the programs that are measured: each sync takes longer by BENCH_SYNC_US microseconds, as on a slower disk.  The
 * sync itself is the system's.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void nap(void)
{
    const char *text = getenv("BENCH_SYNC_US");
    const long us = text ? atol(text) : 0;
    const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    nanosleep(&t, NULL);
}

int fdatasync(int fd)
{
    nap();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    nap();
    return (int)syscall(SYS_fsync, fd);
}
