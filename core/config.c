#include "config.h"

#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_file.h"
#include "mem.h"

#define KIB   INT64_C(1024)
#define MIB   (KIB * KIB)
#define GIB   (KIB * MIB)
#define DAY_S INT64_C(86400)

/* A row of the database has less than 10^9 bytes, of which the value leaves room for the key and the rest. */
#define VALUE_MAX (900 * MIB)

enum kind {
    KIND_TEXT,     /* char *, not empty */
    KIND_OPTIONAL, /* char *, NULL where empty */
    KIND_SECRET,   /* as KIND_TEXT; never shown, wiped when freed */
    KIND_SIZE,     /* int64_t bytes, suffix k, m or g */
    KIND_INT,      /* int64_t */
    KIND_CHOICE    /* one of the words of choose */
};

/* Sets the member from a word; false where it is none of its words. */
typedef bool (*choose_function)(struct config *c, const char *word);

struct option {
    const char *name;
    const char *environment; /* NULL: KVS_ and the name in upper case */
    enum kind kind;
    size_t offset; /* of the member in struct config */
    int64_t min, max;
    choose_function choose;
    const char *wanted; /* a choice's words, for messages */
};

static bool choose_durability(struct config *c, const char *word)
{
    bool full = strcmp(word, "full") == 0;
    if (!full && strcmp(word, "relaxed") != 0)
        return false;
    c->durability = full ? DURABILITY_FULL : DURABILITY_RELAXED;
    return true;
}

static bool choose_log_level(struct config *c, const char *word)
{
    return log_level_parse(word, &c->log_level);
}

static bool choose_log_format(struct config *c, const char *word)
{
    bool json = strcmp(word, "json") == 0;
    if (!json && strcmp(word, "text") != 0)
        return false;
    c->log_json = json;
    return true;
}

#define TEXT(name, env, kind)                                                                                          \
    {                                                                                                                  \
#name, env, kind, offsetof(struct config, name), 0, 0, NULL, NULL                                              \
    }
#define NUMBER(name, k, min, max)                                                                                      \
    {                                                                                                                  \
#name, NULL, k, offsetof(struct config, name), min, max, NULL, NULL                                            \
    }
#define CHOICE(name, wanted)                                                                                           \
    {                                                                                                                  \
#name, NULL, KIND_CHOICE, 0, 0, 0, choose_##name, wanted                                                       \
    }

/* Every name there is: for the file, the environment and config_set alike. */
static const struct option options[] = {
    TEXT(access_token, "ACCESS_TOKEN", KIND_SECRET),
    TEXT(db_path, "KV_DB_PATH", KIND_TEXT),
    TEXT(memory_path, NULL, KIND_OPTIONAL),
    TEXT(allow_origin, NULL, KIND_OPTIONAL),
    CHOICE(durability, "full or relaxed"),
    NUMBER(max_body, KIND_SIZE, 1, GIB),
    NUMBER(max_value, KIND_SIZE, 1, VALUE_MAX),
    NUMBER(busy_timeout, KIND_INT, 0, DAY_S * 1000),
    NUMBER(maint_interval, KIND_INT, 0, DAY_S * 365),
    NUMBER(dedupe_window, KIND_INT, 0, DAY_S * 365 * 1000),
    NUMBER(dead_ttl, KIND_INT, 0, DAY_S * 36500),
    NUMBER(stream_limit, KIND_INT, 1, DAY_S),
    NUMBER(io_timeout, KIND_INT, 1, DAY_S * 1000),
    CHOICE(log_level, "error, warning, info or debug"),
    CHOICE(log_format, "text or json"),
};

enum { OPTIONS = sizeof options / sizeof *options, NAME_MAX_LEN = 48 };

_Static_assert((int)OPTIONS <= (int)CONFIG_NAMES_MAX, "config_file.c keeps one bit a name");

/* Formats a failure's line and returns false. */
__attribute__((format(printf, 3, 4))) static bool fail(char *message, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, size, fmt, ap);
    va_end(ap);
    return false;
}

static bool set_string(char **member, enum kind kind, const char *value, size_t len, char *why, size_t size)
{
    char *copy = NULL;
    if (len == 0 && kind != KIND_OPTIONAL)
        return fail(why, size, "must not be empty");
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
            return fail(why, size, "must not have control characters");
    }
    if (len > 0 && !(copy = mem_dup(value, len)))
        return fail(why, size, "out of memory");
    if (*member && kind == KIND_SECRET)
        sodium_memzero(*member, strlen(*member));
    mem_free(*member);
    *member = copy;
    return true;
}

