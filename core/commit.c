#include "commit.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "gather.h"
#include "job_queue.h"
#include "log.h"
#include "mem.h"

/* LEAD_MS: how long a thread that only wanted its own job done commits those of others too. */
enum { BATCH_MAX = 512, APPLY_BUDGET_US = 30000, LEAD_MS = 20 };

struct commit {
    struct commit_options options;
    struct writelock *lock;
    struct db *writer;     /* the leader's; NULL where it could not be reopened */
    struct txn txn;        /* the leader's */
    bool wrote;            /* the batch under way has committed something */
    struct gather gather;  /* the leader's */
    int64_t sync, written; /* of the batch under way: how long its sync took (us), and bytes of log */
    pthread_mutex_t mutex; /* guards what follows */
    struct job_queue queue;
    int wanted; /* jobs in the queue that are waited for; 0: nobody waits */
    pthread_cond_t arrived;
    bool leading;
    /* Leads where others have done so long enough; made when it is needed first. */
    pthread_t deputy;
    pthread_cond_t deputy_cond;
    bool has_deputy, deputy_leads, quit;
    struct commit_stats stats; /* guards itself */
};

/* It is waited for with a limit, on the clock that nobody sets. */
static void init_arrived(struct commit *c)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&c->arrived, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum error_code commit_new(struct commit **out, const struct commit_options *options, struct writelock *lock,
                           struct db *writer)
{
    struct commit *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return ERR_NO_MEMORY;
    c->options = *options;
    c->lock = lock;
    c->writer = writer;
    job_queue_init(&c->queue);
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->deputy_cond, NULL);
    init_arrived(c);
    *out = c;
    return ERR_OK;
}

static void dismiss_deputy(struct commit *c)
{
    pthread_mutex_lock(&c->mutex);
    bool there = c->has_deputy;
    c->quit = true;
    pthread_cond_signal(&c->deputy_cond);
    pthread_cond_signal(&c->arrived);
    pthread_mutex_unlock(&c->mutex);
    if (there)
        pthread_join(c->deputy, NULL);
}

void commit_free(struct commit *c)
{
    if (!c)
        return;
    dismiss_deputy(c);
    db_close(c->writer);
    writelock_close(c->lock);
    arena_free(&c->txn.arena);
    arena_free(&c->txn.scratch);
    pthread_cond_destroy(&c->deputy_cond);
    pthread_cond_destroy(&c->arrived);
    pthread_mutex_destroy(&c->mutex);
    mem_free(c);
}

void commit_hurry(struct commit *c, int64_t until)
{
    writelock_hurry(c->lock, until);
}

const struct commit_stats *commit_stats(const struct commit *c)
{
    return &c->stats;
}

static void measure(struct histogram *h, int64_t start)
{
    histogram_add(h, HISTOGRAM_TIME, clock_mono_us() - start);
}

/*
 * A connection whose commit failed in an unknown way is not trusted again.  It stays until the log is mended: it is the one that
 * knows of the doubt.
 */
static enum error_code reopen(struct commit *c)
{
    struct error err = ERROR_INIT;
    enum error_code rc = c->writer ? db_mend_log(c->writer) : ERR_OK;

    if (rc)
        return rc;
    db_close(c->writer);
    c->writer = NULL;
    rc = db_open(&c->writer, c->options.path, c->options.db_flags & ~(unsigned)DB_CREATE, &err);
    if (rc)
        log_line(LOG_ERROR, "%s", err.message);
    return rc;
}

static void fail_all(struct commit_job *jobs, enum error_code rc)
{
    for (; jobs; jobs = jobs->next)
        jobs->rc = rc;
}

static enum error_code begin(struct commit *c)
{
    enum error_code rc = ERR_OK;

    txn_forget(&c->txn);
    if (!c->writer || !db_is_idle(c->writer) || db_is_doubtful(c->writer))
        rc = reopen(c);
    if (!rc)
        rc = db_write_begin(c->writer);
    if (rc)
        return rc;
    rc = txn_load(&c->txn, c->writer);
    if (!rc && c->txn.commits < writelock_noted(c->lock, c->options.file)) {
        log_line(LOG_ERROR, "the database has lost commits: stop everything that uses it, and run kvs-maint check");
        rc = ERR_CORRUPT;
    }
    if (rc)
        db_rollback(c->writer);
    return rc;
}

/* Flushes and commits; where nothing was written there is nothing to sync. */
static enum error_code finish(struct commit *c)
{
    enum error_code rc = ERR_OK;

