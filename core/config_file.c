/* realpath is X/Open's. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "user.h"

#ifndef KVS_SYSCONFDIR
#define KVS_SYSCONFDIR "/usr/local/etc"
#endif

enum { FILE_SIZE_MAX = 1 << 20 };

#define TOKEN_SECTION "token "

/* Where a failure's line goes. */
struct complaint {
    char *message;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static bool fail(const struct complaint *to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(to->message, to->size, fmt, ap);
    va_end(ap);
    return false;
}

/* The text of a file in the hands of inih, which asks for its lines and hands back names and values. */
struct reading {
    struct config *config;
    const char *path;
    const char *pos, *end;
    int line;
    bool failed;
    uint64_t seen; /* a bit for each name */
    const struct complaint *to;
};

/* A failure at the current line; the first one stays. */
__attribute__((format(printf, 2, 3))) static void fail_line(struct reading *r, const char *fmt, ...)
{
    char why[200];
    va_list ap;
    if (r->failed)
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    fail(r->to, "%s:%d: %s", r->path, r->line, why);
    r->failed = true;
}

/*
 * fgets for inih.  inih cuts a longer line in two and takes an indented one for a continuation, without a word; here the
 * first is refused and indentation means nothing.
 */
static char *read_line(char *str, int size, void *stream)
{
    struct reading *r = stream;
    if (r->failed || r->pos == r->end)
        return NULL;
    r->line++;
    const char *newline = memchr(r->pos, '\n', (size_t)(r->end - r->pos));
    const char *next = newline ? newline + 1 : r->end;
    while (r->pos < next && (*r->pos == ' ' || *r->pos == '\t'))
        r->pos++;
    size_t len = (size_t)(next - r->pos);
    if (memchr(r->pos, 0, len))
        fail_line(r, "there is a NUL byte");
    else if (len >= (size_t)size)
        fail_line(r, "the line is longer than %d characters", size - 3);
    if (r->failed)
        return NULL;
    memcpy(str, r->pos, len);
    str[len] = 0;
    r->pos = next;
    return str;
}

/* A line of [token NAME]. */
static void take_token(struct reading *r, const char *token, const char *name, const char *value)
{
    char why[200];

    if (!token_is_name(token))
        fail_line(r, "[token %.40s]: a token's name is 1 to %d of A-Z a-z 0-9 _ - .", token, TOKEN_NAME_MAX);
    else if (!token_set(&r->config->tokens, token, name, value, why, sizeof why))
        fail_line(r, "[token %s] %.40s: %s", token, name, why);
}

static int take_value(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    char why[200];
    if (r->failed)
        return 0;
    if (strncmp(section, TOKEN_SECTION, sizeof TOKEN_SECTION - 1) == 0) {
        take_token(r, section + sizeof TOKEN_SECTION - 1, name, value);
        return !r->failed;
    }
    int i = config_index(name);
    if (*section)
        fail_line(r, "there is no section [%.40s]; names stand before any section, and [token NAME] is the only one",
                  section);
    else if (i < 0)
        fail_line(r, "%.40s: there is no such name", name);
    else if (r->seen & UINT64_C(1) << i)
        fail_line(r, "%s: given twice", name);
    else if (!config_set(r->config, name, value, why, sizeof why))
        fail_line(r, "%s", why);
    if (i >= 0)
        r->seen |= UINT64_C(1) << i;
    return !r->failed;
}

static bool parse(struct reading *r)
{
    char why[200];
    int error = ini_parse_stream(read_line, r, take_value, r);
    if (error > 0 && (!r->failed || error < r->line))
        return fail(r->to, "%s:%d: must be: name = value", r->path, error);
    if (r->failed)
        return false;
    if (error == 0 && !token_judge(&r->config->tokens, why, sizeof why))
        return fail(r->to, "%s: %s", r->path, why);
    return error == 0 || fail(r->to, "%s: out of memory", r->path);
}

/*
 * Who may have written what is read here?  The user himself, root, and the owner of the program, who can have it do
 * whatever he likes anyway: on some hosts programs run as the web server's user, not as the one who uploaded them.
 */
static bool is_trusted(uid_t uid)
{
    uid_t owner;
    return uid == geteuid() || uid == 0 || (user_of_program(&owner) && uid == owner);
}

static bool check_owner(const struct stat *st, const char *path, const struct complaint *to)
{
    if (!S_ISREG(st->st_mode))
        return fail(to, "%s: is not a regular file", path);
    if (!is_trusted(st->st_uid))
        return fail(to, "%s: must belong to the user that runs this program, to the program's owner or to root", path);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return fail(to, "%s: others can write it; run: chmod go-w %s", path, path);
    if (st->st_size > FILE_SIZE_MAX)
        return fail(to, "%s: is larger than %d bytes", path, FILE_SIZE_MAX);
    return true;
}

/* Reads all of fd, at most size bytes. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* The open file, checked through its descriptor so that nobody can put another in its place. */
static bool read_open(struct config *c, int fd, const char *path, const struct complaint *to)
{
    struct stat st;
    bool good = false;
    if (fstat(fd, &st) != 0)
        return fail(to, "%s: %s", path, strerror(errno));
    if (!check_owner(&st, path, to))
        return false;
    size_t size = (size_t)st.st_size;
    char *text = mem_alloc(size + 1);
    if (!text)
        return fail(to, "%s: out of memory", path);
    ssize_t len = read_all(fd, text, size);
    struct reading r = {.config = c, .path = path, .pos = text, .end = text + (len > 0 ? len : 0), .to = to};
    if (len < 0) {
        fail(to, "%s: %s", path, strerror(errno));
        goto out;
    }
    good = parse(&r);
    if (good && (r.seen & UINT64_C(1) << config_index("access_token")) && (st.st_mode & S_IROTH))
        good = fail(to, "%s: holds access_token and others can read it; run: chmod o-r %s", path, path);
out:
    sodium_memzero(text, size);
    mem_free(text);
    return good;
}

/* dir/name; false where it is too long to be any file's. */
static bool join_path(char path[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX;
}

/* What the file calls kv.db lies beside the file, wherever the program was started. */
static bool from_directory(char **member, const char *before, const char *file, const struct complaint *to)
{
    char path[PATH_MAX];
    const char *slash = strrchr(file, '/');

    if (!*member || *member == before || **member == '/' || !slash)
        return true;
    int n = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - file), file, *member);
    char *copy = n > 0 && n < PATH_MAX ? mem_dup(path, (size_t)n) : NULL;
    if (!copy)
        return fail(to, "%s: %s", file, n < PATH_MAX ? "out of memory" : "a path in it is too long");
    mem_free(*member);
    *member = copy;
    return true;
}

