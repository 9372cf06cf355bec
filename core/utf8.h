/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef KVS_UTF8_H
#define KVS_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length (1 to 4) of the character that starts at p, of which n bytes can be read; 0 where there is no valid one. */
size_t utf8_char(const char *p, size_t n);

/* Length of the longest valid start of the n bytes: n where all are valid. */
size_t utf8_valid(const char *p, size_t n);

/* Writes a code point (at most U+10FFFF; a surrogate gets its three bytes) and returns how many bytes it took. */
size_t utf8_put(char out[4], uint32_t code);

/*
 * Makes n bytes fit to be shown to people: what is no valid UTF-8, is a control character or a NUL becomes '?'.
 */
void utf8_clean(char *p, size_t n);

#endif
