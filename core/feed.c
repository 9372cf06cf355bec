#include "feed.h"

#include <string.h>

#include "change.h"
#include "clock.h"
#include "mem.h"

enum {
    LIVE_PAGE = 500,        /* changes read at once for all */
    OWN_PAGE = 256,         /* entries read at once for one watcher */
    PAGE_BYTES = 256 << 10, /* a page ends where it gets larger than this */
    BEHIND_MAX = 256 << 10, /* no further page for a client that has so much still to take */
    RETRY_MS = 20
};

struct feed *feed_new(struct store *store, const char *bucket)
{
    struct feed *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->store = store;
    f->position = -1;
    f->bucket = mem_dup(bucket, strlen(bucket));
    if (f->bucket)
        return f;
    mem_free(f);
    return NULL;
}

bool feed_is(const struct feed *f, const struct store *store, const char *bucket)
{
    return f->store == store && strcmp(f->bucket, bucket) == 0;
}

void feed_free(struct feed *f)
{
    mem_free(f->bucket);
    mem_free(f);
}

void feed_join(struct feed *f, struct watcher *w)
{
    w->next = f->watchers;
    f->watchers = w;
    f->unread = true; /* it has read nothing yet, though the others may have read all */
}

void feed_stop(struct feed *f, const char *reason)
{
    while (f->watchers) {
        struct watcher *w = f->watchers;
        f->watchers = w->next;
        stream_end(&w->stream, reason);
    }
}

/* One change of a revision, and as JSON once it is needed: whole, and without its value. */
struct change {
    struct entry entry;
    const char *text[2];
    size_t len[2];
};

/* One look: the snapshot and what all reads of it share. */
struct look {
    struct feed *feed;
    struct db *db;
    struct bucket bucket;
    struct arena arena;
    int64_t now;
    struct buf revision; /* the changes of the revision being read, as struct change; their memory is in the arena */
};

static enum error_code render(struct look *look, struct change *c, bool meta_only)
{
    struct buf b = BUF_INIT;
    struct json_out out;
    struct entry copy = c->entry;

    if (c->text[meta_only])
        return ERR_OK;
    buf_lit(&b, "\"entry\":");
    json_out_init(&out, &b);
    enum error_code rc = entry_to_json(&out, &copy, meta_only, &look->arena);
    buf_lit(&b, ",\"pending\":0");
    if (!rc && buf_ok(&b)) {
        c->text[meta_only] = arena_dup(&look->arena, b.data, b.len);
        c->len[meta_only] = b.len;
    }
    buf_free(&b);
    return rc ? rc : c->text[meta_only] ? ERR_OK : ERR_NO_MEMORY;
}

/*
 * The changes of one revision that concern a watcher.  Only the last of them carries the revision as its event id: a client
 * that is cut off between them and resumes by that id gets all of them again rather than losing the rest.
 */
static enum error_code hand_to(struct look *look, struct watcher *w, struct change *changes, size_t count)
{
    struct change *previous = NULL;
    bool meta = w->selector.meta_only;
    enum error_code rc = ERR_OK;

    for (size_t i = 0; !rc && i < count; i++) {
        if (!selector_matches(&w->selector, &changes[i].entry, look->now))
            continue;
        if (previous)
            stream_object(&w->stream, "entry", previous->text[meta], previous->len[meta], 0);
        previous = &changes[i];
        rc = render(look, previous, meta);
    }
    if (!rc && previous)
        stream_object(&w->stream, "entry", previous->text[meta], previous->len[meta], previous->entry.revision);
    return rc;
}

/* The revision that was read is whole: to all live watchers whom it concerns. */
static enum error_code hand_on(struct look *look)
{
    struct change *changes = (struct change *)(void *)look->revision.data;
    size_t count = look->revision.len / sizeof *changes;
    enum error_code rc = ERR_OK;

    for (struct watcher *w = look->feed->watchers; !rc && count && w; w = w->next)
        if (w->live && w->position < changes[0].entry.revision)
            rc = hand_to(look, w, changes, count);
    buf_clear(&look->revision);
    arena_reset(&look->arena);
    return rc;
}

static enum error_code gather(void *context, struct entry *e)
{
    struct look *look = context;
    const struct change *first = (const struct change *)(const void *)look->revision.data;
    struct change change = {.entry = *e};
    enum error_code rc = ERR_OK;

