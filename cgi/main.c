/* kvs.cgi: one request from the environment and standard input, one answer on standard output. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "config.h"
#include "diagnose.h"
#include "input.h"
#include "kvs.h"
#include "log.h"
#include "serve.h"
#include "sink.h"

enum { EXIT_USAGE = 2, MESSAGE = 512, SETTINGS = 64 };

static const char program_name[] = "kvs.cgi";

/* What serves a request. */
struct program {
    struct cgi_sink sink;
    struct kvs *kvs; /* never closed; here a leak checker sees at the end that it is not lost */
};

struct flags {
    bool check;
    const char *settings[SETTINGS];
    unsigned n_settings;
};

static void help(void)
{
    fputs("Usage: kvs.cgi [OPTION]...\n"
          "Answers one request to the key-value store and queue.  A web server runs it as a CGI program: the request\n"
          "is in the environment and on standard input.\n"
          "\n"
          "  --check           say what is right and wrong with this set-up, without a request\n"
          "  --config FILE     read this configuration file\n"
          "  --set NAME=VALUE  a setting as in the file, over file and environment (no secrets)\n"
          "  --help, --version\n"
          "\n"
          "Exit status: 0 answered, or nothing is wrong; 1 not answered, or something is; 2 wrong use.\n"
          "See kvs.cgi(8), kvs.conf(5).\n",
          stdout);
}

static int usage(void)
{
    log_line(LOG_ERROR, "kvs.cgi --help says more");
    return EXIT_USAGE;
}

enum { OPT_HELP = 1, OPT_VERSION, OPT_CHECK, OPT_CONFIG, OPT_SET };

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
    case OPT_CHECK:
        flags->check = true;
        return -1;
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
                                            {"check", no_argument, NULL, OPT_CHECK},
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

/* File, environment, then flags.  False with what is wrong in message. */
static bool configure(struct config *config, const struct flags *flags, const char *argv0, char *message, size_t size)
{
    bool ok = config_load(config, argv0, message, size);
    for (unsigned i = 0; ok && i < flags->n_settings; i++)
        ok = apply_setting(config, flags->settings[i], message, size);
    log_init(program_name, config->log_level, config->log_json);
    return ok;
}

/* A web server that closes before it has read the answer is nothing to die of, nor is a limit on the size of files. */
static void set_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static int serve(struct diagnose *subject, struct program *p)
{
    char message[MESSAGE];
    if (!subject->config_problem)
        p->kvs = kvs_open(subject->config, KVS_CGI, message, sizeof(message));
    /* All is answered, and what is written is on the disk: the system takes back the rest at once. */
    if (p->kvs)
        exit(cgi_serve(p->kvs, subject->config, &p->sink));
    if (!subject->config_problem)
        subject->store_problem = message;
    return cgi_refuse(subject, &p->sink);
}

int main(int argc, char **argv)
{
    struct flags flags = {.n_settings = 0};
    struct config config;
    struct program program = {.kvs = NULL};
    char message[MESSAGE];
    log_init(program_name, LOG_INFO, false);
    int status = cgi_input_is_command_line() ? -1 : take_flags(&flags, argc, argv);
    if (status >= 0)
        return status;
    const bool asked = getenv("REQUEST_METHOD") != NULL;
    if (!asked && !flags.check) {
        log_line(LOG_ERROR, "no request: a web server runs this as a CGI program (REQUEST_METHOD is not set); "
                            "kvs.cgi --check says whether it could");
        return usage();
    }
    set_signals();
    struct diagnose subject = {.config = &config, .argv0 = argv[0], .mode = KVS_CGI};
    if (!configure(&config, &flags, argv[0], message, sizeof(message)))
        subject.config_problem = message;
    if (asked) {
        cgi_sink_init(&program.sink, STDOUT_FILENO);
        status = serve(&subject, &program);
        cgi_sink_free(&program.sink);
    } else {
        status = cgi_check(&config, subject.config_problem, argv[0]);
    }
    config_free(&config);
    return status;
}
