/*
 * Waiting for company before a commit: when, for how long, and when not; and that clients who come back to a slow disk share its
 * syncs.
 */
#include "gather.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "commit.h"
#include "database.h"
#include "writelock.h"

/* --- The decision --- */

/* What is known after some commits with this many jobs about. */
static struct gather after(int commits, int about, int64_t sync)
{
    struct gather g = {0};

    for (int i = 0; i < commits; i++)
        gather_note(&g, about, sync, 0, 1000000);
    return g;
}

static void test_who_is_waited_for(void)
{
    struct gather g = {0};

    is_int(gather_until(&g, 0), 0, "nobody_where_nothing_is_known");
    g = after(60, 8, 4000);
    is_int(gather_until(&g, 8), 0, "not_where_all_are_there");
    is_int(gather_until(&g, 9), 0, "nor_where_there_are_more");
    ok(gather_until(&g, 7) > 0, "for_one_that_is_missing");
    ok(gather_until(&g, 0) > 0, "for_all_of_them");
    g = after(60, 1, 4000);
    is_int(gather_until(&g, 1) + gather_until(&g, 0), 0, "one_client_alone_never_waits");
}

static void test_how_long(void)
{
    struct gather g = after(60, 8, 4000);
    int64_t wait = gather_until(&g, 1) - 1000000;

    ok(wait > 1900 && wait <= 2000, "half_of_a_sync (%lld)", (long long)wait);
    g = after(60, 8, 3000000);
    is_int(gather_until(&g, 1) - 1000000, 10000, "but_never_longer_than_10_ms");
    g = after(60, 8, 300);
    is_int(gather_until(&g, 1), 0, "not_at_all_where_a_sync_takes_nothing");
    g = after(1, 8, 2000000);
    gather_note(&g, 8, 0, 0, 1000000);
    ok(g.sync > 0 && g.sync < 250000, "one_commit_does_not_say_it_all");
    for (int i = 0; i < 100; i++)
        gather_note(&g, 8, 0, 0, 1000000);
    is_int(gather_until(&g, 1), 0, "nor_do_commits_that_sync_nothing_wait");
}

/* What large values take is their own. */
static void test_transfer(void)
{
    static const struct {
        int64_t sync, written, least, most;
    } cases[] = {{4000, 0, 1900, 2000}, {4000, 100000, 1400, 1500}, {4000, 400000, 0, 0}, {4000, 1 << 30, 0, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gather g = {0};
        for (int n = 0; n < 60; n++)
            gather_note(&g, 8, cases[i].sync, cases[i].written, 1000000);
        const int64_t until = gather_until(&g, 1), wait = until ? until - 1000000 : 0;
        ok(wait >= cases[i].least && wait <= cases[i].most, "a_sync_of_%lld_us_and_%lld_bytes_is_worth_%lld_us",
           (long long)cases[i].sync, (long long)cases[i].written, (long long)wait);
    }
}

/* How many commits go by until it waits again. */
static int skips(struct gather *g)
{
    int n = 0;

    for (; n < 1000 && !gather_until(g, 1); n++)
        ;
    return n;
}

static void test_in_vain(void)
{
    static const int wanted[] = {1, 3, 7, 15, 31, 63, 63};
    struct gather g = after(60, 8, 4000);

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        gather_waited(&g, 7);
        is_int(skips(&g), wanted[i], "after_%zu_waits_in_vain_%d_commits_do_not", i + 1, wanted[i]);
    }
    gather_waited(&g, 8);
    is_int(skips(&g), 0, "after_one_that_was_not_all_do");
}

/* --- A slow disk: SQLite's syncs are these --- */

static atomic_int sync_ms;

static int slow_sync(int fd)
{
    usleep((useconds_t)atomic_load(&sync_ms) * 1000);
    return (int)syscall(SYS_fdatasync, fd);
}

int fdatasync(int fd);
int fdatasync(int fd)
{
    return slow_sync(fd);
}

int fsync(int fd);
int fsync(int fd)
{
    return slow_sync(fd);
}

/* Clients that submit anew soon after they are answered, by whichever of the workers is free, as behind kvs.fcgi. */
enum { CLIENTS_MAX = 8, WORKERS = 4, CLIENTS = 2, EACH = 40, SLOW_MS = 10, WAY_US = 1000, ATTEMPTS = 20, ENDS = 8 };

struct rig {
    struct database d;
    struct commit *commit;
    char lock_path[340];
    int calls[2]; /* a pipe of clients that want to submit; NULL ends a worker */
    sem_t ended;  /* a client has had all its answers */
};

struct client {
    struct commit_job job; /* first, so that the job is the client */
    struct rig *rig;
    int left;
    int work_ms; /* that a job takes */
    bool failed;
};

/* What clients do: how many there are, with how many jobs each, and what a job takes. */
struct load {
    int clients, each, work_ms;
};

