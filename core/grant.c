#include "grant.h"

#include <string.h>

static const char *const scopes[] = {
    [SCOPE_PUBLIC] = "public", [SCOPE_METRICS] = "metrics", [SCOPE_READ] = "read",
    [SCOPE_WRITE] = "write",   [SCOPE_ADMIN] = "admin",
};

const char *grant_scope_name(enum scope scope)
{
    return scopes[scope];
}

bool grant_scope_parse(const char *text, size_t len, enum scope *scope)
{
    for (enum scope s = SCOPE_METRICS; s <= SCOPE_ADMIN; s++) {
        if (strlen(scopes[s]) != len || memcmp(scopes[s], text, len) != 0)
            continue;
        *scope = s;
        return true;
    }
    return false;
}

bool grant_has(const struct grant *g, enum scope needed)
{
    if (needed == SCOPE_METRICS)
        return g->scope == SCOPE_METRICS || g->scope == SCOPE_ADMIN;
    return g->scope >= needed;
}

static bool is_named(const struct grant_name *list, const char *name, size_t len)
{
    for (const struct grant_name *n = list; n; n = n->next) {
        if ((n->open ? len >= n->len : len == n->len) && memcmp(n->text, name, n->len) == 0)
            return true;
    }
    return false;
}

bool grant_bucket(const struct grant *g, const char *name, size_t len)
{
    if (!g->limited || (!g->buckets && g->keys))
        return true;
    return is_named(g->buckets, name, len);
}

bool grant_topic(const struct grant *g, const char *name, size_t len)
{
    return !g->limited || is_named(g->topics, name, len);
}

static int compare(const struct key *a, const struct key *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int order = n ? memcmp(a->data, b->data, n) : 0;
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

bool grant_range(const struct grant *g, const struct key *from, const struct key *to)
{
    if (!g->keys)
        return true;
    for (const struct grant_prefix *p = g->keys; p; p = p->next) {
        if (compare(from, &p->prefix) >= 0 && compare(to, &p->to) <= 0)
            return true;
    }
    return false;
}

bool grant_key(const struct grant *g, const struct key *key)
{
    if (!g->keys)
        return true;
    for (const struct grant_prefix *p = g->keys; p; p = p->next) {
        if (compare(key, &p->prefix) >= 0 && compare(key, &p->to) < 0)
            return true;
    }
    return false;
}
