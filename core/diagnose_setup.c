#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config_file.h"
#include "diagnose_check.h"
#include "hostfs.h"
#include "user.h"

enum { USER_TEXT = 64, TOKEN_LEAST = 16 };

#define MIB (INT64_C(1) << 20)

void diagnose_user(const struct diagnose *d, struct diagnose_finding *f)
{
    char me[USER_TEXT], other[USER_TEXT];
    uid_t uid = geteuid(), owner = uid;

    user_show(uid, me, sizeof me);
    bool foreign = user_of_program(&owner) && owner != uid && owner != 0;
    user_show(owner, other, sizeof other);
    if (uid == 0)
        diagnose_say(f, DIAGNOSE_WARNING, "runs as root, which nothing here needs: run it as a user of its own");
    else if (foreign)
        diagnose_say(f, DIAGNOSE_WARNING,
                     "runs as %s, though the program belongs to %s: where the programs of several people run as one "
                     "user they can read each other's files; ask the host for suEXEC or the like",
                     me, other);
    else if (!d->request)
        diagnose_say(f, DIAGNOSE_GOOD,
                     "runs as %s here; what the web server runs it as, GET /health with the token tells", me);
    else
        diagnose_say(f, DIAGNOSE_GOOD, "runs as %s", me);
}

/* The places without a file in them, for a message. */
static void list_places(const struct diagnose *d, char *text, size_t size)
{
    char path[PATH_MAX];
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < CONFIG_FILE_PLACES; i++) {
        if (!config_file_place(i, d->argv0, path) || len >= size)
            continue;
        int n = snprintf(text + len, size - len, "%s%s", len ? ", " : "", path);
        len += n > 0 ? (size_t)n : 0;
    }
}

void diagnose_config(const struct diagnose *d, struct diagnose_finding *f)
{
    char text[DIAGNOSE_TEXT];
    struct stat st;

    if (d->config_problem) {
        diagnose_say(f, DIAGNOSE_WRONG, "%s", d->config_problem);
    } else if (!d->config->file) {
        list_places(d, text, sizeof text);
        diagnose_say(f, DIAGNOSE_GOOD, "no configuration file is there, and none is needed; it could be one of: %s",
                     text);
    } else if (stat(d->config->file, &st)) {
        diagnose_say(f, DIAGNOSE_WARNING, "%s was read, but is gone", d->config->file);
    } else {
        user_show(st.st_uid, text, USER_TEXT);
        diagnose_say(f, DIAGNOSE_GOOD, "%s, mode %04o, of %s", d->config->file, (unsigned)st.st_mode & 07777, text);
    }
}

/* Whether the file, not the environment, holds a token that can be used as it stands there. */
static bool file_has_secret(const struct config *c)
{
    const char *variable = getenv("ACCESS_TOKEN");
    return c->file && c->access_token && !(variable && variable[0]);
}

void diagnose_secrets(const struct diagnose *d, struct diagnose_finding *f)
{
    const struct config *c = d->config;
    char dir[PATH_MAX];

    if (!file_has_secret(c) || !hostfs_directory_of(c->file, dir)) {
        diagnose_say(f, DIAGNOSE_GOOD, "no file that was read holds a token in plain text");
        return;
    }
    switch (hostfs_place(dir)) {
    case HOSTFS_BELOW:
        diagnose_say(f, DIAGNOSE_WRONG,
                     "%s holds access_token and lies below the document root, from where a web server may hand it to "
                     "anyone: move it to kvs/kvs.conf beside the document root, or let it hold hashes alone "
                     "(kvs-maint token new), and change the token",
                     c->file);
        break;
    case HOSTFS_OUTSIDE:
        diagnose_say(f, DIAGNOSE_GOOD, "%s holds access_token and lies outside of the document root", c->file);
        break;
    default:
        diagnose_say(
            f, DIAGNOSE_UNKNOWN,
            "%s holds access_token; the document root is not known here (DOCUMENT_ROOT is not set), and it has "
            "to lie outside of it",
            c->file);
    }
}

void diagnose_token(const struct diagnose *d, struct diagnose_finding *f)
{
    const struct config *c = d->config;
    const char *expired = NULL;
    int usable = c->access_token ? 1 : 0;

    for (const struct token *t = c->tokens.first; t; t = t->next) {
        if (t->grant.expires && clock_now() >= t->grant.expires)
            expired = t->grant.name;
        else
            usable++;
    }
    if (!usable)
        diagnose_say(f, DIAGNOSE_WRONG, "%s: set access_token in kvs.conf (or ACCESS_TOKEN) to a long random text",
                     expired ? "every token has expired" : "no access token is set, so nobody can be let in");
    else if (c->access_token && strlen(c->access_token) < TOKEN_LEAST)
        diagnose_say(f, DIAGNOSE_WARNING,
                     "access_token has fewer than %d characters and can be guessed: make a longer one", TOKEN_LEAST);
    else if (expired)
        diagnose_say(f, DIAGNOSE_WARNING, "[token %s] has expired: renew it, or take it out", expired);
    else
        diagnose_say(f, DIAGNOSE_GOOD, "%d of them", usable);
}

void diagnose_authorization(const struct diagnose *d, struct diagnose_finding *f)
{
    const struct kvs_request *r = d->request;

    if (!r)
        diagnose_say(f, DIAGNOSE_UNKNOWN,
                     "only a request shows whether the header Authorization gets through: GET /health "
                     "with it");
    else if (r->authorization)
        diagnose_say(f, DIAGNOSE_GOOD, "the header Authorization gets through, as %s",
                     r->authorization_name ? r->authorization_name : "it should");
    else
        diagnose_say(
            f, DIAGNOSE_WARNING,
            "the token came as X-KVS-Token, and no header Authorization got through.  Where the client did send "
            "one, the web server keeps it back: SetEnvIf Authorization \"(.*)\" HTTP_AUTHORIZATION=$1 in .htaccess "
            "lets it through, and so does CGIPassAuth On");
}

/* Limits that hosts set for their customers, and what each has to allow. */
static const struct limit {
    int resource;
    const char *what;
    int64_t wrong, warning; /* below these */
} limits[] = {
    {RLIMIT_FSIZE, "bytes a file may have, the database among them", 16 * MIB, 1024 * MIB},
    {RLIMIT_NOFILE, "files may be open", 16, 32},
    {RLIMIT_CPU, "seconds of work a request may take", 1, 5},
    {RLIMIT_AS, "bytes of memory the program may have", 32 * MIB, 128 * MIB},
};

void diagnose_limits(const struct diagnose *d, struct diagnose_finding *f)
{
    struct rlimit r;
    (void)d;

    diagnose_say(f, DIAGNOSE_GOOD, "files, memory and time are not limited to too little");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const struct limit *l = &limits[i];
        if (getrlimit((__rlimit_resource_t)l->resource, &r) || r.rlim_cur == RLIM_INFINITY ||
            r.rlim_cur >= (rlim_t)l->warning)
            continue;
        bool wrong = r.rlim_cur < (rlim_t)l->wrong;
        if (wrong || f->verdict == DIAGNOSE_GOOD)
            diagnose_say(f, wrong ? DIAGNOSE_WRONG : DIAGNOSE_WARNING,
                         "a limit of this host (ulimit) lets %llu %s: have it raised to %lld or more",
                         (unsigned long long)r.rlim_cur, l->what, (long long)l->warning);
        if (wrong)
            return;
    }
}
