#include "auth.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "mem.h"

struct auth {
    unsigned char key[crypto_shorthash_siphashx24_KEYBYTES]; /* random: hashes say nothing outside this process */
    unsigned char token[crypto_shorthash_siphashx24_BYTES];
    struct grant grant;
    const struct token *named; /* the configuration's */
};

_Static_assert(TOKEN_HASH == crypto_verify_32_BYTES, "hashes of named tokens are compared by crypto_verify_32");
_Static_assert(crypto_shorthash_siphashx24_BYTES == crypto_verify_16_BYTES, "hashes are compared by crypto_verify_16");

/* SipHash is made for just this: short messages, a secret key, and nobody who can find out more than equality. */
static void hash(const struct auth *auth, const char *token, unsigned char out[crypto_shorthash_siphashx24_BYTES])
{
    crypto_shorthash_siphashx24(out, (const unsigned char *)token, strlen(token), auth->key);
}

struct auth *auth_new(const struct config *config)
{
    struct auth *auth = mem_zalloc(1, sizeof *auth);
    if (!auth)
        return NULL;
    randombytes_buf(auth->key, sizeof auth->key);
    auth->grant = (struct grant){.name = "access_token", .scope = SCOPE_ADMIN};
    auth->named = config->tokens.first;
    if (config->access_token)
        hash(auth, config->access_token, auth->token);
    else
        randombytes_buf(auth->token, sizeof auth->token);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    sodium_memzero(auth, sizeof *auth);
    mem_free(auth);
}

static const char *bearer(const char *header)
{
    static const char scheme[] = "bearer";
    size_t n = sizeof scheme - 1;

    if (!header || strncasecmp(header, scheme, n) || (header[n] != ' ' && header[n] != '\t'))
        return NULL;
    header += n;
    while (*header == ' ' || *header == '\t')
        header++;
    return header;
}

/* The named token, whichever it is: all are compared, so that time tells nothing. */
static const struct grant *named(const struct auth *auth, const char *text)
{
    const struct grant *found = NULL;
    unsigned char hash[TOKEN_HASH];

    if (!auth->named)
        return NULL;
    token_hash(text, strlen(text), hash);
    for (const struct token *t = auth->named; t; t = t->next) {
        if (crypto_verify_32(hash, t->hash) == 0)
            found = &t->grant;
    }
    return found && found->expires && clock_now() >= found->expires ? NULL : found;
}

const struct grant *auth_check(const struct auth *auth, const struct kvs_request *request, bool *failed)
{
    unsigned char given[crypto_shorthash_siphashx24_BYTES];
    const char *token = bearer(request->authorization);

    if (!token)
        token = request->token;
    *failed = false;
    if (!token || !token[0])
        return NULL;
    const struct grant *grant = named(auth, token);
    hash(auth, token, given);
    if (crypto_verify_16(given, auth->token) == 0)
        grant = &auth->grant;
    *failed = !grant;
    return grant;
}

const char *auth_refusal(bool failed)
{
    return failed ? "the access token is not valid"
                  : "no token came with the request: it needs Authorization: Bearer <token>, or where the web server "
                    "keeps "
                    "that header back X-KVS-Token: <token>";
}
