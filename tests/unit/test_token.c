/*
 * Named tokens: the sections of the configuration file, and what a grant covers.
 */
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth.h"
#include "clock.h"
#include "config.h"
#include "config_file.h"
#include "json_scan.h"
#include "tap.h"

#define HASH "hash = 0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef\n"

static char file[256];

static bool load(struct config *c, const char *text, char message[400])
{
    bool found = false;
    FILE *f = fopen(file, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0 || chmod(file, 0600) != 0) {
        perror(file);
        exit(1);
    }
    memset(c, 0, sizeof *c);
    *message = 0;
    return config_file_read(c, file, &found, message, 400) && found;
}

static const struct {
    const char *text, *words;
} bad[] = {
    {"[token a]\nscope = read\n", ": [token a]: hash is missing"},
    {"[token a]\n" HASH, ": [token a]: scope is missing"},
    {"[token a]\n" HASH HASH, ":3: [token a] hash: given twice"},
    {"[token a]\nhash = 12\n", ":2: [token a] hash: must be 64 hexadecimal digits"},
    {"[token a]\nhash = x123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef\n",
     ":2: [token a] hash: must"},
    {"[token a]\nscope = root\n", ":2: [token a] scope: must be read, write, admin or metrics"},
    {"[token a]\nscope = public\n", ":2: [token a] scope: must be read"},
    {"[token a]\nscope =\n", ":2: [token a] scope: must not be empty"},
    {"[token a]\ndb_path = x\n", ":2: [token a] db_path: there is no such name for a token"},
    {"[token a b]\nscope = read\n", ":2: [token a b]: a token's name is"},
    {"[token ]\nscope = read\n", ":2: [token ]: a token's name is 1 to 32"},
    {"[token 123456789012345678901234567890123]\nscope = read\n", ":2: [token 1234"},
    {"[token a]\nbuckets = a,,b\n", ":2: [token a] buckets: must be names"},
    {"[token a]\nbuckets = a*b\n", ":2: [token a] buckets: must be names"},
    {"[token a]\ntopics = x,\n", ":2: [token a] topics: must be topics"},
    {"[token a]\nkeys = a..b\n", ":2: [token a] keys: "},
    {"[token a]\nkeys = a.*\n", ":2: [token a] keys: must be prefixes without"},
    {"[token a]\nkeys = >\n", ":2: [token a] keys: must be prefixes without"},
    {"[token a]\nkeys = [1\n", ":2: [token a] keys: must be a key's prefix as a JSON array"},
    {"[token a]\nkeys = [null]\n", ":2: [token a] keys: must be a key's prefix as a JSON array"},
    {"[token a]\nexpires = 2027-02-29\n", ":2: [token a] expires: must be a date"},
    {"[token a]\nexpires = 2027-13-01\n", ":2: [token a] expires: must be a date"},
    {"[token a]\nexpires = 2027-1-01\n", ":2: [token a] expires: must be a date"},
    {"[token a]\nexpires = tomorrow\n", ":2: [token a] expires: must be a date"},
    {"[token a]\n" HASH "scope = admin\nbuckets = x\n", ": [token a]: scope admin has no buckets"},
    {"[token a]\n" HASH "scope = metrics\ntopics = x\n", ": [token a]: scope metrics has no buckets"},
    {"[tokens]\nscope = read\n", ":2: there is no section [tokens]"},
};

static void test_bad(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct config c;
        char message[400], want[400];
        ok(!load(&c, bad[i].text, message), "bad section %zu is refused", i);
        snprintf(want, sizeof want, "%s%s", file, bad[i].words);
        ok(strncmp(message, want, strlen(want)) == 0, "bad section %zu: %s", i, message);
        config_free(&c);
    }
}

static void test_dates(void)
{
    static const struct {
        const char *date;
        int64_t day; /* that follows it, since the epoch */
    } dates[] = {{"1970-01-01", 1},     {"1972-02-29", 790},   {"2000-02-29", 11017}, {"2000-12-31", 11323},
                 {"2027-01-31", 20850}, {"2100-03-01", 47542}, {"2999-12-31", 376200}};
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        char text[200], message[400];
        struct config c;
        snprintf(text, sizeof text, "[token a]\n" HASH "scope = read\nexpires = %s\n", dates[i].date);
        ok(load(&c, text, message), "a date: %s", message);
        is_int(c.tokens.first->grant.expires, dates[i].day * 86400000, "%s", dates[i].date);
        config_free(&c);
    }
}

static struct key key_of(struct arena *arena, const char *json)
{
    static const char *const opaque[] = {NULL};
    struct error err = ERROR_INIT;
    struct json_doc doc;
    struct key key = {NULL, 0};
    if (json_scan(&doc, json, strlen(json), opaque, arena, &err) || key_from_json(&doc, 0, 0, "key", arena, &key, &err))
        printf("Bail out! %s\n", json);
    return key;
}