    if (!c->txn.wrote) {
        db_rollback(c->writer);
        return ERR_OK;
    }
    rc = txn_flush(&c->txn);
    if (rc) {
        db_rollback(c->writer);
    } else {
        int64_t start = clock_mono_us(), log = db_wal_bytes(c->writer);
        rc = db_commit(c->writer);
        c->sync = clock_mono_us() - start;
        c->written = db_wal_bytes(c->writer) - log;
        if (c->written < 0) /* another process has begun the log anew */
            c->written = 0;
        histogram_add(&c->stats.sync, HISTOGRAM_TIME, c->sync);
    }
    if (!rc)
        writelock_note(c->lock, c->options.file, c->txn.commits + 1);
    c->wrote |= rc == ERR_OK || rc == ERR_UNKNOWN_OUTCOME;
    return rc;
}

/* A failure of the store itself, as opposed to one of the request. */
static bool is_fault(enum error_code rc)
{
    return rc == ERR_INTERNAL || rc == ERR_CORRUPT || rc == ERR_NO_MEMORY || rc == ERR_FULL || rc == ERR_BUSY;
}

/* Applies one job; *dirty tells that it failed after it had written. */
static void apply(struct commit *c, struct commit_job *job, bool *dirty)
{
    int64_t before = db_total_changes(c->writer);

    txn_next_job(&c->txn);
    job->rc = job->apply(job, &c->txn);
    bool wrote = c->txn.touched || db_total_changes(c->writer) != before;
    if (job->rc == ERR_OK)
        c->txn.wrote |= wrote;
    *dirty = job->rc != ERR_OK && (wrote || is_fault(job->rc));
}

/*
 * All jobs in one transaction, without savepoints: most jobs look before they write, so that a failing one has changed
 * nothing.  Returns false, with everything rolled back, where one failed half-way.  *cut is where the time was up.
 */
static bool run_together(struct commit *c, struct commit_job *jobs, struct commit_job **cut)
{
    int64_t until = clock_mono_us() + APPLY_BUDGET_US;
    bool dirty = false;

    *cut = NULL;
    enum error_code rc = begin(c);
    if (rc) {
        fail_all(jobs, rc);
        return true;
    }
    for (struct commit_job *job = jobs; job; job = job->next) {
        apply(c, job, &dirty);
        if (dirty) {
            db_rollback(c->writer);
            return false;
        }
        if (job->next && clock_mono_us() > until) {
            *cut = job->next;
            job->next = NULL;
        }
    }
    rc = finish(c);
    if (rc == ERR_FULL && jobs->next)
        return false;
    for (struct commit_job *job = jobs; rc && job; job = job->next)
        if (!job->rc)
            job->rc = rc;
    if (rc == ERR_UNKNOWN_OUTCOME)
        reopen(c);
    return true;
}

/* One job in a transaction of its own, so that its failure is its own. */
static void run_alone(struct commit *c, struct commit_job *job)
{
    bool dirty;

    job->rc = begin(c);
    if (job->rc)
        return;
    apply(c, job, &dirty);
    if (job->rc) {
        db_rollback(c->writer);
        return;
    }
    job->rc = finish(c);
    if (job->rc == ERR_UNKNOWN_OUTCOME)
        reopen(c);
}

/* A job with savepoints around it, in the transaction under way; false where the transaction itself is lost. */
static bool run_guarded(struct commit *c, struct commit_job *job)
{
    bool dirty;

    if (db_savepoint(c->writer))
        return false;
    bool wrote = c->txn.wrote;
    apply(c, job, &dirty);
    enum error_code rc = job->rc ? ERR_OK : txn_flush(&c->txn);
    if (rc || is_fault(job->rc))
        return false;
    if (db_savepoint_end(c->writer, job->rc != ERR_OK))
        return false;
    if (!job->rc)
        return true;
    /* What the job changed in the cache is not in the database; read it anew. */
    txn_forget(&c->txn);
    c->txn.wrote = wrote;
    return txn_load(&c->txn, c->writer) == ERR_OK;
}

