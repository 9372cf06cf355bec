/*
 * Group commit: what shares a transaction, what a failing job leaves, who leads and for how long.
 */
#include "commit.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "database.h"
#include "writelock.h"

struct rig {
    struct database d;
    struct commit *commit;
    char lock_path[340];
    atomic_int commits; /* as on_commit was told */
};

enum behaviour { WRITES, READS, REFUSES, FAILS, FAULTS, FILLS, SPINS };

struct job {
    struct commit_job job; /* first, so that the commit's is ours */
    struct rig *rig;
    enum behaviour behaviour;
    int number;
    int applied;
    atomic_int done;
    enum error_code rc;
    int commits_at_done;
};

static void on_commit(void *context)
{
    struct rig *r = context;
    atomic_fetch_add(&r->commits, 1);
}

static void open_rig(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct writelock *lock = NULL;

    database_open(&r->d);
    atomic_store(&r->commits, 0);
    snprintf(r->lock_path, sizeof r->lock_path, "%s.lock", r->d.path);
    struct commit_options options = {.path = r->d.path,
                                     .db_flags = DB_RELAXED,
                                     .busy_timeout = 10000,
                                     .wal_limit = 1 << 30,
                                     .on_commit = on_commit,
                                     .context = r};
    database_must(writelock_open(&lock, r->lock_path, &err), err.message);
    database_must(commit_new(&r->commit, &options, lock, database_connect(&r->d, DB_RELAXED)), "commit");
}

static void close_rig(struct rig *r)
{
    commit_free(r->commit);
    database_close(&r->d);
}

static enum error_code put(struct txn *t, int number)
{
    char name[16];
    snprintf(name, sizeof name, "n%03d", number);
    return db_run(t->db, SQL_LOCK_PUT, DB_TEXT(name, 4), DB_TEXT("t", 1), DB_NULL, DB_INT(txn_next_fence(t)),
                  DB_INT(number));
}

static enum error_code fill(struct txn *t)
{
    static char large[2 << 20];
    return db_run(t->db, SQL_PAYLOAD_INSERT, DB_INT(1), DB_INT(1), DB_BLOB(large, sizeof large));
}

static enum error_code apply(struct commit_job *job, struct txn *t)
{
    struct job *j = (struct job *)job;

    j->applied++;
    if (j->behaviour == READS)
        return ERR_OK;
    if (j->behaviour == REFUSES)
        return ERR_CONFLICT;
    for (int64_t until = clock_mono() + 12; j->behaviour == SPINS && clock_mono() < until;)
        ;
    enum error_code rc = put(t, j->number);
    if (!rc && j->behaviour == FILLS)
        rc = fill(t);
    return rc ? rc : j->behaviour == FAILS ? ERR_NOT_A_NUMBER : j->behaviour == FAULTS ? ERR_NO_MEMORY : ERR_OK;
}

static void done(struct commit_job *job, enum error_code rc)
{
    struct job *j = (struct job *)job;
    j->rc = rc;
    j->commits_at_done = atomic_load(&j->rig->commits);
    atomic_fetch_add(&j->done, 1);
}

static void init(struct job *j, struct rig *r, int number, enum behaviour behaviour)
{
    memset(j, 0, sizeof *j);
    j->job = (struct commit_job){.apply = apply, .done = done};
    j->rig = r;
    j->number = number;
    j->behaviour = behaviour;
}

static void *submit(void *argument)
{
    struct job *j = argument;
    commit_submit(j->rig->commit, &j->job);
    return NULL;
}

static void await(struct job *jobs, int count)
{
    for (int i = 0; i < count; i++)
        for (int64_t until = clock_mono() + 20000; !atomic_load(&jobs[i].done) && clock_mono() < until;)
            usleep(1000);
}

