#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "diagnose.h"

int cgi_check(const struct config *config, const char *config_problem, const char *argv0)
{
    const struct diagnose subject = {.config = config,
                                     .config_problem = config_problem,
                                     .argv0 = argv0,
                                     .mode = KVS_CGI};
    struct diagnose_report report;

    diagnose_run(&subject, &report);
    for (size_t i = 0; i < report.count; i++) {
        const struct diagnose_finding *f = &report.findings[i];
        printf("%-8s %s: %s\n", diagnose_verdict_name(f->verdict), f->name, f->message);
    }
    if (diagnose_first(&report, DIAGNOSE_WRONG)) {
        puts("\nSomething is wrong: see the lines above that begin with it.");
        return EXIT_FAILURE;
    }
    puts("\nNothing is wrong, as far as it can be told from here.");
    return EXIT_SUCCESS;
}
