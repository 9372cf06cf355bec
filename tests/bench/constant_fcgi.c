/*
 * The limit: a FastCGI program that does nothing but answer a constant.  libfcgi's own accept loop in each thread.
 *
 *   constant_fcgi SOCKET THREADS BODY
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <fcgiapp.h>

enum { BACKLOG = 1024, THREADS_MAX = 256 };

struct program {
    int socket;
    const char *answer;
    int len;
};

static void *serve(void *argument)
{
    const struct program *p = argument;
    FCGX_Request request;

    FCGX_InitRequest(&request, p->socket, 0);
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutStr(p->answer, p->len, request.out);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static char answer[4096];
    struct program p = {.answer = answer};
    pthread_t threads[THREADS_MAX];
    int count = argc == 4 ? atoi(argv[2]) : 0;

    if (count < 1 || count > THREADS_MAX || FCGX_Init())
        return 2;
    umask(0);
    p.len = snprintf(answer, sizeof answer,
                     "Status: 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n\r\n%s",
                     strlen(argv[3]), argv[3]);
    p.socket = FCGX_OpenSocket(argv[1], BACKLOG);
    if (p.socket < 0 || p.len >= (int)sizeof answer)
        return 1;
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, serve, &p))
            return 1;
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
