/*
 * Programs whose tests make the log say thousands of lines.
 */
#ifndef KVS_TEST_QUIET_H
#define KVS_TEST_QUIET_H

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* The log says a line for most failures, thousands of them; reports of sanitizers are still to be seen. */
__attribute__((unused)) static void silence_log(void)
{
    int keep = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

    if (__sanitizer_set_report_fd)
        __sanitizer_set_report_fd((void *)(intptr_t)keep);
    dup2(null, STDERR_FILENO);
    close(null);
}

#endif
