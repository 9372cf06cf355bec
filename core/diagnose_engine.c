#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "db.h"
#include "diagnose_check.h"
#include "hostfs.h"
#include "schema.h"
#include "store.h"

enum { CLOCK_SLACK_MS = 60000 };

/* No clock that is right shows less than this: 2025-01-01. */
static const int64_t past = INT64_C(1735689600000);

/* Through the open store, or a connection of its own that changes nothing. */
static enum error_code look(const struct diagnose *d, struct store_state *s, struct error *err)
{
    struct db *db;
    enum error_code rc;

    *s = (struct store_state){.version = 0};
    if (d->store) {
        rc = store_reader(d->store, &db);
        if (rc)
            return rc;
        rc = store_state(db, s);
        store_reader_done(d->store, db, rc != ERR_OK);
        return rc;
    }
    char real[PATH_MAX];
    db_global_init();
    rc = hostfs_resolve(d->config->db_path, real, err);
    if (!rc)
        rc = db_open(&db, real, DB_READ_ONLY, err);
    if (rc)
        return rc;
    rc = store_state(db, s);
    db_close(db);
    return rc;
}

static void remove_files(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    char name[PATH_MAX + 64];

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

/* Whether a database can be made in that directory: makes one and takes it away again. */
static enum error_code try_out(const struct diagnose *d, struct error *err)
{
    char dir[PATH_MAX], path[PATH_MAX + 32];
    struct store *store;

    if (!hostfs_directory_of(d->config->db_path, dir))
        return error_set(err, ERR_INTERNAL, NULL, "the path is too long");
    snprintf(path, sizeof path, "%s/.kvs-check-%ld", dir, (long)getpid());
    struct store_options options = {.path = path, .busy_timeout = d->config->busy_timeout};
    db_global_init();
    enum error_code rc = store_open(&store, &options, err);
    if (!rc)
        store_close(store);
    remove_files(path);
    return rc;
}

static const char *reason(enum error_code rc, const struct error *err)
{
    return err->message[0] ? err->message : error_text(rc);
}

void diagnose_engine(const struct diagnose *d, struct diagnose_finding *f)
{
    struct error err = ERROR_INIT;
    struct store_state s = {.version = 0};
    struct stat st;
    enum error_code rc = ERR_OK;
    bool there = d->store || stat(d->config->db_path, &st) == 0;

    if (d->store_problem && !config_has_token(d->config)) {
        diagnose_say(f, DIAGNOSE_UNKNOWN, "not tried before there is a token");
        return;
    }
    if (!d->store_problem)
        rc = there ? look(d, &s, &err) : try_out(d, &err);
    if (d->store_problem || rc)
        diagnose_say(f, DIAGNOSE_WRONG, "the database cannot be used: %s",
                     d->store_problem ? d->store_problem : reason(rc, &err));
    else if (!there)
        diagnose_say(f, DIAGNOSE_GOOD, "a database was made there and taken away again: log and locks work");
    else if (s.version > SCHEMA_VERSION)
        diagnose_say(f, DIAGNOSE_WRONG,
                     "the database has format %lld, this program knows no later one than %d: install a "
                     "newer program",
                     (long long)s.version, (int)SCHEMA_VERSION);
    else
        diagnose_say(f, DIAGNOSE_GOOD, "the database can be read; its log works; format %lld", (long long)s.version);
}

void diagnose_clock(const struct diagnose *d, struct diagnose_finding *f)
{
    struct error err = ERROR_INIT;
    struct store_state s = {.version = 0};
    struct stat st;
    int64_t now = clock_now();

    if (now < past) {
        diagnose_say(
            f, DIAGNOSE_WRONG,
            "the clock shows %lld, seconds since 1970, which is years behind: expiry, leases and tokens go by it",
            (long long)(now / 1000));
        return;
    }
    if ((d->store || stat(d->config->db_path, &st) == 0) && look(d, &s, &err) == ERR_OK &&
        s.time > now + CLOCK_SLACK_MS)
        diagnose_say(
            f, DIAGNOSE_WARNING,
            "the clock is %lld s behind the last commit: it was put back, or ran ahead then; the store's time stands "
            "still until it has caught up",
            (long long)((s.time - now) / 1000));
    else
        diagnose_say(f, DIAGNOSE_GOOD, "the clock and the last commit agree");
}
