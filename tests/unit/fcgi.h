/*
 * The FastCGI front in this process, on a Unix socket in a service's private directory, and a client of it that takes
 * nothing for granted of what comes back.
 */
#ifndef KVS_TEST_FCGI_H
#define KVS_TEST_FCGI_H

#include <errno.h>
#include <fcgiapp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fcgi/front.h"
#include "fcgi/proto.h"
#include "service.h"

/* --- The front --- */

struct rig {
    struct service service;
    struct listener listener;
    struct front front;
    struct sockaddr_un address;
    pthread_t thread;
    unsigned workers;
    bool served, clean; /* what front_run said */
};

static void *rig_serve(void *argument)
{
    struct rig *rig = argument;
    char message[400] = "";
    rig->served = front_run(&rig->front, rig->workers, &rig->clean, message, sizeof message);
    return NULL;
}

/* Serves s, which stays the caller's, with that many workers.  False: it could not begin. */
__attribute__((unused)) static bool rig_start(struct rig *rig, unsigned workers, size_t connections)
{
    char message[400] = "";
    sigset_t all, before;

    rig->workers = workers;
    rig->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(rig->address.sun_path, sizeof rig->address.sun_path, "%.90s/sock", rig->service.dir);
    if (listen_open(&rig->listener, rig->address.sun_path, false, message, sizeof message) != LISTEN_OK)
        return false;
    if (!front_init(&rig->front, &rig->service.config, rig->service.kvs, &rig->listener, connections, message,
                    sizeof message)) {
        front_free(&rig->front);
        return false;
    }
    /* All signals are the other threads': front_run waits for SIGTERM, which rig_stop sends to its thread alone. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool ok = pthread_create(&rig->thread, NULL, rig_serve, rig) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* Stops as SIGTERM does.  True where it had begun and every request got its answer. */
__attribute__((unused)) static bool rig_stop(struct rig *rig)
{
    pthread_kill(rig->thread, SIGTERM);
    pthread_join(rig->thread, NULL);
    front_free(&rig->front);
    return rig->served && rig->clean;
}

/* Lets others run.  A loop around sched_yield would take the processor from those that it waits for. */
static void rig_nap(void)
{
    const struct timespec t = {.tv_nsec = 20000};
    nanosleep(&t, NULL);
}

/* Whether no connection is in use any more, within 10 s. */
__attribute__((unused)) static bool rig_is_idle(struct rig *rig)
{
    size_t made;
    const int64_t until = clock_mono() + 10000;
    while (front_active(&rig->front, &made) > 0) {
        if (clock_mono() > until)
            return false;
        rig_nap();
    }
    return true;
}

__attribute__((unused)) static int rig_connect(const struct rig *rig)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&rig->address, sizeof rig->address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* --- Requests --- */

/* Bytes in a fixed room; what does not fit as a whole is left out. */
struct bytes {
    uint8_t *data;
    size_t len, room;
};

static void bytes_add(struct bytes *b, const void *data, size_t n)
{
    if (n == 0 || n > b->room - b->len)
        return;
    memcpy(b->data + b->len, data, n);
    b->len += n;
}

static void bytes_record(struct bytes *b, uint8_t type, uint16_t id, const void *content, size_t n)
{
    uint8_t header[PROTO_HEADER];
    if (n > UINT16_MAX || PROTO_HEADER + n > b->room - b->len)
        return;
    proto_header(header, type, id, (uint16_t)n, 0);
    bytes_add(b, header, sizeof header);
    bytes_add(b, content, n);
}

/* Both shorter than 128 bytes. */
__attribute__((unused)) static void bytes_pair(struct bytes *b, const char *name, const char *value)
{
    const uint8_t lengths[2] = {(uint8_t)strlen(name), (uint8_t)strlen(value)};
    bytes_add(b, lengths, sizeof lengths);
    bytes_add(b, name, lengths[0]);
    bytes_add(b, value, lengths[1]);
}

/* An authorised request; body NULL: a GET. */
__attribute__((unused)) static void bytes_request(struct bytes *b, uint16_t id, bool keep, const char *path,
                                                  const char *body)
{
    uint8_t room[1024], begin[8] = {0, PROTO_RESPONDER, keep};
    struct bytes params = {room, 0, sizeof room};
    char length[24];

    snprintf(length, sizeof length, "%zu", body ? strlen(body) : 0);
    bytes_pair(&params, "REQUEST_METHOD", body ? "POST" : "GET");
    bytes_pair(&params, "PATH_INFO", path);
    bytes_pair(&params, "REQUEST_URI", path);
    bytes_pair(&params, "CONTENT_TYPE", "application/json");
    bytes_pair(&params, "CONTENT_LENGTH", length);
    bytes_pair(&params, "HTTP_AUTHORIZATION", "Bearer " SERVICE_TOKEN);
    bytes_record(b, PROTO_BEGIN_REQUEST, id, begin, sizeof begin);
    bytes_record(b, PROTO_PARAMS, id, params.data, params.len);
    bytes_record(b, PROTO_PARAMS, id, "", 0);
    if (body)
        bytes_record(b, PROTO_STDIN, id, body, strlen(body));
    bytes_record(b, PROTO_STDIN, id, "", 0);
}

/* Sends all; false where the peer has closed. */
static bool send_all(int fd, const uint8_t *data, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, data + at, n - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

/* --- What comes back --- */

enum { HEARD_TEXT = 1 << 16 };

struct heard_counts {
    unsigned complete, refused; /* END_REQUEST: REQUEST_COMPLETE; CANT_MPX_CONN and UNKNOWN_ROLE */
    unsigned values, unknown;   /* GET_VALUES_RESULT, UNKNOWN_TYPE */
};

/* Everything that a connection has said so far. */
struct heard {
    uint8_t rest[PROTO_HEADER + UINT16_MAX + UINT8_MAX]; /* a record that is not whole yet */
    size_t rest_len;
    struct heard_counts counts;
    uint16_t end_id;           /* of the last END_REQUEST */
    char text[HEARD_TEXT + 1]; /* STDOUT since heard_next, as far as there is room; with a NUL */
    size_t text_len;           /* in all */
    bool closed, is_bad;       /* is_bad: that was no FastCGI */
};

static void heard_stdout(struct heard *h, const uint8_t *content, size_t n)
{
    size_t at = h->text_len < HEARD_TEXT ? h->text_len : HEARD_TEXT, room = HEARD_TEXT - at;
    memcpy(h->text + at, content, n < room ? n : room);
    h->text[at + (n < room ? n : room)] = '\0';
    h->text_len += n;
}

static void heard_init(struct heard *h)
{
    h->rest_len = h->text_len = 0;
    h->counts = (struct heard_counts){0};
    h->end_id = 0;
    h->text[0] = '\0';
    h->closed = h->is_bad = false;
}

/* One record of a responder's. */
static void heard_record(struct heard *h, const uint8_t *record, size_t length)
{
    const uint8_t *content = record + PROTO_HEADER;
    const uint16_t id = (uint16_t)(record[2] << 8 | record[3]);

    if (record[1] == PROTO_STDOUT && id != 0) {
        heard_stdout(h, content, length);
    } else if (record[1] == PROTO_END_REQUEST && id != 0 && length == 8) {
        h->end_id = id;
        h->counts.complete += content[4] == PROTO_REQUEST_COMPLETE;
        h->counts.refused += content[4] == PROTO_CANT_MPX_CONN || content[4] == PROTO_UNKNOWN_ROLE;
    } else if (record[1] == PROTO_GET_VALUES_RESULT && id == 0) {
        h->counts.values++;
    } else if (record[1] == PROTO_UNKNOWN_TYPE && id == 0 && length == 8) {
        h->counts.unknown++;
    } else {
        h->is_bad = true;
    }
}

static void heard_bytes(struct heard *h, const uint8_t *data, size_t n)
{
    while (n > 0 && !h->is_bad) {
        size_t want = PROTO_HEADER;
        if (h->rest_len >= PROTO_HEADER)
            want += (size_t)(h->rest[4] << 8 | h->rest[5]) + h->rest[6];
        size_t take = want - h->rest_len < n ? want - h->rest_len : n;
        memcpy(h->rest + h->rest_len, data, take);
        h->rest_len += take;
        data += take;
        n -= take;
        if (h->rest_len < PROTO_HEADER)
            continue;
        size_t length = (size_t)(h->rest[4] << 8 | h->rest[5]);
        h->is_bad = h->rest[0] != PROTO_VERSION;
        if (h->rest_len == PROTO_HEADER + length + h->rest[6]) {
            heard_record(h, h->rest, length);
            h->rest_len = 0;
        }
    }
}

/* Forgets the text of requests that are over. */
__attribute__((unused)) static void heard_next(struct heard *h)
{
    h->text_len = 0;
    h->text[0] = '\0';
}

/* Takes what is there, waiting up to ms for something; whether there was something, the end included. */
static bool heard_listen(struct heard *h, int fd, int ms)
{
    uint8_t block[16384];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (h->closed || poll(&p, 1, ms) <= 0)
        return false;
    ssize_t n = recv(fd, block, sizeof block, MSG_DONTWAIT);
    if (n > 0)
        heard_bytes(h, block, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        h->closed = true;
    return true;
}

/* The status of the answer heard last; 0: there is none. */
static int heard_status(const struct heard *h)
{
    int status = 0;
    return sscanf(h->text, "Status: %d", &status) == 1 ? status : 0;
}

/* The body of the answer heard last; NULL: there is none. */
__attribute__((unused)) static const char *heard_body(const struct heard *h)
{
    const char *blank = strstr(h->text, "\r\n\r\n");
    return blank ? blank + 4 : NULL;
}

/*
 * One request on a connection of its own: its status, with the answer in h; 0 where the connection was closed without, -1
 * where neither came within 10 s or what came was not one whole answer.
 */
__attribute__((unused)) static int rig_ask(const struct rig *rig, const char *path, const char *body, struct heard *h)
{
    uint8_t room[4096];
    struct bytes b = {room, 0, sizeof room};
    int fd = rig_connect(rig);
    const int64_t until = clock_mono() + 10000;

    heard_init(h);
    if (fd < 0)
        return -1;
    bytes_request(&b, 1, false, path, body);
    send_all(fd, b.data, b.len);
    while (!h->closed && !h->is_bad && clock_mono() < until)
        heard_listen(h, fd, 1000);
    close(fd);
    if (h->is_bad || !h->closed)
        return -1;
    if (h->counts.complete == 0 && h->text_len == 0)
        return 0;
    return h->counts.complete == 1 && h->rest_len == 0 ? heard_status(h) : -1;
}

#endif