/* The multiplier that a suffix stands for, 0 for what is none. */
static int64_t size_unit(const char *suffix, size_t len)
{
    if (len == 0)
        return 1;
    if (len > 1)
        return 0;
    switch (*suffix) {
    case 'k':
    case 'K':
        return KIB;
    case 'm':
    case 'M':
        return MIB;
    case 'g':
    case 'G':
        return GIB;
    default:
        return 0;
    }
}

static bool parse_number(const struct option *o, const char *value, size_t len, int64_t *out)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < len && value[i] >= '0' && value[i] <= '9'; i++) {
        n = n * 10 + (value[i] - '0');
        if (n > o->max)
            return false;
    }
    int64_t unit = size_unit(value + i, len - i);
    if (i == 0 || unit == 0 || (unit != 1 && o->kind != KIND_SIZE) || n > o->max / unit || n * unit < o->min)
        return false;
    *out = n * unit;
    return true;
}

static bool set_choice(struct config *c, const struct option *o, const char *value, size_t len)
{
    char word[16];
    if (len >= sizeof word)
        return false;
    memcpy(word, value, len);
    word[len] = 0;
    return o->choose(c, word);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Sets a name from text, white space around it ignored.  False with the reason, without the name, in why. */
static bool set_option(struct config *c, const struct option *o, const char *value, char *why, size_t size)
{
    while (is_space(*value))
        value++;
    size_t len = strlen(value);
    while (len > 0 && is_space(value[len - 1]))
        len--;
    void *member = (char *)c + o->offset;
    switch (o->kind) {
    case KIND_TEXT:
    case KIND_OPTIONAL:
    case KIND_SECRET:
        return set_string(member, o->kind, value, len, why, size);
    case KIND_SIZE:
    case KIND_INT:
        if (parse_number(o, value, len, member))
            return true;
        return fail(why, size, "must be an integer from %lld to %lld%s", (long long)o->min, (long long)o->max,
                    o->kind == KIND_SIZE ? " bytes (the suffixes k, m and g are allowed)" : "");
    case KIND_CHOICE:
        return set_choice(c, o, value, len) || fail(why, size, "must be %s", o->wanted);
    }
    return false;
}

int config_index(const char *name)
{
    for (int i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].name, name) == 0)
            return i;
    }
    return -1;
}

bool config_set(struct config *c, const char *name, const char *value, char *message, size_t message_size)
{
    char why[160];
    int i = config_index(name);
    if (i < 0)
        return fail(message, message_size, "%.40s: there is no such name", name);
    if (!set_option(c, &options[i], value, why, sizeof why))
        return fail(message, message_size, "%s: %s", name, why);
    return true;
}

/* KVS_MAX_BODY for max_body, unless the table has a name of its own. */
static const char *environment_name(const struct option *o, char buf[NAME_MAX_LEN])
{
    if (o->environment)
        return o->environment;
    snprintf(buf, NAME_MAX_LEN, "KVS_%s", o->name);
    for (char *p = buf; *p; p++) {
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 'a' + 'A');
    }
    return buf;
}

/* An empty variable is as good as none: CGI servers and shells pass such. */
static bool load_environment(struct config *c, char *message, size_t size)
{
    char buf[NAME_MAX_LEN], why[160];
    for (int i = 0; i < OPTIONS; i++) {
        const char *name = environment_name(&options[i], buf);
        const char *value = getenv(name);
        if (!value || value[strspn(value, " \t\r\n")] == 0)
            continue;
        if (!set_option(c, &options[i], value, why, sizeof why))
            return fail(message, size, "environment variable %s: %s", name, why);
    }
    return true;
}

bool config_load(struct config *c, const char *argv0, char *message, size_t message_size)
{
    *c = (struct config){
        .durability = DURABILITY_FULL,
        .max_body = 16 * MIB,
        .max_value = MIB,
        .busy_timeout = 5000,
        .maint_interval = 60,
        .dedupe_window = 120000,
        .stream_limit = 25,
        .io_timeout = 10000,
        .log_level = LOG_INFO,
    };
    char ignored[4];
    if (!config_set(c, "db_path", "kv.db", message, message_size))
        return false;
    if (config_file_load(c, argv0, message, message_size))
        return load_environment(c, message, message_size);
    load_environment(c, ignored, sizeof ignored);
    return false;
}

bool config_has_token(const struct config *c)
{
    return c->access_token || c->tokens.first;
}

void config_free(struct config *c)
{
    for (int i = 0; i < OPTIONS; i++) {
        if (options[i].kind > KIND_SECRET)
            continue;
        char **member = (char **)(void *)((char *)c + options[i].offset);
        if (*member && options[i].kind == KIND_SECRET)
            sodium_memzero(*member, strlen(*member));
        mem_free(*member);
        *member = NULL;
    }
    token_free(&c->tokens);
    mem_free(c->file);
    c->file = NULL;
}
