#include "disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A write is done in pieces of this size, each of which arrives or not. */
enum { SECTOR = 512, INODES = 512, NAMES = DISK_FILES };

/* How far a change of a file has come. */
enum fate {
    FATE_OPEN, /* the next sync makes it last */
    FATE_LOST, /* a sync failed: no later one tries it again */
    FATE_DONE  /* it lasts, but lies above a lost one that may have arrived all the same */
};

struct change {
    struct event event; /* WRITE or TRUNCATE; its data is the trace's */
    enum fate fate;
};

struct inode {
    struct content lasting; /* there for good */
    struct change *changes; /* above it, in order; owned */
    size_t count, room;
};

struct name {
    char text[TRACE_NAME];
    int inode; /* -1: none */
};

/* A change of names that a power loss does or does not undo as a whole. */
struct rename {
    struct name set[2];
    size_t count;
};

struct disk {
    struct inode inodes[INODES];
    int inode_count;
    struct name now[NAMES], lasting[NAMES]; /* text "": free */
    struct rename open[NAMES * 4];
    size_t open_count;
};

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

struct disk *disk_new(void)
{
    return must(calloc(1, sizeof(struct disk)));
}

void disk_free(struct disk *d)
{
    for (int i = 0; i < d->inode_count; i++) {
        free(d->inodes[i].lasting.data);
        free(d->inodes[i].changes);
    }
    free(d);
}

/* --- Contents --- */

/* Makes more room than is asked for: a log is written a page at a time. */
static void content_reserve(struct content *c, size_t len)
{
    if (c->data && len <= c->room)
        return;
    c->room = len > 2 * c->room ? len + 1 : 2 * c->room;
    c->data = must(realloc(c->data, c->room));
}

static void content_set(struct content *c, const void *data, size_t len)
{
    content_reserve(c, len);
    if (len)
        memcpy(c->data, data, len);
    c->len = len;
}

static void content_resize(struct content *c, size_t len)
{
    content_reserve(c, len);
    if (len > c->len)
        memset(c->data + c->len, 0, len - c->len);
    c->len = len;
}

static void content_write(struct content *c, size_t offset, const unsigned char *data, size_t len)
{
    if (offset + len > c->len)
        content_resize(c, offset + len);
    memcpy(c->data + offset, data, len);
}

static void content_apply(struct content *c, const struct event *e)
{
    if (e->type == EVENT_TRUNCATE)
        content_resize(c, (size_t)e->offset);
    else
        content_write(c, (size_t)e->offset, e->data, e->len);
}

/* --- Names --- */

static int name_find(const struct name *names, const char *text)
{
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].text[0] && strcmp(names[i].text, text) == 0)
            return names[i].inode;
    return -1;
}

static void name_set(struct name *names, const struct name *to)
{
    struct name *free_one = NULL;

    for (size_t i = 0; i < NAMES; i++) {
        if (!names[i].text[0]) {
            free_one = &names[i];
        } else if (strcmp(names[i].text, to->text) == 0) {
            free_one = &names[i];
            break;
        }
    }
    *(struct name *)must(free_one) = to->inode < 0 ? (struct name){.inode = -1} : *to;
}

static struct name name_of(const char *text, int inode)
{
    struct name n = {.inode = inode};
    snprintf(n.text, sizeof n.text, "%s", text);
    return n;
}

static void change_names(struct disk *d, const struct rename *r)
{
    for (size_t i = 0; i < r->count; i++)
        name_set(d->now, &r->set[i]);
    if (d->open_count == sizeof d->open / sizeof *d->open)
        abort();
    d->open[d->open_count++] = *r;
}

static int inode_new(struct disk *d)
{
    if (d->inode_count == INODES)
        abort();
    return d->inode_count++;
}

void disk_put(struct disk *d, const char *name, const void *data, size_t len)
{
    struct name n = name_of(name, inode_new(d));

    content_set(&d->inodes[n.inode].lasting, data, len);
    name_set(d->now, &n);
    name_set(d->lasting, &n);
}

