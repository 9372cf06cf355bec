#include "gather.h"

enum {
    SYNC_LEAST = 500,  /* us: below, nothing is to be had */
    WAIT_MOST = 10000, /* us: however slow the disk */
    TRANSFER = 100,    /* bytes in a us, taken for what a slow disk does */
    AVERAGE_OF = 8,
    SKIP_MOST = 63
};

void gather_note(struct gather *g, int about, int64_t sync, int64_t written, int64_t now)
{
    const int64_t shared = sync - written / TRANSFER;

    g->sync += ((shared > 0 ? shared : 0) - g->sync) / AVERAGE_OF;
    g->about = about;
    g->until = now + (g->sync / 2 < WAIT_MOST ? g->sync / 2 : WAIT_MOST);
}

int64_t gather_until(struct gather *g, int queued)
{
    if (g->about < 2 || queued >= g->about || g->sync < SYNC_LEAST || g->skipped++ < g->skip)
        return 0;
    g->skipped = 0;
    return g->until;
}

void gather_waited(struct gather *g, int queued)
{
    if (queued >= g->about)
        g->skip = 0;
    else if (g->skip < SKIP_MOST)
        g->skip = 2 * g->skip + 1;
}
