/*
 * The checks of the table in diagnose.c.  Each judges one thing of the subject and says one finding.
 */
#ifndef KVS_DIAGNOSE_CHECK_H
#define KVS_DIAGNOSE_CHECK_H

#include "diagnose.h"

typedef void diagnose_check(const struct diagnose *subject, struct diagnose_finding *finding);

/* Sets verdict and message. */
__attribute__((format(printf, 3, 4))) void diagnose_say(struct diagnose_finding *finding, enum diagnose_verdict verdict,
                                                        const char *fmt, ...);

/* diagnose_setup.c: the program, its settings, its token */
diagnose_check diagnose_user, diagnose_config, diagnose_secrets, diagnose_token, diagnose_authorization,
    diagnose_limits;

/* diagnose_place.c: where the database lies */
diagnose_check diagnose_directory, diagnose_root, diagnose_file_system, diagnose_database, diagnose_space,
    diagnose_memory;

/* diagnose_engine.c: what the database itself tells */
diagnose_check diagnose_engine, diagnose_clock;

#endif
