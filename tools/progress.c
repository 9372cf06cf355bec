#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "clock.h"

enum { WIDTH = 40, EVERY_MS = 100 };

void progress_start(struct progress *p, const struct tool *tool, const char *label)
{
    *p = (struct progress){.label = label, .on = !tool->quiet && isatty(STDERR_FILENO)};
    progress_at(p, 0, 0);
}

void progress_at(void *context, int64_t done, int64_t total)
{
    struct progress *p = context;
    int64_t now = clock_mono();

    if (!p->on || now < p->next)
        return;
    p->next = now + EVERY_MS;
    p->shown = true;
    if (total <= 0) {
        fprintf(stderr, "\r\033[K%s ...", p->label);
        return;
    }
    char bar[WIDTH + 1];
    double part = done >= total ? 1.0 : (double)done / (double)total;
    int filled = (int)(part * WIDTH);
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %3d %%", p->label, bar, (int)(part * 100));
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
    p->next = 0;
}