static void open_rig(struct rig *r)
{
    struct writelock *lock = NULL;

    database_open(&r->d);
    snprintf(r->lock_path, sizeof r->lock_path, "%s.lock", r->d.path);
    struct commit_options options = {.path = r->d.path, .busy_timeout = 60000, .wal_limit = 1 << 30};
    database_must(writelock_open(&lock, r->lock_path, NULL), "lock");
    database_must(commit_new(&r->commit, &options, lock, database_connect(&r->d, 0)), "commit");
    database_must(pipe(r->calls) ? ERR_INTERNAL : ERR_OK, "pipe");
    sem_init(&r->ended, 0, 0);
}

static void close_rig(struct rig *r)
{
    commit_free(r->commit);
    sem_destroy(&r->ended);
    close(r->calls[0]);
    close(r->calls[1]);
    database_close(&r->d);
}

static void call(const struct rig *r, struct client *client)
{
    database_must(write(r->calls[1], &client, sizeof client) == sizeof client ? ERR_OK : ERR_INTERNAL, "call");
}

static enum error_code count(struct commit_job *job, struct txn *t)
{
    const struct client *client = (struct client *)job;
    const int64_t until = clock_mono() + client->work_ms;

    while (clock_mono() < until)
        ;
    txn_next_fence(t);
    return ERR_OK;
}

static void answered(struct commit_job *job, enum error_code rc)
{
    struct client *client = (struct client *)job;
    client->failed |= rc != ERR_OK;
    call(client->rig, client);
}

static void *work(void *argument)
{
    struct rig *r = argument;
    struct client *client;

    while (read(r->calls[0], &client, sizeof client) == sizeof client && client) {
        usleep(WAY_US);
        if (client->left-- > 0)
            commit_submit(r->commit, &client->job);
        else
            sem_post(&r->ended);
    }
    return NULL;
}

/* How many commits it took. */
static int64_t commits_of(struct rig *r, const struct load *load, int *failed)
{
    const int64_t before = histogram_count(&commit_stats(r->commit)->jobs);
    struct client clients[CLIENTS_MAX];
    pthread_t threads[WORKERS];

    for (int i = 0; i < load->clients; i++) {
        clients[i] = (struct client){.job = {.apply = count, .done = answered},
                                     .rig = r,
                                     .left = load->each,
                                     .work_ms = load->work_ms};
        call(r, &clients[i]);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, r);
    for (int i = 0; i < load->clients; i++)
        while (sem_wait(&r->ended))
            ;
    for (int i = 0; i < WORKERS; i++)
        call(r, NULL);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < load->clients; i++)
        *failed += clients[i].failed;
    return histogram_count(&commit_stats(r->commit)->jobs) - before;
}

static const struct load two_clients = {.clients = CLIENTS, .each = EACH};

/* Where nobody waits, two clients take turns and never share a sync.  A busy machine may keep them from coming back in time. */
static void test_clients_share_syncs(void)
{
    struct rig r;
    int failed = 0;
    int64_t commits = 0;
    int runs = 0;

    open_rig(&r);
    atomic_store(&sync_ms, SLOW_MS);
    do {
        commits = commits_of(&r, &two_clients, &failed);
        runs++;
    } while (commits > CLIENTS * EACH * 3 / 4 && runs < ATTEMPTS);
    ok(commits <= CLIENTS * EACH * 3 / 4, "clients_of_a_slow_disk_share_its_syncs (%lld for %d)", (long long)commits,
       CLIENTS * EACH);
    is_int(failed, 0, "nobody_fails");
    is_int(database_int(&r.d, "SELECT fence FROM state"), runs * CLIENTS * EACH, "each_counts_once");
    atomic_store(&sync_ms, 0);
    close_rig(&r);
}

/* Slow jobs, of which the time for a commit is up after three: the others wait already, and nobody is waited for but at the end. */
static void test_full_commits_do_not_wait(void)
{
    static const struct load load = {.clients = CLIENTS_MAX, .each = 5, .work_ms = 12};
    struct rig r;
    int failed = 0;

    open_rig(&r);
    atomic_store(&sync_ms, SLOW_MS);
    const int64_t commits = commits_of(&r, &load, &failed);
    atomic_store(&sync_ms, 0);
    is_int(failed, 0, "nobody_fails_who_is_slow");
    const int64_t waits = histogram_count(&commit_stats(r.commit)->company);
    ok(waits < commits / 2, "a_commit_that_is_full_waits_for_nobody (%lld waits, %lld commits)", (long long)waits,
       (long long)commits);
    close_rig(&r);
}

/* The end may come in the middle of a wait.  What can fail here is that it never comes, or what a sanitizer says of it. */
static void test_the_end(void)
{
    int ended = 0;

    for (int i = 0; i < ENDS; i++) {
        struct rig r;
        int failed = 0;
        open_rig(&r);
        atomic_store(&sync_ms, 2);
        commits_of(&r, &two_clients, &failed);
        usleep((useconds_t)i * 200);
        close_rig(&r);
        ended += failed == 0;
    }
    atomic_store(&sync_ms, 0);
    is_int(ended, ENDS, "a_commit_can_be_ended_while_it_waits");
}

int main(void)
{
    test_who_is_waited_for();
    test_how_long();
    test_in_vain();
    test_transfer();
    test_clients_share_syncs();
    test_full_commits_do_not_wait();
    test_the_end();
    return done_testing();
}
