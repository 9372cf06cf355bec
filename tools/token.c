/* token new: a named token, and the lines of kvs.conf that let it in. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "token.h"
#include "tool.h"

enum { LINE_MAX_BYTES = 190, WHY = 200 };

/* The options, as names of the section. */
static const struct {
    size_t offset; /* of the member in struct tool */
    const char *option, *name;
} sources[] = {
    {offsetof(struct tool, buckets), "bucket", "buckets"},
    {offsetof(struct tool, keys), "key", "keys"},
    {offsetof(struct tool, topics), "topic", "topics"},
};

enum { SOURCES = sizeof sources / sizeof *sources };

static const struct tool_values *values_of(const struct tool *tool, size_t i)
{
    return (const struct tool_values *)((const char *)tool + sources[i].offset);
}

/* Whether the value is read from a line of the file as it is written there. */
static bool fits_line(const char *value)
{
    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < ' ' || (*p == ';' && (p == value || p[-1] == ' ')))
            return false;
    }
    return strlen(value) <= LINE_MAX_BYTES;
}

static bool take(struct tokens *tokens, const char *token, const char *option, const char *name, const char *value)
{
    char why[WHY] =
        "must fit one line of kvs.conf: no control characters, no ; behind a space, at most 190 bytes (give "
        "the option again for more)";

    if (fits_line(value) && token_set(tokens, token, name, value, why, sizeof why))
        return true;
    log_line(LOG_ERROR, "--%s %s: %s", option, value, why);
    return false;
}

/* Judges all that was given as the file would, in a configuration of its own. */
static bool judge(const struct tool *tool, struct tokens *tokens, const char *hash)
{
    const char *name = tool->file;
    char why[WHY];
    bool good = take(tokens, name, "hash", "hash", hash) && take(tokens, name, "scope", "scope", tool->scope) &&
                (!tool->expires || take(tokens, name, "expires", "expires", tool->expires));

    for (size_t i = 0; i < SOURCES; i++) {
        const struct tool_values *v = values_of(tool, i);
        for (size_t n = 0; good && n < v->count; n++)
            good = take(tokens, name, sources[i].option, sources[i].name, v->list[n]);
    }
    if (good && !token_judge(tokens, why, sizeof why)) {
        log_line(LOG_ERROR, "%s", why);
        good = false;
    }
    return good;
}

static bool is_free(const struct tool *tool)
{
    if (!token_is_name(tool->file)) {
        log_line(LOG_ERROR, "%s: a token's name is 1 to %d of A-Z a-z 0-9 _ - .", tool->file, (int)TOKEN_NAME_MAX);
        return false;
    }
    for (const struct token *t = tool->config.tokens.first; t; t = t->next) {
        if (strcmp(t->grant.name, tool->file) == 0) {
            log_line(LOG_ERROR, "there is a token %s in kvs.conf: take its section out, or give another name",
                     tool->file);
            return false;
        }
    }
    return true;
}

static void print_text(const struct tool *tool, const char *token, const char *hash)
{
    printf("The token, shown this once:\n%s\n\nLines to add at the end of kvs.conf:\n", token);
    printf("[token %s]\nhash = %s\nscope = %s\n", tool->file, hash, tool->scope);
    for (size_t i = 0; i < SOURCES; i++)
        for (size_t n = 0; n < values_of(tool, i)->count; n++)
            printf("%s = %s\n", sources[i].name, values_of(tool, i)->list[n]);
    if (tool->expires)
        printf("expires = %s\n", tool->expires);
}

static int print_json(const struct tool *tool, const char *token, const char *hash)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "name", tool->file);
    cJSON_AddStringToObject(object, "token", token);
    cJSON_AddStringToObject(object, "hash", hash);
    cJSON_AddStringToObject(object, "scope", tool->scope);
    for (size_t i = 0; i < SOURCES; i++) {
        const struct tool_values *v = values_of(tool, i);
        cJSON *list = v->count ? cJSON_AddArrayToObject(object, sources[i].name) : NULL;
        for (size_t n = 0; n < v->count; n++)
            tool_json_add(list, cJSON_CreateString(v->list[n]));
    }
    if (tool->expires)
        cJSON_AddStringToObject(object, "expires", tool->expires);
    return tool_print_json(object);
}

int command_token(struct tool *tool)
{
    char text[TOKEN_TEXT_MAX], hash[2 * TOKEN_HASH + 1];
    unsigned char bytes[TOKEN_HASH];
    struct tokens tokens = {.first = NULL};
    int status = TOOL_DONE;

    if (sodium_init() < 0 || !is_free(tool))
        return TOOL_PROBLEM;
    token_make(text);
    token_hash(text, strlen(text), bytes);
    sodium_bin2hex(hash, sizeof hash, bytes, sizeof bytes);
    if (!judge(tool, &tokens, hash))
        status = TOOL_USAGE;
    else if (tool->json)
        status = print_json(tool, text, hash);
    else
        print_text(tool, text, hash);
    token_free(&tokens);
    sodium_memzero(text, sizeof text);
    return status;
}