static void test_lists(void)
{
    struct arena arena = ARENA_INIT;
    char message[400];
    struct config c;
    ok(load(&c,
            "db_path = x\n[token a]\n" HASH "scope = write\nbuckets = one, two*\nbuckets=three\ntopics = *\n"
            "keys = u.7, v\nkeys = [\"w\", 1]\n[token b]\n" HASH "scope = read\nkeys = a\n[token c]\n" HASH
            "scope = read\n",
            message),
       "three tokens: %s", message);
    const struct token *a = c.tokens.first, *b = a->next;
    is_str(a->grant.name, "a", "in order");
    ok(a->grant.limited && b->grant.limited && !b->next->grant.limited, "limited or not");
    ok(grant_bucket(&a->grant, "one", 3) && grant_bucket(&a->grant, "two", 3) && grant_bucket(&a->grant, "two-x", 5) &&
           grant_bucket(&a->grant, "three", 5),
       "buckets that are named");
    ok(!grant_bucket(&a->grant, "one2", 4) && !grant_bucket(&a->grant, "tw", 2) && !grant_bucket(&a->grant, "", 0),
       "and others");
    ok(grant_topic(&a->grant, "anything", 8) && !grant_topic(&b->grant, "anything", 8), "topics");
    ok(grant_bucket(&b->grant, "any", 3), "keys without buckets are in every bucket");
    static const struct {
        const char *key;
        bool in;
    } keys[] = {{"[\"u\"]", false},
                {"[\"u\",\"7\"]", true},
                {"[\"u\",\"7\",1]", true},
                {"[\"u\",\"70\"]", false},
                {"[\"u\",\"7\\u0000\"]", false},
                {"[\"u\",7]", false},
                {"[\"v\"]", true},
                {"[\"v\",true]", true},
                {"[\"w\",1]", true},
                {"[\"w\",1,2]", true},
                {"[\"w\",2]", false},
                {"[\"w\"]", false}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct key key = key_of(&arena, keys[i].key), from, to;
        is_int(grant_key(&a->grant, &key), keys[i].in, "key %s", keys[i].key);
        key_below(&key, &arena, &from, &to);
        is_int(grant_range(&a->grant, &from, &to), keys[i].in, "what lies below %s", keys[i].key);
    }
    struct key u = key_of(&arena, "[\"u\",\"7\"]"), w = key_of(&arena, "[\"w\",1]"), none = {NULL, 0}, from, all;
    ok(!grant_range(&a->grant, &u, &w), "a range from one prefix to the next");
    key_below(&none, &arena, &from, &all);
    ok(!grant_range(&a->grant, &none, &all) && grant_range(&c.tokens.last->grant, &none, &all), "everything");
    arena_free(&arena);
    config_free(&c);
    ok(!c.tokens.first, "freed");
}

static void test_scopes(void)
{
    static const bool covers[5][5] = {
        [SCOPE_METRICS] = {true, true, false, false, false},
        [SCOPE_READ] = {true, false, true, false, false},
        [SCOPE_WRITE] = {true, false, true, true, false},
        [SCOPE_ADMIN] = {true, true, true, true, true},
    };
    for (enum scope has = SCOPE_METRICS; has <= SCOPE_ADMIN; has++)
        for (enum scope needs = SCOPE_PUBLIC; needs <= SCOPE_ADMIN; needs++)
            is_int(grant_has(&(struct grant){.scope = has}, needs), covers[has][needs], "%s for %s",
                   grant_scope_name(has), grant_scope_name(needs));
}

static int64_t now;

static int64_t the_time(void)
{
    return now;
}

static const struct grant *check(const struct auth *auth, const char *authorization, const char *token, bool *failed)
{
    struct kvs_request r = {.authorization = authorization, .token = token};
    return auth_check(auth, &r, failed);
}

static void test_login(void)
{
    char text[TOKEN_TEXT_MAX], again[TOKEN_TEXT_MAX], hex[2 * TOKEN_HASH + 1], conf[600], header[100], message[400];
    unsigned char hash[TOKEN_HASH];
    struct config c;
    bool failed;

    token_make(text);
    token_make(again);
    ok(strlen(text) == 47 && strcmp(text, again) != 0, "tokens are long and never the same");
    token_hash(text, strlen(text), hash);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(conf, sizeof conf,
             "access_token = main\n[token a]\n" HASH "scope = read\n[token b]\nhash = %s\n"
             "scope = write\nexpires = 2027-01-31\n",
             hex);
    ok(load(&c, conf, message), "a configuration: %s", message);
    struct auth *auth = auth_new(&c);
    snprintf(header, sizeof header, "Bearer %s", text);
    now = INT64_C(20850) * 86400000 - 1;
    const struct grant *g = check(auth, header, NULL, &failed);
    ok(g && !failed && g->scope == SCOPE_WRITE, "a named token");
    ok(check(auth, NULL, text, &failed) == g, "in a header of our own");
    ok(check(auth, "Basic x", text, &failed) == g, "beside another scheme");
    now++;
    ok(!check(auth, header, NULL, &failed) && failed, "not a moment after its last day");
    g = check(auth, "bearer main", NULL, &failed);
    ok(g && g->scope == SCOPE_ADMIN, "access_token");
    ok(!check(auth, "Bearer mai", NULL, &failed) && failed, "a wrong one");
    ok(!check(auth, NULL, NULL, &failed) && !failed, "none is not a wrong one");
    ok(!check(auth, hex, hex, &failed) && failed, "its hash is no token");
    auth_free(auth);
    config_free(&c);
}

int main(void)
{
    char dir[200];
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/kvs-token-XXXXXX", base && *base ? base : "/tmp");
    if (sodium_init() < 0 || !mkdtemp(dir))
        return 1;
    snprintf(file, sizeof file, "%s/kvs.conf", dir);
    clock_replace(the_time);
    test_bad();
    test_dates();
    test_lists();
    test_scopes();
    test_login();
    unlink(file);
    rmdir(dir);
    return done_testing();
}
