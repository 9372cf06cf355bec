#include "job_queue.h"

#include <stddef.h>

void job_queue_init(struct job_queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
    q->length = 0;
}

void job_queue_push(struct job_queue *q, struct commit_job *job)
{
    job->next = NULL;
    *q->tail = job;
    q->tail = &job->next;
    q->length++;
}

struct commit_job *job_queue_take(struct job_queue *q, int most)
{
    struct commit_job *jobs = q->head, *last = jobs;
    int n = 1;

    if (!jobs)
        return NULL;
    for (; !last->outside && last->next && !last->next->outside && n < most; n++)
        last = last->next;
    q->head = last->next;
    if (!q->head)
        q->tail = &q->head;
    q->length -= n;
    last->next = NULL;
    return jobs;
}

void job_queue_put_back(struct job_queue *q, struct commit_job *jobs)
{
    struct commit_job *last = jobs;

    if (!jobs)
        return;
    q->length += job_list_length(jobs);
    while (last->next)
        last = last->next;
    last->next = q->head;
    if (!q->head)
        q->tail = &last->next;
    q->head = jobs;
}

int job_list_length(const struct commit_job *jobs)
{
    int n = 0;

    for (; jobs; jobs = jobs->next)
        n++;
    return n;
}