    if (look->revision.len && first->entry.revision != e->revision)
        rc = hand_on(look);
    if (!rc)
        rc = entry_keep(&change.entry, &look->arena);
    buf_add(&look->revision, &change, sizeof change);
    return rc ? rc : buf_ok(&look->revision) ? ERR_OK : ERR_NO_MEMORY;
}

static void advance(struct watcher *w, int64_t position)
{
    if (position > w->position)
        w->position = position;
    w->stream.revision = w->position;
}

static enum error_code read_live(struct look *look)
{
    static const unsigned char end[] = {0xff};
    const struct selector everything = {.to = {end, sizeof end}};
    struct feed *f = look->feed;
    struct change_page page = {.limit = LIVE_PAGE, .last = look->bucket.revision};

    if (f->position < 0)
        f->position = look->bucket.revision;
    if (look->bucket.revision <= f->position)
        return ERR_OK;
    enum error_code rc =
        change_read(look->db, look->bucket.id, f->position, CHANGE_ALL, &everything, look->now, &page, gather, look);
    if (!rc)
        rc = hand_on(look);
    if (rc)
        return rc;
    f->position = page.last;
    f->unread |= page.more;
    for (struct watcher *w = f->watchers; w; w = w->next)
        if (w->live)
            advance(w, f->position);
    return ERR_OK;
}

/* A page of one watcher's own: entries as JSON, kept until it is known how many are still to come. */
struct own_page {
    struct look *look;
    struct watcher *watcher;
    struct change_page page;
    struct buf text;
    struct buf items; /* of struct own_item */
};

struct own_item {
    size_t end; /* in text */
    int64_t revision;
};

static enum error_code collect(void *context, struct entry *e)
{
    struct own_page *own = context;
    struct own_item item = {.revision = e->revision};
    struct json_out out;

    buf_lit(&own->text, "\"entry\":");
    json_out_init(&out, &own->text);
    enum error_code rc = entry_to_json(&out, e, own->watcher->selector.meta_only, &own->look->arena);
    item.end = own->text.len;
    buf_add(&own->items, &item, sizeof item);
    if (own->text.len > PAGE_BYTES)
        own->page.limit = 0;
    return rc ? rc : buf_ok(&own->text) && buf_ok(&own->items) ? ERR_OK : ERR_NO_MEMORY;
}

/* The revision of the entry behind the i-th; 0 at the end. */
static int64_t next_revision(const struct own_page *own, size_t i)
{
    struct own_item item;

    if ((i + 2) * sizeof item > own->items.len)
        return 0;
    memcpy(&item, own->items.data + (i + 1) * sizeof item, sizeof item);
    return item.revision;
}

/* Hands the page on; before `ready` each entry tells how many are still to come, the very last one 0. */
static enum error_code deliver(struct own_page *own)
{
    struct watcher *w = own->watcher;
    size_t count = own->items.len / sizeof(struct own_item), start = 0;
    int64_t after = 0;
    struct buf body = BUF_INIT;

    if (!w->ready) {
        w->total -= (int64_t)count;
        after = !own->page.more ? 0 : w->total > 0 ? w->total : 1;
    }
    for (size_t i = 0; i < count; i++) {
        struct own_item item;
        memcpy(&item, own->items.data + i * sizeof item, sizeof item);
        buf_clear(&body);
        buf_add(&body, own->text.data + start, item.end - start);
        buf_lit(&body, ",\"pending\":");
        buf_int(&body, w->ready ? 0 : after + (int64_t)(count - i - 1));
        if (!buf_ok(&body))
            break;
        /* As in hand_to: the event id stands at the last change of its revision. */
        stream_object(&w->stream, "entry", body.data, body.len,
                      next_revision(own, i) != item.revision ? item.revision : 0);
        start = item.end;
    }
    bool whole = buf_ok(&body);
    buf_free(&body);
    return whole ? ERR_OK : ERR_NO_MEMORY;
}

static void make_ready(struct watcher *w)
{
    w->ready = true;
    w->stream.revision = w->position;
    stream_mark(&w->stream, "ready");
}

static enum error_code read_own(struct look *look, struct watcher *w)
{
    struct own_page own = {.look = look, .watcher = w, .page = {.limit = OWN_PAGE, .last = look->bucket.revision}};
    enum error_code rc = ERR_OK;

