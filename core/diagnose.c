#include "diagnose.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnose_check.h"
#include "log.h"
#include "utf8.h"

/*
 * `place`: it is about the place of the database.  Where one of these is wrong, those that come later cannot be judged.
 */
static const struct check {
    const char *name;
    diagnose_check *check;
    bool place;
} table[] = {
    {"user", diagnose_user, false},
    {"config", diagnose_config, true},
    {"secrets", diagnose_secrets, false},
    {"token", diagnose_token, false},
    {"authorization", diagnose_authorization, false},
    {"directory", diagnose_directory, true},
    {"file_system", diagnose_file_system, true},
    {"document_root", diagnose_root, true},
    {"database", diagnose_database, true},
    {"space", diagnose_space, true},
    {"engine", diagnose_engine, true},
    {"clock", diagnose_clock, true},
    {"memory", diagnose_memory, false},
    {"limits", diagnose_limits, false},
};

enum { CHECKS = sizeof table / sizeof *table };

_Static_assert((int)CHECKS <= (int)DIAGNOSE_CHECKS_MAX, "a report has room for all");

void diagnose_say(struct diagnose_finding *finding, enum diagnose_verdict verdict, const char *fmt, ...)
{
    va_list ap;

    finding->verdict = verdict;
    va_start(ap, fmt);
    vsnprintf(finding->message, sizeof finding->message, fmt, ap);
    va_end(ap);
    utf8_clean(finding->message, strlen(finding->message)); /* paths may be anything, and are cut anywhere */
}

void diagnose_run(const struct diagnose *subject, struct diagnose_report *report)
{
    const char *broken = NULL; /* the first of those about the place that is wrong */

    report->count = CHECKS;
    for (size_t i = 0; i < CHECKS; i++) {
        struct diagnose_finding *f = &report->findings[i];
        f->name = table[i].name;
        if (table[i].place && broken)
            diagnose_say(f, DIAGNOSE_UNKNOWN, "not judged before %s is right", broken);
        else
            table[i].check(subject, f);
        if (table[i].place && !broken && f->verdict == DIAGNOSE_WRONG)
            broken = f->name;
    }
}

const struct diagnose_finding *diagnose_first(const struct diagnose_report *report, enum diagnose_verdict verdict)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->findings[i].verdict == verdict)
            return &report->findings[i];
    return NULL;
}

const char *diagnose_verdict_name(enum diagnose_verdict verdict)
{
    static const char *const names[] = {[DIAGNOSE_GOOD] = "good",
                                        [DIAGNOSE_UNKNOWN] = "unknown",
                                        [DIAGNOSE_WARNING] = "warning",
                                        [DIAGNOSE_WRONG] = "wrong"};
    return names[verdict];
}

void diagnose_json(const struct diagnose_report *report, struct json_out *out)
{
    json_out_array(out);
    for (size_t i = 0; i < report->count; i++) {
        const struct diagnose_finding *f = &report->findings[i];
        json_out_object(out);
        json_out_name(out, "name");
        json_out_cstr(out, f->name);
        json_out_name(out, "verdict");
        json_out_cstr(out, diagnose_verdict_name(f->verdict));
        json_out_name(out, "message");
        json_out_cstr(out, f->message);
        json_out_end(out);
    }
    json_out_end(out);
}

void diagnose_log(const struct diagnose_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->findings[i].verdict == DIAGNOSE_WRONG)
            log_line(LOG_ERROR, "%s: %s", report->findings[i].name, report->findings[i].message);
}
