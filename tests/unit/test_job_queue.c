/* The queue of a group commit: its order, what is taken at once, and what is put back. */
#include "job_queue.h"

#include "tap.h"

enum { JOBS = 6 };

static struct commit_job jobs[JOBS];

static enum error_code outside(struct commit_job *job, struct db *db)
{
    (void)job;
    (void)db;
    return ERR_OK;
}

/* A list as the numbers of its jobs. */
static const char *list(const struct commit_job *job)
{
    static char text[JOBS + 1];
    size_t len = 0;

    for (; job && len < JOBS; job = job->next)
        text[len++] = (char)('0' + (job - jobs));
    text[len] = '\0';
    return text;
}

static void fill(struct job_queue *q)
{
    job_queue_init(q);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct commit_job){.next = &jobs[0]}; /* whatever was there */
        job_queue_push(q, &jobs[i]);
    }
}

static void test_taking(void)
{
    struct job_queue q;

    job_queue_init(&q);
    ok(!job_queue_take(&q, 10) && q.length == 0, "an_empty_queue_gives_nothing");
    job_queue_put_back(&q, NULL);
    ok(!q.head, "and_stays_empty");
    fill(&q);
    is_int(q.length, JOBS, "all_are_counted");
    is_str(list(job_queue_take(&q, 4)), "0123", "the_first_come_first");
    is_int(q.length, 2, "two_are_left");
    is_str(list(job_queue_take(&q, 4)), "45", "and_come_next");
    ok(!q.head && q.length == 0, "then_it_is_empty");
    job_queue_push(&q, &jobs[2]);
    is_str(list(job_queue_take(&q, 1)), "2", "and_can_be_used_again");
}

static void test_outside_jobs_come_alone(void)
{
    struct job_queue q;

    fill(&q);
    jobs[2].outside = outside;
    jobs[3].outside = outside;
    is_str(list(job_queue_take(&q, JOBS)), "01", "up_to_one_that_runs_outside");
    is_str(list(job_queue_take(&q, JOBS)), "2", "which_comes_alone");
    is_str(list(job_queue_take(&q, JOBS)), "3", "as_does_the_next");
    is_str(list(job_queue_take(&q, JOBS)), "45", "and_those_behind_together");
    is_int(q.length, 0, "none_is_left");
}

static void test_putting_back(void)
{
    struct job_queue q;

    fill(&q);
    struct commit_job *taken = job_queue_take(&q, 3);
    is_int(job_list_length(taken), 3, "a_list_has_a_length");
    job_queue_put_back(&q, taken->next);
    is_int(q.length, 5, "what_is_put_back_is_counted");
    is_str(list(job_queue_take(&q, 4)), "1234", "and_comes_first");
    taken = job_queue_take(&q, 4);
    job_queue_put_back(&q, taken);
    job_queue_push(&q, &jobs[0]);
    is_str(list(job_queue_take(&q, 4)), "50", "into_an_empty_queue_too");
    is_int(job_list_length(NULL), 0, "no_list_is_of_no_length");
}

int main(void)
{
    test_taking();
    test_outside_jobs_come_alone();
    test_putting_back();
    return done_testing();
}
