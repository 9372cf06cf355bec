/*
 * What is right and wrong with a set-up, in words: one table of checks, for GET /health, for kvs.cgi --check and for the log
 * of a program that cannot start.  Its findings name paths and users; they are for the owner alone.
 */
#ifndef KVS_DIAGNOSE_H
#define KVS_DIAGNOSE_H

#include <stddef.h>

#include "config.h"
#include "json_out.h"
#include "kvs.h"
#include "request.h"

struct store;

enum { DIAGNOSE_CHECKS_MAX = 16, DIAGNOSE_TEXT = 640 };

enum diagnose_verdict {
    DIAGNOSE_GOOD,
    DIAGNOSE_UNKNOWN, /* it cannot be told from here */
    DIAGNOSE_WARNING, /* it works, but not as it should */
    DIAGNOSE_WRONG
};

struct diagnose_finding {
    const char *name; /* of the check */
    enum diagnose_verdict verdict;
    char message[DIAGNOSE_TEXT]; /* what is, and where that is wrong, what would be right; UTF-8 */
};

struct diagnose_report {
    struct diagnose_finding findings[DIAGNOSE_CHECKS_MAX];
    size_t count;
};

/* What is judged. */
struct diagnose {
    const struct config *config; /* as far as it could be read */
    const char *config_problem;  /* why it cannot be used; NULL: it can */
    const char *argv0;           /* what the program was started as; NULL: not known */
    enum kvs_mode mode;
    const struct kvs_request *request; /* NULL: there is none, as in a shell */
    struct store *store;               /* the open database; NULL: it is not open */
    const char *store_problem;         /* why it could not be opened; NULL with store NULL: it is to be tried */
};

/* Makes all checks, in the order of the table. */
void diagnose_run(const struct diagnose *subject, struct diagnose_report *report);

/* The first finding of this verdict; NULL where there is none. */
const struct diagnose_finding *diagnose_first(const struct diagnose_report *report, enum diagnose_verdict verdict);

/* "good", "unknown", "warning", "wrong". */
const char *diagnose_verdict_name(enum diagnose_verdict verdict);

/* The findings as an array of {"name","verdict","message"}. */
void diagnose_json(const struct diagnose_report *report, struct json_out *out);

/* What is wrong, a line each, into the log. */
void diagnose_log(const struct diagnose_report *report);

#endif
