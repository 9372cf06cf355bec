/* kvs-maint: maintenance of a database, from cron or by hand. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fields.h"
#include "log.h"
#include "tool.h"

enum { MESSAGE = 512 };

static const char program[] = "kvs-maint";

/* What a command does with the database before it runs. */
enum opening { OPEN_EXISTING, OPEN_CREATE, OPEN_INSPECT, OPEN_ITSELF };

enum option_bit { BIT_FORCE = 1, BIT_QUICK = 2, BIT_BUCKET = 4, BIT_SINCE = 8, BIT_FOLLOW = 16, BIT_TOKEN = 32 };

enum argument { ARG_NONE, ARG_OPTIONAL, ARG_FILE, ARG_NEW /* the word new and a name */ };

static const struct command {
    const char *name;
    tool_command *run;
    enum opening opening;
    enum argument argument;
    unsigned options;
    const char *usage, *help;
} commands[] = {
    {"run", command_run, OPEN_EXISTING, ARG_NONE, BIT_FORCE, "run [--force]",
     "expire, settle leases, drop old markers, checkpoint; --force: even where commits were lost"},
    {"check", command_check, OPEN_INSPECT, ARG_NONE, 0, "check",
     "integrity, and what the store promises of its contents"},
    {"stats", command_stats, OPEN_EXISTING, ARG_NONE, 0, "stats", "sizes, buckets, topics"},
    {"backup", command_backup, OPEN_EXISTING, ARG_FILE, BIT_FORCE | BIT_QUICK, "backup [--force] [--quick] FILE",
     "a consistent copy, while the database is in use"},
    {"restore", command_restore, OPEN_ITSELF, ARG_FILE, BIT_FORCE, "restore [--force] FILE",
     "the content of a backup, while nothing uses the database"},
    {"dump", command_dump, OPEN_INSPECT, ARG_OPTIONAL, BIT_FORCE | BIT_BUCKET, "dump [--bucket NAME] [--force] [FILE]",
     "everything as JSON, one object a line"},
    {"load", command_load, OPEN_CREATE, ARG_OPTIONAL, 0, "load [FILE]", "what dump wrote, into empty buckets"},
    {"compact", command_compact, OPEN_EXISTING, ARG_NONE, BIT_FORCE, "compact [--force]",
     "give free pages back to the file system; writers wait"},
    {"tail", command_tail, OPEN_EXISTING, ARG_NONE, BIT_BUCKET | BIT_SINCE | BIT_FOLLOW,
     "tail [--bucket NAME] [--since REVISION] [--follow]", "the changes of a bucket, one JSON object a line"},
    {"token", command_token, OPEN_ITSELF, ARG_NEW, BIT_BUCKET | BIT_TOKEN,
     "token new NAME [--scope SCOPE] [--bucket NAME] [--key PREFIX] [--topic NAME] [--expires DATE]",
     "an access token, and the lines of kvs.conf that let it in"},
};

static void help(void)
{
    fputs("Usage: kvs-maint [OPTION]... [COMMAND [ARGUMENT]]\n"
          "Maintains the database of a key-value store and queue, beside whatever else uses it.\n"
          "\n",
          stdout);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  %s\n        %s%s\n", commands[i].usage, commands[i].help,
               i == 0 ? " (where no command is given)" : "");
    fputs("\n"
          "  --db PATH      the database (default: KV_DB_PATH or db_path)\n"
          "  --config FILE  read this configuration file\n"
          "  --quiet        print nothing where all is well\n"
          "  --json         print the result as JSON\n"
          "  --help, --version\n"
          "\n"
          "Exit status: 0 done, 1 a problem was found or it failed, 2 wrong use.  See kvs-maint(8), kvs.conf(5).\n",
          stdout);
}

static int usage(void)
{
    log_line(LOG_ERROR, "kvs-maint --help says more");
    return TOOL_USAGE;
}

enum {
    OPT_HELP = 1,
    OPT_VERSION,
    OPT_CONFIG,
    OPT_DB,
    OPT_QUIET,
    OPT_JSON,
    OPT_FORCE,
    OPT_QUICK,
    OPT_BUCKET,
    OPT_SINCE,
    OPT_FOLLOW,
    OPT_SCOPE,
    OPT_KEY,
    OPT_TOPIC,
    OPT_EXPIRES
};

