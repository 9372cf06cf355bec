/*
 * Exact reading and shortest printing of JSON numbers.  The text must already have passed json_scan.
 */
#ifndef KVS_JSON_NUM_H
#define KVS_JSON_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_num_kind {
    JSON_NUM_INT,     /* the number's value is an integer that fits 64 bits, in whatever form: 1000, 1e3, 10.0, -0 */
    JSON_NUM_BIG,     /* an integer beyond 64 bits */
    JSON_NUM_FRACTION /* not an integer */
};

/* Classifies exactly, in decimal, without passing through a double; *n is set for JSON_NUM_INT. */
enum json_num_kind json_num_int(const char *text, size_t len, int64_t *n);

/* The nearest double; false where it is not finite. */
bool json_num_double(const char *text, size_t len, double *d);

enum { JSON_NUM_MAX = 32 };
/*
 * JSON text of as few digits as read back as the same finite double, in JavaScript's form (1 for 1.0, 100000 for 1e5, 0
 * for -0.0).  Returns its length.
 */
size_t json_num_print(char out[JSON_NUM_MAX], double d);

#endif
