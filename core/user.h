/*
 * Who is who on this host, as the password database has it.
 *
 * The name service's modules are libraries of the host, of whatever version; a static program cannot load them and reads
 * /etc/passwd itself.
 */
#ifndef KVS_USER_H
#define KVS_USER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The home directory of a user; false where there is none, or it is no absolute path. */
bool user_home(uid_t uid, char home[PATH_MAX]);

/* Name and number, "alice (1000)"; of a user without a name, "user 1000".  Cut where it is longer than size. */
void user_show(uid_t uid, char *text, size_t size);

/* The owner of the running program's file; false where the system does not tell. */
bool user_of_program(uid_t *uid);

#endif
