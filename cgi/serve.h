/*
 * The one request of a CGI program, from the environment and standard input, to its answer.
 */
#ifndef KVS_CGI_SERVE_H
#define KVS_CGI_SERVE_H

#include "config.h"
#include "kvs.h"
#include "sink.h"

/* Serves the request.  Returns the exit status: EXIT_FAILURE where the answer was not taken. */
int cgi_serve(struct kvs *kvs, const struct config *config, struct cgi_sink *s);

/* Logs the message and answers it as a 500, where the core cannot be asked.  Returns the exit status. */
int cgi_refuse(struct cgi_sink *s, const char *message);

#endif