static void inode_change(struct inode *f, const struct event *e)
{
    if (f->count == f->room) {
        f->room = f->room ? 2 * f->room : 64;
        f->changes = must(realloc(f->changes, f->room * sizeof *f->changes));
    }
    f->changes[f->count++] = (struct change){*e, FATE_OPEN};
}

/* Everything lasts but what was lost; what lies above that stays in the list, so that it is applied above it. */
static void inode_sync(struct inode *f)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->count; i++) {
        if (f->changes[i].fate == FATE_OPEN)
            f->changes[i].fate = FATE_DONE;
        if (f->changes[i].fate == FATE_DONE && kept == 0)
            content_apply(&f->lasting, &f->changes[i].event);
        else
            f->changes[kept++] = f->changes[i];
    }
    f->count = kept;
}

static void inode_sync_failed(struct inode *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->changes[i].fate == FATE_OPEN)
            f->changes[i].fate = FATE_LOST;
}

static void sync_names(struct disk *d)
{
    memcpy(d->lasting, d->now, sizeof d->now);
    d->open_count = 0;
}

static struct inode *inode_named(struct disk *d, const char *name)
{
    int i = name_find(d->now, name);
    return must(i < 0 ? NULL : &d->inodes[i]);
}

void disk_apply(struct disk *d, const struct event *e)
{
    struct rename r = {.count = 1};

    switch (e->type) {
    case EVENT_CREATE:
        r.set[0] = name_of(e->name, inode_new(d));
        change_names(d, &r);
        break;
    case EVENT_UNLINK:
        r.set[0] = name_of(e->name, -1);
        change_names(d, &r);
        break;
    case EVENT_RENAME:
        r = (struct rename){{name_of(e->name, -1), name_of(e->to, name_find(d->now, e->name))}, 2};
        change_names(d, &r);
        break;
    case EVENT_LINK:
        r.set[0] = name_of(e->to, name_find(d->now, e->name));
        change_names(d, &r);
        break;
    case EVENT_WRITE:
    case EVENT_TRUNCATE:
        inode_change(inode_named(d, e->name), e);
        break;
    case EVENT_SYNC:
        inode_sync(inode_named(d, e->name));
        break;
    case EVENT_SYNC_FAILED:
        inode_sync_failed(inode_named(d, e->name));
        break;
    case EVENT_SYNC_DIRECTORY:
        sync_names(d);
        break;
    case EVENT_MARK:
        break;
    }
}

bool disk_is_open(const struct disk *d)
{
    bool open = d->open_count > 0;

    for (size_t i = 0; !open && i < NAMES; i++)
        open = d->now[i].text[0] && d->inodes[d->now[i].inode].count > 0;
    return open;
}

/* --- Power loss --- */

/* How one power loss deals with what it finds under way. */
struct mood {
    enum disk_loss loss;
    struct rng *rng;
    unsigned percent; /* of the pieces that arrive */
    bool torn;        /* pieces are sectors, not whole writes */
    size_t cut;       /* changes before this one arrive, those behind it do not; SIZE_MAX: no such order */
};

static struct mood make_mood(enum disk_loss loss, struct rng *rng, size_t changes)
{
    static const unsigned percents[] = {5, 30, 50, 70, 95};
    struct mood m = {.loss = loss, .rng = rng, .cut = SIZE_MAX};

    if (loss != DISK_LOSE_SOME)
        return m;
    m.percent = percents[rng_below(rng, 5)];
    m.torn = rng_chance(rng, 60);
    if (changes && rng_chance(rng, 40))
        m.cut = rng_below(rng, (unsigned)changes + 1);
    return m;
}

/* Whether a piece of change number i arrives. */
static bool arrives(const struct mood *m, size_t i)
{
    if (m->loss != DISK_LOSE_SOME)
        return m->loss == DISK_KEEP_ALL;
    if (m->cut != SIZE_MAX && i != m->cut)
        return i < m->cut;
    return rng_chance(m->rng, m->percent);
}