/* After a job failed half-way: once more, each behind a savepoint; if that fails too, each on its own. */
static void run_apart(struct commit *c, struct commit_job *jobs)
{
    bool whole = begin(c) == ERR_OK;

    for (struct commit_job *job = jobs; whole && job; job = job->next)
        whole = run_guarded(c, job);
    if (whole) {
        enum error_code rc = finish(c);
        if (rc != ERR_FULL) {
            for (struct commit_job *job = jobs; rc && job; job = job->next)
                if (!job->rc)
                    job->rc = rc;
            if (rc == ERR_UNKNOWN_OUTCOME)
                reopen(c);
            return;
        }
    } else if (c->writer) {
        db_rollback(c->writer);
    }
    for (struct commit_job *job = jobs; job; job = job->next)
        run_alone(c, job);
}

static void checkpoint_if_due(struct commit *c)
{
    int64_t left;

    if (!c->writer || db_wal_bytes(c->writer) < c->options.wal_limit)
        return;
    int64_t start = clock_mono_us();
    db_checkpoint(c->writer, c->options.wal_cut, &left);
    measure(&c->stats.checkpoint, start);
}

/* The jobs of a batch, or the one at its head that runs outside a transaction.  Returns those that were not reached. */
static struct commit_job *run_jobs(struct commit *c, struct commit_job *jobs)
{
    struct commit_job *cut = NULL;
    enum error_code rc = c->writer && !db_is_doubtful(c->writer) ? ERR_OK : reopen(c);
    if (rc) {
        fail_all(jobs, rc);
        return NULL;
    }
    if (jobs->outside) {
        cut = jobs->next;
        jobs->next = NULL;
        jobs->rc = jobs->outside(jobs, c->writer);
        return cut;
    }
    int64_t start = clock_mono_us();
    if (!run_together(c, jobs, &cut))
        run_apart(c, jobs);
    measure(&c->stats.commit, start);
    histogram_add(&c->stats.jobs, HISTOGRAM_COUNT, job_list_length(jobs));
    checkpoint_if_due(c);
    return cut;
}

/* Under the writer lock.  Returns the jobs that were not reached. */
static struct commit_job *run_locked(struct commit *c, struct commit_job *jobs)
{
    struct commit_job *rest = run_jobs(c, jobs);

    /* Before the lock goes to others, who do not know of it. */
    if (c->writer && db_is_doubtful(c->writer))
        reopen(c);
    return rest;
}

/* Leaves the oldest job and those behind it whose time is up as well; returns the others. */
static struct commit_job *split_late(const struct commit *c, struct commit_job *jobs)
{
    struct commit_job *last = jobs, *rest;

    for (int64_t now = clock_mono(); last->next && writelock_deadline(c->lock, last->next->deadline) <= now;)
        last = last->next;
    rest = last->next;
    last->next = NULL;
    return rest;
}

/* Commits a batch; returns the jobs of it that must be tried again. */
static struct commit_job *run_batch(struct commit *c, struct commit_job *jobs)
{
    int64_t start = clock_mono_us();
    enum error_code rc = writelock_take(c->lock, jobs->deadline);

    measure(&c->stats.lock, start);
    if (rc) {
        struct commit_job *rest = rc == ERR_BUSY ? split_late(c, jobs) : NULL;
        fail_all(jobs, rc);
        return rest;
    }
    c->wrote = false;
    struct commit_job *rest = run_locked(c, jobs);
    writelock_release(c->lock);
    if (c->wrote)
        writelock_signal(c->lock);
    if (c->wrote && c->options.on_commit)
        c->options.on_commit(c->options.context);
    return rest;
}

/* After a batch, of which some may not have been reached: then the next one takes no more either. */
static void take_stock(struct commit *c, const struct commit_job *jobs, struct commit_job *rest)
{
    const int done = job_list_length(jobs), most = rest ? done : BATCH_MAX;

    pthread_mutex_lock(&c->mutex);
    job_queue_put_back(&c->queue, rest);
    const int about = done + c->queue.length;
    gather_note(&c->gather, about < most ? about : most, c->sync, c->written, clock_mono_us());
    pthread_mutex_unlock(&c->mutex);
}

static void *be_deputy(void *context);

/* Leaves what is queued to the deputy; false where nothing is, or there is no deputy to be had. */
static bool hand_over(struct commit *c)
{
    pthread_mutex_lock(&c->mutex);
    if (c->queue.head && !c->has_deputy)
        c->has_deputy = pthread_create(&c->deputy, NULL, be_deputy, c) == 0;
    bool over = c->queue.head && c->has_deputy;
    if (over) {
        c->deputy_leads = true;
        pthread_cond_signal(&c->deputy_cond);
    }
    pthread_mutex_unlock(&c->mutex);
    return over;
}

