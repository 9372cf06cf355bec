/* kvs.cgi: one request from the environment and standard input, one answer on standard output. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "kvs.h"
#include "log.h"
#include "serve.h"
#include "sink.h"

enum { EXIT_USAGE = 2, MESSAGE = 512, SETTINGS = 64 };

static const char program[] = "kvs.cgi";

struct flags {
    const char *settings[SETTINGS];
    unsigned n_settings;
};

static void help(void)
{
    fputs("Usage: kvs.cgi [OPTION]...\n"
          "Answers one request to the key-value store and queue.  A web server runs it as a CGI program: the request\n"
          "is in the environment and on standard input.\n"
          "\n"
          "  --config FILE     read this configuration file\n"
          "  --set NAME=VALUE  a setting as in the file, over file and environment (no secrets)\n"
          "  --help, --version\n"
          "\n"
          "Exit status: 0 answered, 1 not answered, 2 wrong use.  See kvs.cgi(8), kvs.conf(5).\n",
          stdout);
}

static int usage(void)
{
    log_line(LOG_ERROR, "kvs.cgi --help says more");
    return EXIT_USAGE;
}

enum { OPT_HELP = 1, OPT_VERSION, OPT_CONFIG, OPT_SET };

/* One option.  Returns -1 to go on, else the exit status. */
static int take_option(struct flags *flags, int option, const char *value)
{
    switch (option) {
    case OPT_HELP:
        help();
        return EXIT_SUCCESS;
    case OPT_VERSION:
        puts("kvs.cgi " PACKAGE_VERSION);
        return EXIT_SUCCESS;
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
static bool apply_setting(struct config *config, const char *setting, char *message, size_t size)
{
    char name[64];
    const char *equals = strchr(setting, '=');
    const size_t len = equals ? (size_t)(equals - setting) : 0;
    if (len == 0 || len >= sizeof(name)) {
        snprintf(message, size, "--set needs NAME=VALUE");
        return false;
    }
    memcpy(name, setting, len);
    name[len] = '\0';
    if (strcmp(name, "access_token") == 0) {
        snprintf(message, size, "--set access_token: a secret does not belong on the command line");
        return false;
    }
    return config_set(config, name, equals + 1, message, size);
}

/* A web server that closes before it has read the answer is nothing to die of. */
static void set_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static int serve(const struct config *config, struct cgi_sink *s)
{
    char message[MESSAGE];
    if (!config->access_token)
        return cgi_refuse(s, "no access token: set ACCESS_TOKEN or access_token in kvs.conf");
    struct kvs *kvs = kvs_open(config, KVS_CGI, message, sizeof(message));
    if (!kvs)
        return cgi_refuse(s, message);
    /* All is answered, and what is written is on the disk: the system takes back the rest at once. */
    exit(cgi_serve(kvs, config, s));
}

int main(int argc, char **argv)
{
    struct flags flags = {.n_settings = 0};
    struct config config;
    struct cgi_sink sink;
    char message[MESSAGE];
    log_init(program, LOG_INFO, false);
    int status = take_flags(&flags, argc, argv);
    if (status >= 0)
        return status;
    if (!getenv("REQUEST_METHOD")) {
        log_line(LOG_ERROR, "no request: a web server runs this as a CGI program (REQUEST_METHOD is not set)");
        return usage();
    }
    set_signals();
    cgi_sink_init(&sink, STDOUT_FILENO);
    if (!config_load(&config, argv[0], message, sizeof(message)))
        return cgi_refuse(&sink, message);
    bool ok = true;
    for (unsigned i = 0; ok && i < flags.n_settings; i++)
        ok = apply_setting(&config, flags.settings[i], message, sizeof(message));
    log_init(program, config.log_level, config.log_json);
    status = ok ? serve(&config, &sink) : cgi_refuse(&sink, message);
    cgi_sink_free(&sink);
    config_free(&config);
    return status;
}
