/*
 * The request of a CGI program: meta-variables from the environment, the body from standard input.
 */
#ifndef KVS_CGI_INPUT_H
#define KVS_CGI_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "buf.h"
#include "config.h"
#include "request.h"

/* All of the request but body and sink; its texts are the environment's or in the arena.  False: no memory. */
bool cgi_input_head(struct kvs_request *r, struct arena *arena);

/* Takes the body into `body`, which r then points to; waits for each part no longer than the configuration says.  False: no memory. */
bool cgi_input_body(struct kvs_request *r, struct buf *body, const struct config *config);

/*
 * Reads away what is left of the body, of which `taken` bytes were read; waits for each part no longer than timeout (ms).  A
 * web server that still writes when the program ends loses the answer (mod_cgid does).
 */
void cgi_input_drain(size_t taken, int64_t timeout);

/*
 * Whether the command line may be the client's: servers hand the words of a query string without a "=" to the program as
 * its arguments (RFC 3875, 4.4).
 */
bool cgi_input_is_command_line(void);

#endif
