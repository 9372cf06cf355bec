/* kvs.fcgi: the FastCGI responder. */
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fcgiapp.h>

#include "config.h"
#include "diagnose.h"
#include "front.h"
#include "kvs.h"
#include "listen.h"
#include "log.h"

enum { EXIT_USAGE = 2, MESSAGE = 512, CONNECTIONS = 8192, SPARE_FDS = 64, SETTINGS = 64 };

static const char program[] = "kvs.fcgi";

struct flags {
    const char *listen;
    bool anywhere;
    unsigned threads;     /* 0: by the number of cores */
    unsigned connections; /* at most */
    const char *settings[SETTINGS];
    unsigned n_settings;
};

static void help(void)
{
    fputs("Usage: kvs.fcgi [OPTION]...\n"
          "Serves the key-value store and queue over FastCGI: on the socket that a web server, spawn-fcgi or\n"
          "systemd passes, or on one of its own.\n"
          "\n"
          "  --listen PATH|HOST:PORT  listen there (a Unix socket, or TCP on a loopback address)\n"
          "  --listen-anywhere        let --listen take an address that is not loopback\n"
          "  --threads N              worker threads (default: 2 for each core, at least 4)\n"
          "  --max-connections N      connections at once (default: 8192, as far as descriptors allow)\n"
          "  --config FILE            read this configuration file\n"
          "  --set NAME=VALUE         a setting as in the file, over file and environment (no secrets)\n"
          "  --help, --version\n"
          "\n"
          "Exit status: 0 stopped by a signal, 1 could not start, 2 wrong use.  See kvs.fcgi(8), kvs.conf(5).\n",
          stdout);
}

static int usage(void)
{
    log_line(LOG_ERROR, "kvs.fcgi --help says more");
    return EXIT_USAGE;
}

static bool number(const char *text, unsigned least, unsigned most, unsigned *out)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < least || n > most)
        return false;
    *out = (unsigned)n;
    return true;
}

enum { OPT_HELP = 1, OPT_VERSION, OPT_LISTEN, OPT_ANYWHERE, OPT_THREADS, OPT_CONNECTIONS, OPT_CONFIG, OPT_SET };

/* One option.  Returns -1 to go on, else the exit status. */
static int take_option(struct flags *flags, int option, const char *value)
{
    switch (option) {
    case OPT_HELP:
        help();
        return EXIT_SUCCESS;
    case OPT_VERSION:
        puts("kvs.fcgi " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    case OPT_LISTEN:
        flags->listen = value;
        return -1;
    case OPT_ANYWHERE:
        flags->anywhere = true;
        return -1;
    case OPT_THREADS:
        if (number(value, 1, 512, &flags->threads))
            return -1;
        log_line(LOG_ERROR, "--threads %s: a number from 1 to 512 is needed", value);
        return usage();
    case OPT_CONNECTIONS:
        if (number(value, 1, 1000000, &flags->connections))
            return -1;
        log_line(LOG_ERROR, "--max-connections %s: a number from 1 to 1000000 is needed", value);
        return usage();
    case OPT_CONFIG:
        return setenv("KVS_CONFIG", value, 1) == 0 ? -1 : EXIT_FAILURE;
    case OPT_SET:
        if (flags->n_settings < SETTINGS) {
            flags->settings[flags->n_settings++] = value;
            return -1;
        }
        log_line(LOG_ERROR, "more than %d times --set", SETTINGS);
        return usage();
    default:
        return usage();
    }
}

static int take_flags(struct flags *flags, int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, OPT_HELP},
                                            {"version", no_argument, NULL, OPT_VERSION},
                                            {"listen", required_argument, NULL, OPT_LISTEN},
                                            {"listen-anywhere", no_argument, NULL, OPT_ANYWHERE},
                                            {"threads", required_argument, NULL, OPT_THREADS},
                                            {"max-connections", required_argument, NULL, OPT_CONNECTIONS},
                                            {"config", required_argument, NULL, OPT_CONFIG},
                                            {"set", required_argument, NULL, OPT_SET},
                                            {NULL, 0, NULL, 0}};
    int option;
    opterr = 0; /* what is wrong is said in the one form that messages have */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?') {
            log_line(LOG_ERROR, "%s: not an option, or its value is missing or too many", argv[optind - 1]);
            return usage();
        }
        const int status = take_option(flags, option, optarg);
        if (status >= 0)
            return status;
    }
    if (optind < argc) {
        log_line(LOG_ERROR, "%s: no such argument", argv[optind]);
        return usage();
    }
    return -1;
}

/* --set NAME=VALUE.  The command line is for everyone to see, so a secret in it is refused. */
static int apply_setting(struct config *config, const char *setting)
{
    char name[64];
    char message[MESSAGE];
    const char *equals = strchr(setting, '=');
    const size_t len = equals ? (size_t)(equals - setting) : 0;
    if (len == 0 || len >= sizeof(name)) {
        log_line(LOG_ERROR, "--set needs NAME=VALUE");
        return usage();
    }
    memcpy(name, setting, len);
    name[len] = '\0';
    if (strcmp(name, "access_token") == 0) {
        log_line(LOG_ERROR, "--set access_token: a secret does not belong on the command line; set ACCESS_TOKEN or "
                            "access_token in kvs.conf");
        return EXIT_USAGE;
    }
    if (config_set(config, name, equals + 1, message, sizeof(message)))
        return -1;
    log_line(LOG_ERROR, "--set: %s", message);
    return EXIT_USAGE;
}

static int fail(const char *message)
{
    log_line(LOG_ERROR, "%s", message);
    return EXIT_FAILURE;
}