/* A sector on its way when the power went: its beginning arrived, or something else did. */
static void tear(struct content *c, size_t at, const unsigned char *data, size_t len, struct rng *rng)
{
    size_t part = rng_below(rng, (unsigned)len + 1);

    if (rng_chance(rng, 50)) {
        content_write(c, at, data, part);
        return;
    }
    content_resize(c, at + len > c->len ? at + len : c->len);
    for (size_t i = part; i < len; i++)
        c->data[at + i] = (unsigned char)rng_next(rng);
}

static void write_torn(struct content *c, const struct event *e, const struct mood *m, size_t i)
{
    size_t torn = rng_chance(m->rng, 30) ? rng_below(m->rng, (unsigned)(e->len / SECTOR) + 1) * SECTOR : SIZE_MAX;

    for (size_t at = 0; at < e->len; at += SECTOR) {
        size_t n = e->len - at < SECTOR ? e->len - at : SECTOR, where = (size_t)e->offset + at;
        if (at == torn)
            tear(c, where, e->data + at, n, m->rng);
        else if (arrives(m, i))
            content_write(c, where, e->data + at, n);
    }
}

static void change_apply(struct content *c, const struct change *ch, const struct mood *m, size_t i)
{
    const struct event *e = &ch->event;
    size_t end = (size_t)e->offset + e->len;

    if (ch->fate == FATE_DONE)
        content_apply(c, e);
    else if (m->torn && e->type == EVENT_WRITE && e->len > 0 && (m->cut == SIZE_MAX || m->cut == i))
        write_torn(c, e, m, i);
    else if (arrives(m, i))
        content_apply(c, e);
    /* The file's size is not its content: it may have grown before that arrived. */
    if (m->loss == DISK_LOSE_SOME && e->type == EVENT_WRITE && end > c->len && rng_chance(m->rng, 20))
        content_resize(c, end);
}

static void add_file(const struct disk *d, const struct name *name, enum disk_loss loss, struct rng *rng,
                     struct disk_image *image)
{
    const struct inode *f = &d->inodes[name->inode];
    struct mood m = make_mood(loss, rng, f->count);
    struct disk_file *out = &image->files[image->count++];

    content_set(&out->content, f->lasting.data, f->lasting.len);
    for (size_t i = 0; i < f->count; i++)
        change_apply(&out->content, &f->changes[i], &m, i);
    memcpy(out->name, name->text, sizeof out->name);
}

void disk_image(const struct disk *d, enum disk_loss loss, struct rng *rng, struct disk_image *image)
{
    struct name names[NAMES];
    struct mood m = make_mood(loss, rng, d->open_count);

    memcpy(names, d->lasting, sizeof names);
    for (size_t i = 0; i < d->open_count; i++)
        if (arrives(&m, i))
            for (size_t k = 0; k < d->open[i].count; k++)
                name_set(names, &d->open[i].set[k]);
    image->count = 0;
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].text[0])
            add_file(d, &names[i], loss, rng, image);
}

void disk_image_copy(struct disk_image *to, const struct disk_image *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct disk_file *f = &from->files[i];
        content_set(&to->files[i].content, f->content.data, f->content.len);
        memcpy(to->files[i].name, f->name, sizeof f->name);
    }
    to->count = from->count;
}

void disk_image_free(struct disk_image *image)
{
    for (size_t i = 0; i < DISK_FILES; i++)
        free(image->files[i].content.data);
    *image = (struct disk_image){.count = 0};
}

const struct disk_file *disk_image_file(const struct disk_image *image, const char *name)
{
    for (size_t i = 0; i < image->count; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    return NULL;
}

void disk_image_write(const struct disk_image *image, const char *directory)
{
    char path[512];

    for (size_t i = 0; i < image->count; i++) {
        const struct disk_file *f = &image->files[i];
        snprintf(path, sizeof path, "%s/%s", directory, f->name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0660);
        if (fd < 0 || write(fd, f->content.data, f->content.len) != (ssize_t)f->content.len) {
            perror(path);
            abort();
        }
        close(fd);
    }
}
