#include "mutation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "entry.h"
#include "json_num.h"

/* One of version and revision: absent, null, or an integer. */
static enum error_code check_member(const struct fields *f, const char *name, bool *given, bool *missing, int64_t *n)
{
    size_t node = fields_find_null(f, name);

    *given = node != 0;
    if (!node)
        return ERR_OK;
    if (f->doc->nodes[node].type == JSON_NULL) {
        *missing = true;
        return ERR_OK;
    }
    return fields_int(f, name, 0, INT64_MAX, n);
}

enum error_code check_parse(const struct fields *f, struct check *c)
{
    bool version_null = false, revision_null = false;
    enum error_code rc = check_member(f, "version", &c->by_version, &version_null, &c->version);
    if (!rc)
        rc = check_member(f, "revision", &c->by_revision, &revision_null, &c->revision);
    if (rc)
        return rc;
    if (!c->by_version && !c->by_revision)
        return fields_missing(f, "version", "a version, or null where the key must not exist (or give revision)");
    if (c->by_version && c->by_revision && version_null != revision_null)
        return fields_bad(f, "revision", "null where version is null, and a number where it is one");
    c->missing = version_null || revision_null;
    return ERR_OK;
}

static bool parse_number(const char *text, size_t len, struct number *n)
{
    switch (json_num_int(text, len, &n->i)) {
    case JSON_NUM_INT:
        n->is_int = true;
        n->d = (double)n->i;
        return true;
    case JSON_NUM_FRACTION:
        n->is_int = false;
        return json_num_double(text, len, &n->d);
    default:
        return false;
    }
}

enum error_code mutation_delta(const struct fields *f, struct number *delta)
{
    size_t node = fields_find(f, "delta"), len;

    *delta = (struct number){.is_int = true, .i = 1, .d = 1};
    if (!node)
        return ERR_OK;
    const char *text = json_text(f->doc, node, &len);
    if (f->doc->nodes[node].type != JSON_NUMBER || !parse_number(text, len, delta))
        return fields_bad(f, "delta", "a number: an integer of 64 bits, or a fraction");
    return ERR_OK;
}

enum error_code mutation_ttl(const struct fields *f, struct mutation *m)
{
    m->has_ttl = fields_find(f, "ttl") != 0;
    return fields_int(f, "ttl", 0, INT64_MAX, &m->ttl);
}

enum error_code check_holds(struct txn *t, const struct bucket *b, const struct check *c, bool *holds,
                            int64_t *revision, int64_t *version)
{
    struct entry e;

    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, &c->key, &e, &t->scratch);
    if (rc)
        return rc;
    bool live = entry_is_live(&e, t->now);
    *revision = live ? e.revision : 0;
    *version = live ? e.version : 0;
    if (c->missing)
        *holds = !live;
    else
        *holds = live && (!c->by_version || c->version == e.version) && (!c->by_revision || c->revision == e.revision);
    return ERR_OK;
}

enum error_code mutation_fits(const struct bucket *b, const struct mutation *m, const char *field, struct error *err)
{
    int64_t max = b->options.max_value;

    if (m->type != MUTATION_SET || max < 0 || (int64_t)m->value.size <= max)
        return ERR_OK;
    return error_set(err, ERR_TOO_LARGE, field, "the value has %zu bytes; bucket %s takes %lld (maxValueSize)",
                     m->value.size, b->name, (long long)max);
}

enum error_code mutation_expire(struct txn *t, struct bucket *b, const struct mutation *m, int64_t *revision)
{
    struct entry old;

    if (m->type == MUTATION_DELETE || m->type == MUTATION_TOUCH)
        return ERR_OK;
    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, &m->key, &old, &t->scratch);
    return rc ? rc : entry_expire(t, b, &old, revision);
}

static enum error_code apply_set(struct txn *t, struct bucket *b, const struct mutation *m, const struct entry *old,
                                 struct mutation_result *r)
{
    struct entry e;
    enum error_code rc = entry_put(t, b, old, &m->key, &m->value, bucket_expiry(b, t->now, m->ttl), &e);
    r->changed = true;
    r->version = e.version;
    return rc;
}

static enum error_code not_a_number(const char *field, struct error *err, const char *why)
{
    return error_set(err, ERR_NOT_A_NUMBER, field, "%s", why);
}

/* old + delta as JSON text in the arena. */
static enum error_code add(struct txn *t, struct number old, struct number delta, struct value *out, const char *field,
                           struct error *err)
{
    char text[JSON_NUM_MAX];
    size_t len;
    int64_t sum;