/* The first job alone, the others together in the commits that follow. */
static void run_together(struct rig *r, struct job *jobs, int count)
{
    struct writelock *lock = NULL;
    pthread_t leader;

    database_must(writelock_open(&lock, r->lock_path, NULL), "lock");
    database_must(writelock_take(lock, clock_mono() + 5000), "lock");
    pthread_create(&leader, NULL, submit, &jobs[0]);
    usleep(30000);
    for (int i = 1; i < count; i++)
        commit_submit(r->commit, &jobs[i].job);
    writelock_release(lock);
    writelock_close(lock);
    pthread_join(leader, NULL);
    await(jobs, count);
}

static long long rows(struct rig *r)
{
    return database_int(&r->d, "SELECT count(*) FROM lock");
}

static void test_many_share_one_commit(void)
{
    enum { COUNT = 41 };
    struct rig r;
    struct job jobs[COUNT];
    const struct commit_stats *stats;
    int good = 0, told = 0;

    open_rig(&r);
    for (int i = 0; i < COUNT; i++)
        init(&jobs[i], &r, i, WRITES);
    run_together(&r, jobs, COUNT);
    for (int i = 0; i < COUNT; i++) {
        good += jobs[i].rc == ERR_OK && jobs[i].done == 1 && jobs[i].applied == 1;
        told += jobs[i].commits_at_done == (i == 0 ? 1 : 2);
    }
    is_int(good, COUNT, "each_is_applied_and_done_once");
    is_int(told, COUNT, "after_its_commit_was_announced");
    is_int(rows(&r), COUNT, "all_are_there");
    stats = commit_stats(r.commit);
    is_int(histogram_count(&stats->jobs), 2, "two_commits");
    is_int(histogram_sum(&stats->jobs), COUNT, "for_all_of_them");
    is_int(database_int(&r.d, "SELECT fence FROM state"), COUNT, "counters_go_on_through_it");
    close_rig(&r);
}

static void test_nothing_written_is_no_commit(void)
{
    struct rig r;
    struct job job;

    open_rig(&r);
    init(&job, &r, 1, READS);
    submit(&job);
    is_int(job.rc, ERR_OK, "a_job_that_only_looked");
    is_int(atomic_load(&r.commits), 0, "is_news_to_nobody");
    init(&job, &r, 1, FAILS);
    submit(&job);
    is_int(job.rc, ERR_NOT_A_NUMBER, "one_that_failed");
    is_int(atomic_load(&r.commits), 0, "neither");
    is_int(rows(&r), 0, "nothing_is_there");
    is_int(database_int(&r.d, "SELECT fence FROM state"), 0, "not_even_a_number_taken");
    close_rig(&r);
}

/* Whatever one of them does, the others succeed and it leaves nothing. */
static void test_failures_are_isolated(enum behaviour bad, enum error_code want, const char *name)
{
    enum { COUNT = 9 };
    struct rig r;
    struct job jobs[COUNT];

    open_rig(&r);
    for (int i = 0; i < COUNT; i++)
        init(&jobs[i], &r, i, i == 3 || i == 7 ? bad : i == 5 ? REFUSES : WRITES);
    run_together(&r, jobs, COUNT);
    for (int i = 0; i < COUNT; i++) {
        enum error_code expected = jobs[i].behaviour == bad ? want : i == 5 ? ERR_CONFLICT : ERR_OK;
        is_int(jobs[i].rc, expected, "%s_job_%d", name, i);
        is_int(jobs[i].done, 1, "%s_job_%d_is_done_once", name, i);
    }
    is_int(rows(&r), COUNT - 3, "%s_leaves_nothing", name);
    is_int(database_int(&r.d, "SELECT count(*) FROM lock WHERE expires IN (3,5,7)"), 0, "%s_no_row_of_the_failed",
           name);
    is_int(database_int(&r.d, "SELECT max(fence)-min(fence) FROM lock"), COUNT - 4, "%s_and_no_gap", name);
    close_rig(&r);
}

