#include "metrics_page.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *type;
    enum series_owner owner;
    const char *help;
} described[] = {
#define SERIES_ROW(id, name, type, owner, help) [id] = {name, type, owner, help},
    SERIES_MAP(SERIES_ROW)
#undef SERIES_ROW
};

void metrics_page_init(struct metrics_page *p)
{
    *p = (struct metrics_page){.lines = {BUF_INIT}};
    snprintf(p->process, sizeof p->process, "%ld", (long)getpid());
}

static void add_label(struct buf *b, const char *before, const char *name, const char *value, size_t len)
{
    buf_str(b, before);
    buf_str(b, name);
    buf_lit(b, "=\"");
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\')
            buf_byte(b, '\\');
        buf_byte(b, (unsigned char)value[i]);
    }
    buf_byte(b, '"');
}

/* Name and labels of a sample; le NULL: none.  What follows is its value. */
static struct buf *begin(struct metrics_page *p, enum series_id id, const char *suffix,
                         const struct metrics_label *labels, size_t count, const char *le)
{
    struct buf *b = &p->lines[id];
    const char *before = "{";

    buf_printf(b, "kvs_%s%s", described[id].name, suffix);
    for (size_t i = 0; i < count; i++, before = ",")
        add_label(b, before, labels[i].name, labels[i].value, labels[i].len);
    if (described[id].owner == SERIES_PROCESS) {
        add_label(b, before, "process", p->process, strlen(p->process));
        before = ",";
    }
    if (le) {
        add_label(b, before, "le", le, strlen(le));
        before = ",";
    }
    buf_str(b, *before == ',' ? "} " : " ");
    return b;
}

static void add_seconds(struct buf *b, int64_t us)
{
    buf_printf(b, "%lld.%06lld\n", (long long)(us / 1000000), (long long)(us % 1000000));
}

void metrics_page_int(struct metrics_page *p, enum series_id id, const struct metrics_label *labels, size_t count,
                      int64_t n)
{
    buf_printf(begin(p, id, "", labels, count, NULL), "%lld\n", (long long)n);
}

void metrics_page_seconds(struct metrics_page *p, enum series_id id, const struct metrics_label *labels, size_t count,
                          int64_t us)
{
    add_seconds(begin(p, id, "", labels, count, NULL), us);
}

void metrics_page_histogram(struct metrics_page *p, enum series_id id, const struct metrics_label *labels, size_t count,
                            const struct histogram *h, enum histogram_kind kind)
{
    int64_t so_far = 0;
    char le[32];

    for (size_t i = 0; i <= HISTOGRAM_STEPS; i++) {
        int64_t bound = i < HISTOGRAM_STEPS ? histogram_bound(kind, i) : 0;
        if (i == HISTOGRAM_STEPS)
            snprintf(le, sizeof le, "+Inf");
        else if (kind == HISTOGRAM_TIME)
            snprintf(le, sizeof le, "%lld.%06lld", (long long)(bound / 1000000), (long long)(bound % 1000000));
        else
            snprintf(le, sizeof le, "%lld", (long long)bound);
        so_far += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        buf_printf(begin(p, id, "_bucket", labels, count, le), "%lld\n", (long long)so_far);
    }
    struct buf *sum = begin(p, id, "_sum", labels, count, NULL);
    if (kind == HISTOGRAM_TIME)
        add_seconds(sum, histogram_sum(h));
    else
        buf_printf(sum, "%lld\n", (long long)histogram_sum(h));
    buf_printf(begin(p, id, "_count", labels, count, NULL), "%lld\n", (long long)so_far);
}

void metrics_page_print(struct metrics_page *p, struct buf *out)
{
    for (size_t i = 0; i < SERIES_COUNT; i++) {
        struct buf *lines = &p->lines[i];
        if (!buf_ok(lines))
            out->failed = true;
        if (lines->len) {
            buf_printf(out, "# HELP kvs_%s %s.\n# TYPE kvs_%s %s\n", described[i].name, described[i].help,
                       described[i].name, described[i].type);
            buf_add(out, lines->data, lines->len);
        }
        buf_free(lines);
    }
}