    if (w->updates_only && !w->has_since && !w->ready)
        make_ready(w);
    enum change_depth depth = w->ready ? CHANGE_ALL : w->depth;
    if (w->total < 0 && !w->ready)
        rc = change_count(look->db, look->bucket.id, w->position, depth, &w->selector, look->now, &w->total);
    if (!rc)
        rc = change_read(look->db, look->bucket.id, w->position, depth, &w->selector, look->now, &own.page, collect,
                         &own);
    if (!rc)
        rc = deliver(&own);
    if (!rc) {
        advance(w, own.page.last);
        w->live = !own.page.more;
        if (w->live && !w->ready)
            make_ready(w);
    }
    buf_free(&own.text);
    buf_free(&own.items);
    arena_reset(&look->arena);
    return rc;
}

/* Markers that this watcher has not seen are gone: what it holds may be wrong from here on. */
static bool is_compacted(const struct watcher *w, const struct bucket *b)
{
    return w->position < b->compacted && (w->position > 0 || w->has_since);
}

/* Everything that needs the snapshot.  Writes to clients' buffers only. */
static enum error_code read_all(struct look *look)
{
    struct feed *f = look->feed;

    f->unread = false;
    for (struct watcher *w = f->watchers; w; w = w->next) {
        if (look->bucket.created != w->created)
            w->reason = "destroyed";
        else if (is_compacted(w, &look->bucket))
            w->reason = "compacted";
        w->live = w->live && !w->reason;
    }
    enum error_code rc = read_live(look);
    for (struct watcher *w = f->watchers; !rc && w; w = w->next) {
        if (w->live || w->reason)
            continue;
        if (w->behind <= BEHIND_MAX)
            rc = read_own(look, w);
        f->unread |= !w->live;
    }
    return rc;
}

static void end_all(struct feed *f, const char *reason)
{
    for (struct watcher *w = f->watchers; w; w = w->next)
        w->reason = reason;
}

static void look_at(struct feed *f, struct db *db)
{
    struct look look = {.feed = f, .db = db, .arena = ARENA_INIT, .revision = BUF_INIT, .now = clock_now()};
    struct arena names = ARENA_INIT;
    enum error_code rc = db_read_begin(db);

    if (!rc)
        rc = bucket_find(db, f->bucket, false, &look.bucket, &names, NULL);
    if (!rc && look.bucket.time > look.now)
        look.now = look.bucket.time;
    if (rc == ERR_NO_BUCKET)
        end_all(f, "destroyed");
    else if (!rc)
        rc = read_all(&look);
    db_read_end(db);
    /* Half a page may be in the buffers: these streams cannot go on. */
    if (rc && rc != ERR_NO_BUCKET)
        end_all(f, error_name(rc));
    buf_free(&look.revision);
    arena_free(&look.arena);
    arena_free(&names);
}

/* Sends what has gathered; sets the reason where the stream is over. */
static void send(struct watcher *w, int64_t mono, int64_t *next)
{
    if (atomic_load(&w->stream.call->request->gone))
        w->stream.gone = true;
    if (!w->stream.gone)
        w->behind = stream_flush(&w->stream, mono);
    if (!w->reason && w->behind > STREAM_BACKLOG_MAX)
        w->reason = "slow";
    if (!w->reason && mono >= w->stream.until)
        w->reason = "limit";
    if (w->stream.next_beat < *next)
        *next = w->stream.next_beat;
    if (w->stream.until < *next)
        *next = w->stream.until;
}

/* Before anything is read, so that nobody is told what came after his token's time. */
static void end_expired(struct feed *f, int64_t mono, int64_t *next)
{
    for (struct watcher *w = f->watchers; w; w = w->next)
        if (!w->reason && stream_expired(&w->stream, mono, next))
            w->reason = "expired";
}

void feed_tick(struct feed *f, struct db *db, bool news, int64_t mono, int64_t *next)
{
    bool waits = false;

    end_expired(f, mono, next);
    if (news || f->unread || f->position < 0)
        look_at(f, db);
    for (struct watcher **at = &f->watchers; *at;) {
        struct watcher *w = *at;
        send(w, mono, next);
        waits |= !w->live && w->behind > BEHIND_MAX;
        if (!w->reason && !w->stream.gone) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        stream_end(&w->stream, w->reason);
    }
    if (f->unread && f->watchers) {
        int64_t soon = waits ? mono + RETRY_MS : mono;
        *next = soon < *next ? soon : *next;
    }
}
