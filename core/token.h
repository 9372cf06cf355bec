/*
 * Named tokens of the configuration file: one section [token NAME] each, which holds the token's hash and what it allows.
 */
#ifndef KVS_TOKEN_H
#define KVS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "grant.h"

enum { TOKEN_NAME_MAX = 32, TOKEN_HASH = 32, TOKEN_TEXT_MAX = 64 };

struct token {
    struct grant grant;
    unsigned char hash[TOKEN_HASH];
    unsigned given; /* which names its section had */
    struct token *next;
};

/* All of a configuration.  Owns the memory of its tokens; all zero is none. */
struct tokens {
    struct arena arena;
    struct token *first, *last;
};

/* Whether the text can name a token: 1 to TOKEN_NAME_MAX of A-Z a-z 0-9 _ - and dots. */
bool token_is_name(const char *text);

/*
 * One line of the section of token `name`, which is made where it is new.  False with the reason in why; it never holds
 * the hash.
 */
bool token_set(struct tokens *tokens, const char *name, const char *field, const char *value, char *why, size_t size);

/* After the last line: whether every token has what it needs. */
bool token_judge(const struct tokens *tokens, char *why, size_t size);

void token_free(struct tokens *tokens);

/*
 * The hash that a token is known by.  Tokens are 256 random bits, so a fast hash without a salt is as good as any: there is
 * nothing to guess.
 */
void token_hash(const char *text, size_t len, unsigned char hash[TOKEN_HASH]);

/* A new token's text. */
void token_make(char text[TOKEN_TEXT_MAX]);

#endif
