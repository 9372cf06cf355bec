#include "token.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"

enum { BUCKET_PATTERN_MAX = 64, TOPIC_PATTERN_MAX = 256, SECRET = 32 };

#define PREFIX "kvs_"

__attribute__((format(printf, 3, 4))) static bool fail(char *why, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, size, fmt, ap);
    va_end(ap);
    return false;
}

static bool no_memory(char *why, size_t size)
{
    return fail(why, size, "out of memory");
}

bool token_is_name(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    size_t len = strlen(text);
    return len >= 1 && len <= TOKEN_NAME_MAX && strspn(text, allowed) == len;
}

void token_hash(const char *text, size_t len, unsigned char hash[TOKEN_HASH])
{
    crypto_generichash(hash, TOKEN_HASH, (const unsigned char *)text, len, NULL, 0);
}

void token_make(char text[TOKEN_TEXT_MAX])
{
    unsigned char secret[SECRET];
    size_t n = sizeof PREFIX - 1;

    randombytes_buf(secret, sizeof secret);
    memcpy(text, PREFIX, n);
    sodium_bin2base64(text + n, TOKEN_TEXT_MAX - n, secret, sizeof secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof secret);
}

/* The token of this name, made where it is new; NULL when out of memory. */
static struct token *find(struct tokens *tokens, const char *name)
{
    for (struct token *t = tokens->first; t; t = t->next)
        if (strcmp(t->grant.name, name) == 0)
            return t;
    struct token *t = arena_zalloc(&tokens->arena, 1, sizeof *t);
    if (!t || !(t->grant.name = arena_dup(&tokens->arena, name, strlen(name))))
        return NULL;
    if (tokens->last)
        tokens->last->next = t;
    else
        tokens->first = t;
    tokens->last = t;
    return t;
}

/* What one line brings: a value without white space around it. */
struct line {
    struct tokens *tokens;
    struct token *token;
    const char *value;
    size_t len;
    char *why;
    size_t size;
};

static bool set_hash(const struct line *l)
{
    size_t len = 0;
    const char *end = NULL;

    if (l->len != (size_t)2 * TOKEN_HASH ||
        sodium_hex2bin(l->token->hash, TOKEN_HASH, l->value, l->len, NULL, &len, &end) || len != TOKEN_HASH)
        return fail(l->why, l->size, "must be %d hexadecimal digits, as kvs-maint token new prints them",
                    2 * TOKEN_HASH);
    return true;
}

static bool set_scope(const struct line *l)
{
    return grant_scope_parse(l->value, l->len, &l->token->grant.scope) ||
           fail(l->why, l->size, "must be read, write, admin or metrics");
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t whole = year - (month <= 2); /* whose leap day is over */
    int64_t leaps = whole / 4 - whole / 100 + whole / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    return (year - 1970) * 365 + leaps + before[month - 1] + day - 1;
}

static bool is_date(const char *s, size_t len, int *year, int *month, int *day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (len != 10 || s[4] != '-' || s[7] != '-' || strspn(s, "0123456789-") < len)
        return false;
    if (sscanf(s, "%4d-%2d-%2d", year, month, day) != 3 || *year < 1970 || *month < 1 || *month > 12 || *day < 1)
        return false;
    bool leap = *month == 2 && *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);
    return *day <= lengths[*month - 1] + leap;
}

/* The token holds up to the end of that day, UTC. */
static bool set_expires(const struct line *l)
{
    int year, month, day;

    if (!is_date(l->value, l->len, &year, &month, &day))
        return fail(l->why, l->size, "must be a date, the last day on which the token holds: 2027-01-31");
    l->token->grant.expires = (days_of(year, month, day) + 1) * 86400000;
    return true;
}

/* The next item between commas, without white space around it; false at the end. */
static bool next_item(const char **at, const char *end, const char **item, size_t *len)
{
    if (!*at)
        return false;
    const char *comma = memchr(*at, ',', (size_t)(end - *at)), *stop = comma ? comma : end;
    const char *start = *at;

    while (start < stop && (*start == ' ' || *start == '\t'))
        start++;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    *item = start;
    *len = (size_t)(stop - start);
    *at = comma ? comma + 1 : NULL;
    return true;
}

static bool add_name(const struct line *l, struct grant_name **list, const char *item, size_t len)
{
    struct grant_name *n = arena_zalloc(&l->tokens->arena, 1, sizeof *n);

    if (!n)
        return no_memory(l->why, l->size);
    n->open = item[len - 1] == '*';
    n->len = len - n->open;
    n->text = arena_dup(&l->tokens->arena, item, n->len);
    if (!n->text)
        return no_memory(l->why, l->size);
    n->next = *list;
    *list = n;
    l->token->grant.limited = true;
    return true;
}

static bool set_buckets(const struct line *l)
{
    const char *at = l->value, *item;
    size_t len;

    while (next_item(&at, l->value + l->len, &item, &len)) {
        size_t name = len > 0 && item[len - 1] == '*' ? len - 1 : len;
        if (len == 0 || (name > 0 && !fields_is_bucket_name(item, name)))
            return fail(l->why, l->size, "must be names of buckets between commas; a * at the end stands for any rest");
        if (!add_name(l, &l->token->grant.buckets, item, len))
            return false;
    }
    return true;
}

