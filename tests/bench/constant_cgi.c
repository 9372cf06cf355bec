/*
 * The limit of CGI: a program that is started, answers a constant and ends.  It is linked with all that kvs.cgi is linked
 * with, since starting is what a CGI program mostly does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char answer[4096];
    const char *body = getenv("BENCH_ANSWER");

    (void)argc;
    (void)argv;
    if (!body)
        return 2;
    int len = snprintf(answer, sizeof answer,
                       "Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                       "Cache-Control: no-store\r\n\r\n%s",
                       strlen(body), body);
    return len < (int)sizeof answer && write(STDOUT_FILENO, answer, (size_t)len) == len ? 0 : 1;
}