struct given {
    unsigned options; /* of those that only some commands have */
    const char *db;
};

static int bad_value(const char *what)
{
    log_line(LOG_ERROR, "%s", what);
    return usage();
}

static int take_again(struct tool_values *values, const char *value)
{
    if (values->count == TOOL_VALUES_MAX)
        return bad_value("an option was given too often");
    values->list[values->count++] = value;
    return -1;
}

/* Where one bucket is meant, the last one given. */
static bool one_bucket(struct tool *tool)
{
    const char *value = tool->buckets.count ? tool->buckets.list[tool->buckets.count - 1] : NULL;

    tool->bucket = value;
    if (!value || fields_is_bucket_name(value, strlen(value)))
        return true;
    log_line(LOG_ERROR, "--bucket needs a bucket's name: 1 to 64 of A-Z a-z 0-9 _ -");
    return false;
}

static int take_since(struct tool *tool, const char *value)
{
    size_t len = strlen(value);

    if (len == 0 || len > 18 || strspn(value, "0123456789") != len)
        return bad_value("--since needs a revision: an integer of at least 0");
    tool->since = strtoll(value, NULL, 10);
    return -1;
}

/* What a new token is to be like. */
static int take_token_option(struct tool *tool, struct given *given, int option, const char *value)
{
    given->options |= BIT_TOKEN;
    switch (option) {
    case OPT_SCOPE:
        tool->scope = value;
        return -1;
    case OPT_EXPIRES:
        tool->expires = value;
        return -1;
    case OPT_KEY:
        return take_again(&tool->keys, value);
    case OPT_TOPIC:
        return take_again(&tool->topics, value);
    default:
        return usage();
    }
}

/* One option.  Returns -1 to go on, else the exit status. */
static int take_option(struct tool *tool, struct given *given, int option, const char *value)
{
    switch (option) {
    case OPT_HELP:
        help();
        return TOOL_DONE;
    case OPT_VERSION:
        puts("kvs-maint " PACKAGE_VERSION);
        return TOOL_DONE;
    case OPT_CONFIG:
        return setenv("KVS_CONFIG", value, 1) == 0 ? -1 : TOOL_PROBLEM;
    case OPT_DB:
        given->db = value;
        return -1;
    case OPT_QUIET:
        tool->quiet = true;
        return -1;
    case OPT_JSON:
        tool->json = true;
        return -1;
    case OPT_FORCE:
        tool->force = true;
        given->options |= BIT_FORCE;
        return -1;
    case OPT_QUICK:
        tool->quick = true;
        given->options |= BIT_QUICK;
        return -1;
    case OPT_FOLLOW:
        tool->follow = true;
        given->options |= BIT_FOLLOW;
        return -1;
    case OPT_BUCKET:
        given->options |= BIT_BUCKET;
        return take_again(&tool->buckets, value);
    case OPT_SINCE:
        given->options |= BIT_SINCE;
        return take_since(tool, value);
    default:
        return take_token_option(tool, given, option, value);
    }
}

static int take_options(struct tool *tool, struct given *given, int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, OPT_HELP},
                                            {"version", no_argument, NULL, OPT_VERSION},
                                            {"config", required_argument, NULL, OPT_CONFIG},
                                            {"db", required_argument, NULL, OPT_DB},
                                            {"quiet", no_argument, NULL, OPT_QUIET},
                                            {"json", no_argument, NULL, OPT_JSON},
                                            {"force", no_argument, NULL, OPT_FORCE},
                                            {"quick", no_argument, NULL, OPT_QUICK},
                                            {"bucket", required_argument, NULL, OPT_BUCKET},
                                            {"since", required_argument, NULL, OPT_SINCE},
                                            {"follow", no_argument, NULL, OPT_FOLLOW},
                                            {"scope", required_argument, NULL, OPT_SCOPE},
                                            {"key", required_argument, NULL, OPT_KEY},
                                            {"topic", required_argument, NULL, OPT_TOPIC},
                                            {"expires", required_argument, NULL, OPT_EXPIRES},
                                            {NULL, 0, NULL, 0}};
    int option;

    opterr = 0; /* what is wrong is said in the one form that messages have */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?') {
            log_line(LOG_ERROR, "%s: not an option, or its value is missing or too many", argv[optind - 1]);
            return usage();
        }
        int status = take_option(tool, given, option, optarg);
        if (status >= 0)
            return status;
    }
    return -1;
}

