/*
 * The queue of a group commit: first come, first served.  It links the jobs themselves and owns none; no lock of its own.
 */
#ifndef KVS_JOB_QUEUE_H
#define KVS_JOB_QUEUE_H

#include "commit.h"

/* head is NULL where it is empty; job_queue_init before anything else. */
struct job_queue {
    struct commit_job *head, **tail;
    int length;
};

void job_queue_init(struct job_queue *q);

void job_queue_push(struct job_queue *q, struct commit_job *job);

/*
 * Takes from the head the jobs that can share a transaction, at most that many, or one that runs outside of any: a list that
 * ends with NULL.  NULL where the queue is empty.
 */
struct commit_job *job_queue_take(struct job_queue *q, int most);

/* Puts a list (or NULL) back to the head. */
void job_queue_put_back(struct job_queue *q, struct commit_job *jobs);

/* The length of a list. */
int job_list_length(const struct commit_job *jobs);

#endif