    if (old.is_int && delta.is_int) {
        if (__builtin_add_overflow(old.i, delta.i, &sum))
            return not_a_number(field, err, "the sum would not fit a 64-bit integer");
        len = (size_t)snprintf(text, sizeof text, "%lld", (long long)sum);
    } else {
        double d = old.d + delta.d;
        if (!isfinite(d))
            return not_a_number(field, err, "the sum would not be a finite number");
        len = json_num_print(text, d);
    }
    out->data = (const unsigned char *)arena_dup(&t->arena, text, len);
    out->len = out->size = len;
    out->encoding = VALUE_JSON;
    return out->data ? ERR_OK : ERR_NO_MEMORY;
}

static enum error_code apply_increment(struct txn *t, struct bucket *b, const struct mutation *m, struct entry *old,
                                       const char *field, struct mutation_result *r, struct error *err)
{
    struct number n = {.is_int = true};
    bool live = entry_is_live(old, t->now);
    int64_t expires = live && !m->has_ttl ? old->expires : bucket_expiry(b, t->now, m->ttl);
    struct entry e;

    enum error_code rc = live ? value_expand(&old->value, &t->scratch) : ERR_OK;
    if (rc)
        return rc;
    const char *text = (const char *)old->value.data;
    if (live && (old->value.encoding != VALUE_JSON || !memchr("-0123456789", text[0], 11) ||
                 !parse_number(text, old->value.len, &n)))
        return not_a_number(field, err,
                            "the value is not a number that can be incremented (an integer of 64 bits, or a "
                            "fraction)");
    rc = add(t, n, m->delta, &r->number, field, err);
    if (rc)
        return rc;
    rc = entry_put(t, b, old, &m->key, &r->number, expires, &e);
    r->changed = true;
    r->version = e.version;
    return rc;
}

static enum error_code apply_touch(struct txn *t, struct bucket *b, const struct mutation *m, const struct entry *old,
                                   struct mutation_result *r)
{
    struct entry e;

    if (!entry_is_live(old, t->now))
        return ERR_OK;
    r->changed = true;
    r->version = old->version;
    return entry_touch(t, b, old, bucket_expiry(b, t->now, m->ttl), &e);
}

static enum error_code apply_mark(struct txn *t, struct bucket *b, const struct entry *old, enum entry_op op,
                                  struct mutation_result *r)
{
    struct entry e;
    /* A purge also takes what an older deletion or expiry left; only a purge already there leaves nothing to do. */
    bool there = op == ENTRY_PURGE ? old->revision && old->op != ENTRY_PURGE : entry_is_live(old, t->now);

    if (!there)
        return ERR_OK;
    r->changed = true;
    return entry_mark(t, b, old, op, &e);
}

static bool puts_value(const struct mutation *m)
{
    return m->type == MUTATION_SET || m->type == MUTATION_INCREMENT;
}

enum error_code mutation_apply(struct txn *t, struct bucket *b, const struct mutation *m, const char *field,
                               struct mutation_result *r, struct entry_room *room, struct error *err)
{
    const int64_t bytes = b->bytes;
    struct entry old;

    *r = (struct mutation_result){0};
    arena_reset(&t->scratch);
    enum error_code rc = entry_find(t->db, b->id, &m->key, &old, &t->scratch);
    if (rc)
        return rc;
    switch (m->type) {
    case MUTATION_SET:
        rc = apply_set(t, b, m, &old, r);
        break;
    case MUTATION_INCREMENT:
        rc = apply_increment(t, b, m, &old, field, r, err);
        break;
    case MUTATION_TOUCH:
        rc = apply_touch(t, b, m, &old, r);
        break;
    case MUTATION_DELETE:
        rc = apply_mark(t, b, &old, ENTRY_DEL, r);
        break;
    case MUTATION_PURGE:
        rc = apply_mark(t, b, &old, ENTRY_PURGE, r);
        break;
    }
    if (!puts_value(m) && b->bytes > bytes)
        room->bytes += b->bytes - bytes;
    if (rc == ERR_TOO_LARGE)
        return error_set(err, rc, field, "the value is over the limit of bucket %s (maxValueSize)", b->name);
    return rc;
}

enum error_code mutation_check_room(struct txn *t, const struct bucket *b, struct entry_room room, const char *field,
                                    struct error *err)
{
    const enum error_code rc = entry_check_room(t, b, room);

    if (rc != ERR_BUCKET_FULL)
        return rc;
    return error_set(err, rc, field, "bucket %s is full (maxBytes %lld, maxKeys %lld); nothing was changed", b->name,
                     (long long)b->options.max_bytes, (long long)b->options.max_keys);
}
