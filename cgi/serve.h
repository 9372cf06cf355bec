/*
 * The one request of a CGI program, from the environment and standard input, to its answer.
 */
#ifndef KVS_CGI_SERVE_H
#define KVS_CGI_SERVE_H

#include "config.h"
#include "diagnose.h"
#include "kvs.h"
#include "sink.h"

/* Serves the request.  Returns the exit status: EXIT_FAILURE where the answer was not taken. */
int cgi_serve(struct kvs *kvs, const struct config *config, struct cgi_sink *s);

/*
 * Answers that it cannot serve, with the reasons for who may know them; all of them go into the log.  subject says what is
 * wrong and gets the request.  Returns the exit status, as cgi_serve.
 */
int cgi_refuse(struct diagnose *subject, struct cgi_sink *s);

#endif
