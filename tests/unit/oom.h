/*
 * Running something with each of its allocations failing in turn.
 */
#ifndef KVS_OOM_H
#define KVS_OOM_H

#include "error.h"
#include "mem.h"

/*
 * Calls body with the first allocation failing, then the second, and so on until a call does not answer ERR_NO_MEMORY;
 * each time once with that allocation alone failing and once with all after it, too.  Returns that last answer and in
 * *failures how many allocations were made to fail, one by one.  The sanitizers judge what is leaked.
 */
static inline enum error_code oom_each(enum error_code (*body)(void *context), void *context, long *failures)
{
    enum error_code code = ERR_NO_MEMORY;
    for (long n = 0;; n++) {
        for (int forever = 0; forever < 2; forever++) {
            mem_fail_after(n, forever);
            code = body(context);
            mem_fail_after(-1, 0);
            if (code != ERR_NO_MEMORY) {
                *failures = n;
                return code;
            }
        }
    }
}

#endif