static void test_full_is_for_whom_it_concerns(void)
{
    enum { COUNT = 6 };
    struct rig r;
    struct job jobs[COUNT];
    char text[64];
    struct writelock *lock = NULL;

    database_open(&r.d);
    atomic_store(&r.commits, 0);
    snprintf(r.lock_path, sizeof r.lock_path, "%s.lock", r.d.path);
    struct commit_options options = {.path = r.d.path,
                                     .db_flags = DB_RELAXED,
                                     .busy_timeout = 10000,
                                     .wal_limit = 1 << 30};
    database_must(writelock_open(&lock, r.lock_path, NULL), "lock");
    struct db *writer = database_connect(&r.d, DB_RELAXED);
    snprintf(text, sizeof text, "PRAGMA max_page_count=%lld", database_int(&r.d, "PRAGMA page_count") + 50);
    database_must(db_script(writer, text, NULL), "limit");
    database_must(commit_new(&r.commit, &options, lock, writer), "commit");
    for (int i = 0; i < COUNT; i++)
        init(&jobs[i], &r, i, i == 2 ? FILLS : WRITES);
    run_together(&r, jobs, COUNT);
    for (int i = 0; i < COUNT; i++)
        is_int(jobs[i].rc, i == 2 ? ERR_FULL : ERR_OK, "full_job_%d", i);
    is_int(rows(&r), COUNT - 1, "the_others_are_there");
    is_int(database_int(&r.d, "SELECT count(*) FROM payload"), 0, "the_large_one_is_not");
    close_rig(&r);
}

/* Other processes get their turn between. */
static void test_long_batches_are_cut(void)
{
    enum { COUNT = 13 };
    struct rig r;
    struct job jobs[COUNT];
    const struct commit_stats *stats;

    open_rig(&r);
    for (int i = 0; i < COUNT; i++)
        init(&jobs[i], &r, i, SPINS);
    run_together(&r, jobs, COUNT);
    stats = commit_stats(r.commit);
    is_int(rows(&r), COUNT, "all_slow_jobs_are_done");
    int64_t commits = histogram_count(&stats->jobs);
    ok(commits >= 4 && commits < COUNT, "in_several_commits (%lld)", (long long)commits);
    for (int i = 1; i < COUNT; i++)
        if (jobs[i].commits_at_done < jobs[i - 1].commits_at_done || jobs[i].applied != 1)
            ok(false, "job_%d_is_in_its_place_and_applied_once", i);
    close_rig(&r);
}

static enum error_code run_outside(struct commit_job *job, struct db *db)
{
    struct job *j = (struct job *)job;
    int64_t left;

    j->applied++;
    return db_is_idle(db) ? db_checkpoint(db, true, &left) : ERR_INTERNAL;
}

static void test_outside_of_any_transaction(void)
{
    enum { COUNT = 7 };
    struct rig r;
    struct job jobs[COUNT];
    const struct commit_stats *stats;

    open_rig(&r);
    for (int i = 0; i < COUNT; i++)
        init(&jobs[i], &r, i, WRITES);
    jobs[3].job.outside = run_outside;
    run_together(&r, jobs, COUNT);
    for (int i = 0; i < COUNT; i++)
        is_int(jobs[i].rc, ERR_OK, "outside_job_%d", i);
    is_int(jobs[3].applied, 1, "the_checkpoint_ran_once");
    stats = commit_stats(r.commit);
    is_int(histogram_count(&stats->jobs), 3, "between_the_commits_of_the_others");
    is_int(database_int(&r.d, "SELECT max(expires) FROM lock WHERE fence<=3"), 2, "in_the_order_of_submission");
    close_rig(&r);
}

/* A job that is submitted anew as soon as it is done, until it is told otherwise: a minute at most. */
static atomic_llong chain_until;
enum { CHAIN_LEAST = 10 };

static void done_again(struct commit_job *job, enum error_code rc)
{
    struct job *j = (struct job *)job;
    if (!rc && (clock_mono() < chain_until || j->applied <= CHAIN_LEAST))
        commit_submit(j->rig->commit, job);
    else
        done(job, rc);
}

