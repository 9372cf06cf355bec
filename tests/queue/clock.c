/*
 * Preloaded into the programs under test: their wall clock is the machine's and an offset, in milliseconds, that the test
 * writes into the file KVS_TEST_CLOCK names (a 64-bit integer in the machine's order).  Every process maps it, so that a step
 * of the clock is one for all of them at the same moment, as a machine's is.  Other clocks are as they are.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("KVS_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        offset = at;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    int status = (int)syscall(SYS_clock_gettime, id, t);
    if (status || id != CLOCK_REALTIME || !offset)
        return status;
    int64_t ms = *offset, ns = t->tv_nsec + ms % 1000 * 1000000;
    t->tv_sec += ms / 1000;
    if (ns < 0) {
        ns += 1000000000;
        t->tv_sec--;
    } else if (ns >= 1000000000) {
        ns -= 1000000000;
        t->tv_sec++;
    }
    t->tv_nsec = ns;
    return 0;
}