bool config_file_read(struct config *c, const char *path, bool *found, char *message, size_t message_size)
{
    const struct complaint to = {message, message_size};
    int fd;
    *found = false;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || fail(&to, "%s: %s", path, strerror(errno));
    *found = true;
    const char *db_path = c->db_path, *memory_path = c->memory_path;
    bool good = read_open(c, fd, path, &to) && from_directory(&c->db_path, db_path, path, &to) &&
                from_directory(&c->memory_path, memory_path, path, &to);
    close(fd);
    return good;
}

/*
 * kvs.conf beside the program, whatever links lead to it.  A name without a slash is one found along $PATH, or what a CGI
 * server started in the program's directory; Linux knows which.
 */
static bool beside_program(char path[PATH_MAX], const char *argv0)
{
    static const char running[] = "/proc/self/exe";
    char real[PATH_MAX];
    bool plain = !argv0 || !strchr(argv0, '/');
    const char *first = plain ? running : argv0, *second = plain ? argv0 : running;
    if (!realpath(first, real) && !(second && realpath(second, real)))
        return false;
    *strrchr(real, '/') = 0;
    return join_path(path, real, "kvs.conf");
}

/*
 * kvs/kvs.conf in the directory that the document root lies in: where somebody with an FTP account alone can put what is
 * not to be served.  The variable is the web server's, not its client's.
 */
static bool beside_root(char path[PATH_MAX])
{
    const char *root = getenv("DOCUMENT_ROOT");
    char real[PATH_MAX];

    if (!root || !root[0] || !realpath(root, real) || strcmp(real, "/") == 0)
        return false;
    *strrchr(real, '/') = 0;
    return join_path(path, real, "kvs/kvs.conf");
}

/* .kvs.conf at home, as the password database has it: under a web server $HOME is anyone's. */
static bool at_home(char path[PATH_MAX])
{
    char home[PATH_MAX];
    return user_home(geteuid(), home) && join_path(path, home, ".kvs.conf");
}

bool config_file_place(unsigned i, const char *argv0, char path[PATH_MAX])
{
    switch (i) {
    case 0:
        return beside_program(path, argv0);
    case 1:
        return beside_root(path);
    case 2:
        return at_home(path);
    default:
        return join_path(path, KVS_SYSCONFDIR, "kvs/kvs.conf");
    }
}

/* Remembers which file was read, or was to be. */
static bool set_file(struct config *c, const char *path, const struct complaint *to)
{
    mem_free(c->file);
    c->file = mem_dup(path, strlen(path));
    return c->file || fail(to, "%s: out of memory", path);
}

bool config_file_load(struct config *c, const char *argv0, char *message, size_t message_size)
{
    const struct complaint to = {message, message_size};
    char path[PATH_MAX];
    bool found = false;
    const char *named = getenv("KVS_CONFIG");
    if (named && *named) {
        if (!set_file(c, named, &to) || !config_file_read(c, named, &found, message, message_size))
            return false;
        return found || fail(&to, "%s: no such file, but KVS_CONFIG names it", named);
    }
    for (unsigned i = 0; i < CONFIG_FILE_PLACES && !found; i++) {
        if (!config_file_place(i, argv0, path))
            continue;
        bool good = config_file_read(c, path, &found, message, message_size);
        if ((found || !good) && !set_file(c, path, &to))
            return false;
        if (!good)
            return false;
    }
    return true;
}