static void test_nobody_leads_for_ever(void)
{
    struct rig r;
    struct job job;

    open_rig(&r);
    init(&job, &r, 1, WRITES);
    job.job.done = done_again;
    chain_until = clock_mono() + 60000;
    submit(&job);
    ok(clock_mono() < chain_until, "whoever_submitted_gets_away_from_others_work");
    chain_until = 0;
    await(&job, 1);
    is_int(job.rc, ERR_OK, "which_goes_on_without_him");
    ok(job.applied > CHAIN_LEAST, "(%d commits)", job.applied);
    init(&job, &r, 2, WRITES);
    submit(&job);
    await(&job, 1);
    is_int(rows(&r), 2, "and_he_can_lead_again");
    close_rig(&r);
}

enum { HANDS = 8, EACH = 60 };

static enum error_code apply_count(struct commit_job *job, struct txn *t)
{
    (void)job;
    txn_next_fence(t);
    return ERR_OK;
}

static void *wait_for_each(void *argument)
{
    struct rig *r = argument;
    intptr_t failed = 0;

    for (int i = 0; i < EACH; i++) {
        struct commit_job job = {.apply = apply_count};
        failed += commit_wait(r->commit, &job) != ERR_OK;
    }
    return (void *)failed;
}

static void test_waiting_in_many_threads(void)
{
    struct rig r;
    pthread_t threads[HANDS];
    const struct commit_stats *stats;
    intptr_t failed = 0;

    open_rig(&r);
    for (int i = 0; i < HANDS; i++)
        pthread_create(&threads[i], NULL, wait_for_each, &r);
    for (int i = 0; i < HANDS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed += (intptr_t)result;
    }
    is_int(failed, 0, "nobody_fails");
    is_int(database_int(&r.d, "SELECT fence FROM state"), HANDS * EACH, "each_counts_once");
    stats = commit_stats(r.commit);
    is_int(histogram_sum(&stats->jobs), HANDS * EACH, "all_are_counted");
    int64_t commits = histogram_count(&stats->jobs);
    ok(commits <= HANDS * EACH, "in_%lld_commits", (long long)commits);
    is_int(histogram_count(&stats->sync), commits, "each_with_one_sync");
    is_int(histogram_count(&stats->commit), commits, "and_one_time");
    is_int(histogram_count(&stats->lock), commits, "and_one_wait");
    ok(histogram_sum(&stats->sync) <= histogram_sum(&stats->commit), "a_sync_is_part_of_its_commit");
    close_rig(&r);
}

static void test_log_is_copied_when_long(void)
{
    struct rig r;
    struct job job;
    struct stat log = {.st_size = 0};
    char log_path[PATH_MAX];
    struct writelock *lock = NULL;

    database_open(&r.d);
    atomic_store(&r.commits, 0);
    snprintf(r.lock_path, sizeof r.lock_path, "%s.lock", r.d.path);
    struct commit_options options = {.path = r.d.path,
                                     .db_flags = DB_RELAXED,
                                     .busy_timeout = 10000,
                                     .wal_limit = 100000};
    database_must(writelock_open(&lock, r.lock_path, NULL), "lock");
    database_must(commit_new(&r.commit, &options, lock, database_connect(&r.d, DB_RELAXED)), "commit");
    for (int i = 0; i < 100; i++) {
        init(&job, &r, i, WRITES);
        submit(&job);
    }
    int64_t checkpoints = histogram_count(&commit_stats(r.commit)->checkpoint);
    ok(checkpoints > 2 && checkpoints < 50, "%lld_checkpoints_in_100_commits", (long long)checkpoints);
    snprintf(log_path, sizeof log_path, "%s-wal", r.d.path);
    ok(stat(log_path, &log) == 0 && log.st_size < 200000, "keep_the_log_short (%lld)", (long long)log.st_size);
    close_rig(&r);
}

int main(void)
{
    test_many_share_one_commit();
    test_nothing_written_is_no_commit();
    test_failures_are_isolated(FAILS, ERR_NOT_A_NUMBER, "refused_late");
    test_failures_are_isolated(FAULTS, ERR_NO_MEMORY, "fault");
    test_full_is_for_whom_it_concerns();
    test_long_batches_are_cut();
    test_outside_of_any_transaction();
    test_nobody_leads_for_ever();
    test_waiting_in_many_threads();
    test_log_is_copied_when_long();
    return done_testing();
}