/* Until those who were about a moment ago are there, for as long as that pays; with the mutex. */
static void wait_for_company(struct commit *c)
{
    if (c->queue.head && c->queue.head->outside)
        return;
    const int64_t until = gather_until(&c->gather, c->queue.length);
    if (!until)
        return;
    const struct timespec t = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};
    const int64_t start = clock_mono_us();
    c->wanted = c->gather.about;
    while (c->queue.length < c->wanted && !c->quit && !pthread_cond_timedwait(&c->arrived, &c->mutex, &t))
        ;
    c->wanted = 0;
    gather_waited(&c->gather, c->queue.length);
    measure(&c->stats.company, start);
}

/* Commits until the queue is empty or, but for the deputy, somebody else goes on with it. */
static void lead(struct commit *c, bool deputy)
{
    int64_t until = deputy ? INT64_MAX : 0; /* counted from the first commit, which is the leader's own */

    if (!deputy && c->options.on_lead)
        c->options.on_lead(c->options.context);
    for (;;) {
        pthread_mutex_lock(&c->mutex);
        if (deputy)
            wait_for_company(c);
        struct commit_job *jobs = job_queue_take(&c->queue, BATCH_MAX);
        if (!jobs)
            c->leading = false;
        pthread_mutex_unlock(&c->mutex);
        if (!jobs)
            return;
        c->sync = c->written = 0;
        take_stock(c, jobs, run_batch(c, jobs));
        for (struct commit_job *job = jobs, *next; job; job = next) {
            next = job->next;
            job->done(job, job->rc);
        }
        if (!until)
            until = clock_mono() + LEAD_MS;
        else if (clock_mono() >= until && hand_over(c))
            return;
    }
}

static void *be_deputy(void *context)
{
    struct commit *c = context;

    pthread_mutex_lock(&c->mutex);
    while (!c->quit) {
        if (!c->deputy_leads) {
            pthread_cond_wait(&c->deputy_cond, &c->mutex);
            continue;
        }
        c->deputy_leads = false;
        pthread_mutex_unlock(&c->mutex);
        lead(c, true);
        pthread_mutex_lock(&c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

void commit_submit(struct commit *c, struct commit_job *job)
{
    job->rc = ERR_OK;
    job->deadline = clock_mono() + c->options.busy_timeout;
    pthread_mutex_lock(&c->mutex);
    job_queue_push(&c->queue, job);
    if (c->wanted && c->queue.length >= c->wanted)
        pthread_cond_signal(&c->arrived);
    bool leads = !c->leading;
    c->leading = true;
    pthread_mutex_unlock(&c->mutex);
    if (leads)
        lead(c, false);
}

struct db *commit_borrow(struct commit *c)
{
    pthread_mutex_lock(&c->mutex);
    struct db *db = c->leading || !c->writer || db_is_doubtful(c->writer) ? NULL : c->writer;
    if (db)
        c->writer = NULL;
    pthread_mutex_unlock(&c->mutex);
    return db;
}

void commit_return(struct commit *c, struct db *db)
{
    pthread_mutex_lock(&c->mutex);
    bool back = !c->leading && !c->writer;
    if (back)
        c->writer = db;
    pthread_mutex_unlock(&c->mutex);
    if (!back)
        db_close(db);
}

struct waiter {
    struct commit_job job; /* first, so that the job is the waiter */
    struct commit_job *inner;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool over;
};

static enum error_code waiter_apply(struct commit_job *job, struct txn *txn)
{
    struct waiter *w = (struct waiter *)job;
    return w->inner->apply(w->inner, txn);
}

static enum error_code waiter_outside(struct commit_job *job, struct db *db)
{
    struct waiter *w = (struct waiter *)job;
    return w->inner->outside(w->inner, db);
}

static void waiter_done(struct commit_job *job, enum error_code rc)
{
    struct waiter *w = (struct waiter *)job;
    pthread_mutex_lock(&w->mutex);
    w->inner->rc = rc;
    w->over = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

enum error_code commit_wait(struct commit *c, struct commit_job *job)
{
    struct waiter w = {.job = {.apply = waiter_apply, .done = waiter_done}, .inner = job};

    if (job->outside)
        w.job.outside = waiter_outside;
    pthread_mutex_init(&w.mutex, NULL);
    pthread_cond_init(&w.cond, NULL);
    commit_submit(c, &w.job);
    pthread_mutex_lock(&w.mutex);
    while (!w.over)
        pthread_cond_wait(&w.cond, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.mutex);
    return job->rc;
}
