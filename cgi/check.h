/*
 * kvs.cgi --check: what is right and wrong with the set-up, for a person at a terminal.
 */
#ifndef KVS_CGI_CHECK_H
#define KVS_CGI_CHECK_H

#include "config.h"

/*
 * Prints the findings on standard output.  config_problem says why the configuration cannot be used; NULL: it can.  Returns the
 * exit status: failure where something is wrong.
 */
int cgi_check(const struct config *config, const char *config_problem, const char *argv0);

#endif
