#include "spool.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"

struct spool *spool_new(int64_t now)
{
    struct spool *s = mem_alloc(sizeof(*s));
    if (!s)
        return NULL;
    inspect_init(&s->in);
    s->data = (struct buf)BUF_INIT;
    s->fd = -1;
    s->in_file = 0;
    s->started = now;
    s->reserved = 0;
    return s;
}

static void clear(struct spool *s, struct spool_budget *budget)
{
    buf_free(&s->data);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->in_file = 0;
    atomic_fetch_add(&budget->left, s->reserved);
    s->reserved = 0;
}

void spool_free(struct spool *s, struct spool_budget *budget)
{
    if (!s)
        return;
    clear(s, budget);
    mem_free(s);
}

void spool_restart(struct spool *s, struct spool_budget *budget, int64_t now)
{
    clear(s, budget);
    inspect_init(&s->in);
    s->started = now;
}

bool spool_reserve(struct spool *s, struct spool_budget *budget, int64_t bytes)
{
    if (bytes <= SPOOL_MEMORY || s->reserved > 0)
        return true;
    long long left = atomic_load(&budget->left);
    do {
        if (left < bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&budget->left, &left, left - bytes));
    s->reserved = bytes;
    return true;
}

/* Moves data into the file. */
static bool to_file(struct spool *s)
{
    if (s->fd < 0)
        s->fd = memfd_create("kvs-request", MFD_CLOEXEC);
    if (s->fd < 0)
        return false;
    for (size_t at = 0; at < s->data.len;) {
        const ssize_t n = write(s->fd, s->data.data + at, s->data.len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
        s->in_file += (size_t)n;
    }
    buf_clear(&s->data);
    return true;
}

bool spool_keep(struct spool *s, size_t limit)
{
    if (!buf_ok(&s->data) || s->in_file + s->data.len > limit)
        return false;
    return s->data.len <= SPOOL_MEMORY || to_file(s);
}

int spool_open(struct spool *s)
{
    if (!to_file(s) || lseek(s->fd, 0, SEEK_SET) != 0)
        return -1;
    const int fd = s->fd;
    s->fd = -1;
    return fd;
}