/* The command and its argument.  NULL with a logged message where they are wrong. */
static const struct command *take_command(struct tool *tool, const struct given *given, int argc, char **argv)
{
    const char *name = argc > 0 ? argv[0] : "run";
    const struct command *c = NULL;

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            c = &commands[i];
    if (!c) {
        log_line(LOG_ERROR, "%s: no such command", name);
        return NULL;
    }
    if (given->options & ~c->options) {
        log_line(LOG_ERROR, "%s does not have this option: kvs-maint %s", c->name, c->usage);
        return NULL;
    }
    static const struct {
        int least, most;
    } counts[] = {[ARG_NONE] = {1, 1}, [ARG_OPTIONAL] = {1, 2}, [ARG_FILE] = {2, 2}, [ARG_NEW] = {3, 3}};
    int least = counts[c->argument].least, most = counts[c->argument].most;
    if (argc > most || (argc < least && argc > 0)) {
        log_line(LOG_ERROR, "%s: kvs-maint %s", argc > most ? "an argument too many" : "an argument is missing",
                 c->usage);
        return NULL;
    }
    if (c->argument == ARG_NEW && strcmp(argv[1], "new") != 0) {
        log_line(LOG_ERROR, "%s: kvs-maint %s", argv[1], c->usage);
        return NULL;
    }
    tool->file = argc > 1 ? argv[argc - 1] : NULL;
    return c->argument == ARG_NEW || one_bucket(tool) ? c : NULL;
}

static const char *user_name(void)
{
    const struct passwd *user = getpwuid(geteuid());
    return user ? user->pw_name : "this";
}

/* A maintenance run must not make a database where there is none: its path may be wrong. */
static bool database_exists(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0)
        return true;
    if (errno == ENOENT)
        log_line(LOG_ERROR, "there is no database %s: set KV_DB_PATH, db_path in kvs.conf, or --db", path);
    else
        log_line(LOG_ERROR, "user %s cannot reach the database %s: %s", user_name(), path, strerror(errno));
    return false;
}

static int run(struct tool *tool, const struct command *c)
{
    char message[MESSAGE];

    if (c->opening == OPEN_ITSELF)
        return c->run(tool);
    if (c->opening != OPEN_CREATE && !database_exists(tool->config.db_path))
        return TOOL_PROBLEM;
    enum kvs_mode mode = c->opening == OPEN_INSPECT             ? KVS_INSPECT
                         : c->run == command_run && tool->force ? KVS_ACCEPT
                                                                : KVS_TOOL;
    tool->kvs = kvs_open(&tool->config, mode, message, sizeof message);
    if (!tool->kvs) {
        log_line(LOG_ERROR, "%s (user %s)", message, user_name());
        return TOOL_PROBLEM;
    }
    int status = c->run(tool);
    kvs_close(tool->kvs);
    return status;
}

/* What could not be printed was not said. */
static int flush(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    tool_failed_errno("cannot write to", "standard output");
    return TOOL_PROBLEM;
}

int main(int argc, char **argv)
{
    struct tool tool = {.since = -1, .scope = "read"};
    struct given given = {0};
    char message[MESSAGE];

    log_init(program, LOG_INFO, false);
    tool_json_init();
    int status = take_options(&tool, &given, argc, argv);
    if (status >= 0)
        return flush(status);
    const struct command *command = take_command(&tool, &given, argc - optind, argv + optind);
    if (!command)
        return usage();
    if (!config_load(&tool.config, argv[0], message, sizeof message)) {
        log_line(LOG_ERROR, "%s", message);
        status = TOOL_PROBLEM;
    } else if (given.db && !config_set(&tool.config, "db_path", given.db, message, sizeof message)) {
        log_line(LOG_ERROR, "%s", message);
        status = usage();
    } else {
        log_init(program, tool.config.log_level, tool.config.log_json);
        status = flush(run(&tool, command));
    }
    config_free(&tool.config);
    return status;
}