/* As many descriptors as may be had; connections get what the rest of the program leaves. */
static size_t connection_limit(unsigned wanted)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return wanted;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0 && getrlimit(RLIMIT_NOFILE, &r) != 0)
        return wanted;
    if (r.rlim_cur == RLIM_INFINITY || r.rlim_cur > (rlim_t)wanted + SPARE_FDS)
        return wanted;
    return r.rlim_cur > 2 * SPARE_FDS ? (size_t)r.rlim_cur - SPARE_FDS : SPARE_FDS;
}

static unsigned thread_count(unsigned wanted)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted > 0)
        return wanted;
    return cores > 2 ? 2 * (unsigned)cores : 4;
}

/* That the database is open, or cannot be opened, is told to the main thread as the wish to stop is.  (writelock.c has 3.) */
static int opened_signal(void)
{
    return SIGRTMIN + 4;
}

/* Signals are the main thread's, which waits for them; workers inherit the mask. */
static void set_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGUSR1);
    sigaddset(signals, opened_signal());
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static enum listen_result get_listener(struct listener *l, const struct flags *flags, char *message, size_t size)
{
    return flags->listen ? listen_open(l, flags->listen, flags->anywhere, message, size)
                         : listen_inherit(l, message, size);
}

/* Everything is read and open: serve until told to stop. */
static int serve(const struct flags *flags, const struct config *config, struct kvs *kvs, struct listener *listener)
{
    struct front front;
    char message[MESSAGE];
    bool clean = true;
    const unsigned threads = thread_count(flags->threads);
    bool ok = front_init(&front, config, kvs, listener, connection_limit(flags->connections), message, sizeof(message));
    if (ok) {
        log_line(LOG_DEBUG, "serving with %u threads", threads);
        ok = front_run(&front, threads, &clean, message, sizeof(message));
    }
    if (!clean) {
        log_line(LOG_WARNING, "stopped with requests that could not be answered in time");
        listen_close(&front.listener);
        _exit(EXIT_SUCCESS); /* some thread may be at one of them still: nothing is taken apart under it */
    }
    front_free(&front);
    kvs_close(kvs);
    return ok ? EXIT_SUCCESS : fail(message);
}

/* The database cannot be used: says all that is wrong with its place. */
static int explain(const struct config *config, const char *argv0, const char *problem)
{
    const struct diagnose subject = {.config = config, .argv0 = argv0, .mode = KVS_FASTCGI, .store_problem = problem};
    struct diagnose_report report;
    diagnose_run(&subject, &report);
    if (!diagnose_first(&report, DIAGNOSE_WRONG))
        return fail(problem);
    diagnose_log(&report);
    return EXIT_FAILURE;
}

struct opening {
    const struct config *config;
    pthread_t main_thread;
    struct kvs *kvs;
    char message[MESSAGE]; /* where kvs stays NULL */
};

static void *open_database(void *context)
{
    struct opening *o = context;
    o->kvs = kvs_open(o->config, KVS_FASTCGI, o->message, sizeof(o->message));
    pthread_kill(o->main_thread, opened_signal());
    return NULL;
}

/*
 * Opens the database on a thread of its own, since that may wait for another process or bring a large file up to date, and a
 * wish to stop must not wait for it.  Returns false where there was one: the thread may be at work still.
 */
static bool wait_for_database(struct opening *o, const sigset_t *signals)
{
    pthread_t thread;
    int signal;
    if (pthread_create(&thread, NULL, open_database, o) != 0) {
        snprintf(o->message, sizeof(o->message), "no thread can be started");
        return true;
    }
    while (sigwait(signals, &signal) != 0)
        continue;
    if (signal != opened_signal())
        return false;
    pthread_join(thread, NULL);
    return true;
}

static int open_and_serve(const struct flags *flags, const struct config *config, const char *argv0)
{
    struct listener listener;
    struct opening opening = {.config = config, .main_thread = pthread_self()};
    sigset_t signals;
    char message[MESSAGE];
    set_signals(&signals); /* first, so that no signal finds a socket and nobody who removes it */
    switch (get_listener(&listener, flags, message, sizeof(message))) {
    case LISTEN_OK:
        break;
    case LISTEN_NONE:
        log_line(LOG_ERROR, "no socket to serve: start it from a web server, spawn-fcgi or systemd, or with "
                            "--listen PATH or --listen HOST:PORT");
        return usage();
    default:
        return fail(message);
    }
    if (FCGX_Init() != 0)
        return fail("libfcgi cannot be set up");
    if (!wait_for_database(&opening, &signals)) {
        log_line(LOG_INFO, "stopped before the database was open");
        listen_close(&listener);
        _exit(EXIT_SUCCESS); /* as a kill would: what a transaction had begun is undone by the next who opens it */
    }
    if (!opening.kvs) {
        listen_close(&listener);
        return explain(config, argv0, opening.message);
    }
    return serve(flags, config, opening.kvs, &listener);
}

int main(int argc, char **argv)
{
    struct flags flags = {.connections = CONNECTIONS};
    struct config config;
    char message[MESSAGE];
    log_init(program, LOG_INFO, false);
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 1 << 18); /* large bodies and answers go back to the system, today and tomorrow */
    mallopt(M_TRIM_THRESHOLD, 1 << 19); /* ... but not what each request needs, only to be asked for again */
    mallopt(M_TOP_PAD, 1 << 17);
#endif
    int status = take_flags(&flags, argc, argv);
    if (status >= 0)
        return status;
    if (!config_load(&config, argv[0], message, sizeof(message)))
        return fail(message);
    for (unsigned i = 0; status < 0 && i < flags.n_settings; i++)
        status = apply_setting(&config, flags.settings[i]);
    log_init(program, config.log_level, config.log_json);
    if (status < 0)
        status = open_and_serve(&flags, &config, argv[0]);
    config_free(&config);
    return status;
}