static bool set_topics(const struct line *l)
{
    const char *at = l->value, *item;
    size_t len;

    while (next_item(&at, l->value + l->len, &item, &len)) {
        if (len == 0 || len > TOPIC_PATTERN_MAX)
            return fail(l->why, l->size, "must be topics between commas; a * at the end stands for any rest");
        if (!add_name(l, &l->token->grant.topics, item, len))
            return false;
    }
    return true;
}

static bool add_prefix(const struct line *l, const struct key *prefix)
{
    struct grant_prefix *p = arena_zalloc(&l->tokens->arena, 1, sizeof *p);
    struct key from;

    if (!p || key_below(prefix, &l->tokens->arena, &from, &p->to))
        return no_memory(l->why, l->size);
    p->prefix = *prefix;
    p->next = l->token->grant.keys;
    l->token->grant.keys = p;
    l->token->grant.limited = true;
    return true;
}

/* Whether some part of a dotted prefix is one of a filter's signs. */
static bool has_wildcard(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool alone = (i == 0 || s[i - 1] == '.') && (i + 1 == len || s[i + 1] == '.');
        if (alone && (s[i] == '*' || s[i] == '>'))
            return true;
    }
    return false;
}

static bool add_dotted(const struct line *l, const char *item, size_t len)
{
    struct error err = ERROR_INIT;
    struct filter *filter;
    struct key prefix;

    if (has_wildcard(item, len))
        return fail(l->why, l->size, "must be prefixes without * and >: each covers all keys below it");
    enum error_code rc = filter_from_text(item, len, "keys", &l->tokens->arena, &filter, &err);
    if (rc)
        return rc == ERR_NO_MEMORY ? no_memory(l->why, l->size) : fail(l->why, l->size, "%s", err.message);
    filter_prefix(filter, &prefix);
    return add_prefix(l, &prefix);
}

static bool add_json(const struct line *l)
{
    static const char *const opaque[] = {NULL};
    struct error err = ERROR_INIT;
    struct json_doc doc;
    struct key prefix;
    enum error_code rc = json_scan(&doc, l->value, l->len, opaque, &l->tokens->arena, &err);

    if (!rc)
        rc = key_from_json(&doc, 0, 0, "keys", &l->tokens->arena, &prefix, &err);
    if (rc)
        return rc == ERR_NO_MEMORY ? no_memory(l->why, l->size)
                                   : fail(l->why, l->size, "must be a key's prefix as a JSON array: %s", err.message);
    return add_prefix(l, &prefix);
}

/* One prefix as JSON, ["user", 7], or several dotted ones, user.x, order. */
static bool set_keys(const struct line *l)
{
    const char *at = l->value, *item;
    size_t len;

    if (l->value[0] == '[')
        return add_json(l);
    while (next_item(&at, l->value + l->len, &item, &len)) {
        if (!add_dotted(l, item, len))
            return false;
    }
    return true;
}

static const struct {
    const char *name;
    bool (*set)(const struct line *l);
    bool many; /* the name may be given more than once */
    bool needed;
} names[] = {
    {"hash", set_hash, false, true}, {"scope", set_scope, false, true},   {"buckets", set_buckets, true, false},
    {"keys", set_keys, true, false}, {"topics", set_topics, true, false}, {"expires", set_expires, false, false},
};

enum { NAMES = sizeof names / sizeof *names };

bool token_set(struct tokens *tokens, const char *name, const char *field, const char *value, char *why, size_t size)
{
    struct token *token = find(tokens, name);
    struct line l = {tokens, token, value, strlen(value), why, size};

    if (!token)
        return no_memory(why, size);
    for (unsigned i = 0; i < NAMES; i++) {
        if (strcmp(names[i].name, field) != 0)
            continue;
        if (!names[i].many && (token->given & 1U << i))
            return fail(why, size, "given twice");
        token->given |= 1U << i;
        return l.len > 0 ? names[i].set(&l) : fail(why, size, "must not be empty");
    }
    return fail(why, size, "there is no such name for a token");
}

bool token_judge(const struct tokens *tokens, char *why, size_t size)
{
    for (const struct token *t = tokens->first; t; t = t->next) {
        for (unsigned i = 0; i < NAMES; i++)
            if (names[i].needed && !(t->given & 1U << i))
                return fail(why, size, "[token %s]: %s is missing", t->grant.name, names[i].name);
        bool whole = t->grant.scope == SCOPE_ADMIN || t->grant.scope == SCOPE_METRICS;
        if (whole && t->grant.limited)
            return fail(why, size, "[token %s]: scope %s has no buckets, keys or topics of its own", t->grant.name,
                        grant_scope_name(t->grant.scope));
    }
    return true;
}

void token_free(struct tokens *tokens)
{
    arena_free(&tokens->arena);
    *tokens = (struct tokens){.first = NULL};
}
