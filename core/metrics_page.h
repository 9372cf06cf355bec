/*
 * The page of GET /metrics: samples in the text format of Prometheus, put in any order, printed with those of one series
 * together, as the format wants it.
 */
#ifndef KVS_METRICS_PAGE_H
#define KVS_METRICS_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "histogram.h"

/* Whose a series is: this process's, with a label that tells it from the others', or the same for all of them. */
enum series_owner { SERIES_PROCESS, SERIES_SHARED };

/* What is told: id, name (behind kvs_), type, owner, help. */
#define SERIES_MAP(X)                                                                                                  \
    X(SERIES_INFO, "info", "gauge", SERIES_PROCESS, "Program version and mode; always 1")                              \
    X(SERIES_UPTIME, "uptime_seconds", "gauge", SERIES_PROCESS, "Time since the process opened the database")          \
    X(SERIES_REQUESTS, "requests_total", "counter", SERIES_PROCESS, "Requests answered, streams when they begin")      \
    X(SERIES_REQUEST_TIME, "request_seconds", "histogram", SERIES_PROCESS,                                             \
      "Time from request to answer, waiting included")                                                                 \
    X(SERIES_WAITING, "waiting", "gauge", SERIES_PROCESS, "Requests that wait: long polls, watches, listeners")        \
    X(SERIES_JOBS, "commit_jobs", "histogram", SERIES_PROCESS, "Writes that shared a transaction")                     \
    X(SERIES_COMMIT_TIME, "commit_seconds", "histogram", SERIES_PROCESS, "Time of a transaction, its sync included")   \
    X(SERIES_SYNC_TIME, "commit_sync_seconds", "histogram", SERIES_PROCESS,                                            \
      "Time to write a transaction to the log and sync it")                                                            \
    X(SERIES_COMPANY_TIME, "commit_company_seconds", "histogram", SERIES_PROCESS,                                      \
      "Wait for writes that share the sync")                                                                           \
    X(SERIES_LOCK_TIME, "lock_wait_seconds", "histogram", SERIES_PROCESS,                                              \
      "Time a transaction waited for other processes to write")                                                        \
    X(SERIES_CHECKPOINT_TIME, "checkpoint_seconds", "histogram", SERIES_PROCESS, "Time to write the log back")         \
    X(SERIES_WAL, "wal_bytes", "gauge", SERIES_SHARED, "Size of the log, a file that is written over, not cut")        \
    X(SERIES_SIZE, "database_bytes", "gauge", SERIES_SHARED, "Size of the database file, without its log")             \
    X(SERIES_SPARE, "database_free_bytes", "gauge", SERIES_SHARED, "What is free in it")                               \
    X(SERIES_KEYS, "bucket_keys", "gauge", SERIES_SHARED, "Live keys of a bucket")                                     \
    X(SERIES_VALUES, "bucket_values", "gauge", SERIES_SHARED, "Revisions that a bucket holds, markers included")       \
    X(SERIES_BYTES, "bucket_bytes", "gauge", SERIES_SHARED, "Bytes of keys and values that a bucket holds")            \
    X(SERIES_REVISION, "bucket_revision", "gauge", SERIES_SHARED, "A bucket's revision")                               \
    X(SERIES_MESSAGES, "topic_messages", "gauge", SERIES_SHARED, "Messages of a topic by state")                       \
    X(SERIES_OLDEST, "topic_oldest_ready_seconds", "gauge", SERIES_SHARED,                                             \
      "How long a topic's oldest ready message has waited")                                                            \
    X(SERIES_CUT, "topics_cut", "gauge", SERIES_SHARED, "1 where there are more topics than are told of")

enum series_id {
#define SERIES_ENUM(id, name, type, owner, help) id,
    SERIES_MAP(SERIES_ENUM)
#undef SERIES_ENUM
        SERIES_COUNT
};

struct metrics_page {
    char process[24]; /* what tells this process from others */
    struct buf lines[SERIES_COUNT];
};

/* One label of a sample; the value is not copied. */
struct metrics_label {
    const char *name, *value;
    size_t len;
};

void metrics_page_init(struct metrics_page *page);

void metrics_page_int(struct metrics_page *page, enum series_id id, const struct metrics_label *labels, size_t count,
                      int64_t n);
void metrics_page_seconds(struct metrics_page *page, enum series_id id, const struct metrics_label *labels,
                          size_t count, int64_t us);
/* All samples of a histogram; times are told in seconds. */
void metrics_page_histogram(struct metrics_page *page, enum series_id id, const struct metrics_label *labels,
                            size_t count, const struct histogram *h, enum histogram_kind kind);

/* Appends the page to out and frees it.  Where memory ran out, out is not ok afterwards. */
void metrics_page_print(struct metrics_page *page, struct buf *out);

#endif
