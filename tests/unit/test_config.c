/*
 * Configuration: every name, the order of file and environment, what is refused and with which words.
 */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "config_file.h"
#include "mem.h"
#include "tap.h"

static char dir[200];
static char file[256];

/* A file at path with this text and mode. */
static void put_at(const char *path, const char *text, size_t len, mode_t mode)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0 || chmod(path, mode) != 0) {
        perror(path);
        exit(1);
    }
}

static void put_file(const char *text, size_t len, mode_t mode)
{
    put_at(file, text, len, mode);
}

static void put_text(const char *text)
{
    put_file(text, strlen(text), 0600);
}

static const char *const variables[] = {
    "ACCESS_TOKEN",      "KV_DB_PATH",       "KVS_CONFIG",     "KVS_MEMORY_PATH",  "KVS_ALLOW_ORIGIN",
    "KVS_DURABILITY",    "KVS_MAX_BODY",     "KVS_MAX_VALUE",  "KVS_BUSY_TIMEOUT", "KVS_MAINT_INTERVAL",
    "KVS_DEDUPE_WINDOW", "KVS_STREAM_LIMIT", "KVS_IO_TIMEOUT", "KVS_LOG_LEVEL",    "KVS_LOG_FORMAT",
};

static void clear_environment(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

/* Loads with KVS_CONFIG at `file`. */
static bool load(struct config *c, char message[400])
{
    *message = 0;
    setenv("KVS_CONFIG", file, 1);
    return config_load(c, "/nonexistent/kvs.fcgi", message, 400);
}

static void test_defaults(void)
{
    struct config c;
    char message[400] = "";
    put_text("");
    ok(load(&c, message), "an empty file is fine: %s", message);
    ok(!c.access_token, "no token");
    is_str(c.db_path, "kv.db", "db_path");
    ok(!c.memory_path && !c.allow_origin, "no memory_path, no allow_origin");
    is_int(c.durability, DURABILITY_FULL, "durability");
    is_int(c.max_body, 16777216, "max_body");
    is_int(c.max_value, 1048576, "max_value");
    is_int(c.busy_timeout, 5000, "busy_timeout");
    is_int(c.maint_interval, 60, "maint_interval");
    is_int(c.dedupe_window, 120000, "dedupe_window");
    is_int(c.stream_limit, 25, "stream_limit");
    is_int(c.io_timeout, 10000, "io_timeout");
    is_int(c.log_level, LOG_INFO, "log_level");
    ok(!c.log_json, "log_format");
    config_free(&c);
    ok(!c.db_path && !c.access_token, "freed strings are gone");
    config_free(&c);
}

static void check_all(const struct config *c, const char *from)
{
    is_str(c->access_token, "se=cret", "access_token from %s", from);
    is_str(c->db_path, "/data/my kv.db", "db_path from %s", from);
    is_str(c->memory_path, "/dev/shm/x", "memory_path from %s", from);
    is_str(c->allow_origin, "https://example.org", "allow_origin from %s", from);
    is_int(c->durability, DURABILITY_RELAXED, "durability from %s", from);
    is_int(c->max_body, 2 * 1024 * 1024, "max_body from %s", from);
    is_int(c->max_value, 64 * 1024, "max_value from %s", from);
    is_int(c->busy_timeout, 0, "busy_timeout from %s", from);
    is_int(c->maint_interval, 7, "maint_interval from %s", from);
    is_int(c->dedupe_window, 8, "dedupe_window from %s", from);
    is_int(c->stream_limit, 9, "stream_limit from %s", from);
    is_int(c->io_timeout, 10, "io_timeout from %s", from);
    is_int(c->log_level, LOG_DEBUG, "log_level from %s", from);
    ok(c->log_json, "log_format from %s", from);
}

static const char all_names[] = "# a comment\n; another\n\n"
                                "access_token = se=cret\n"
                                "db_path=/data/my kv.db  \r\n"
                                "  memory_path = /dev/shm/x\n"
                                "\tallow_origin = https://example.org ; a note\n"
                                "durability: relaxed\n"
                                "max_body = 2m\nmax_value = 64K\nbusy_timeout = 0\nmaint_interval = 7\n"
                                "dedupe_window = 8\nstream_limit = 9\nio_timeout = 10\nlog_level = debug\n"
                                "log_format = json";

static void test_file(void)
{
    struct config c;
    char message[400];
    put_text(all_names);
    ok(load(&c, message), "a file with every name: %s", message);
    check_all(&c, "the file");
    config_free(&c);
}

static void set_all(void)
{
    static const char *const values[][2] = {
        {"ACCESS_TOKEN", "se=cret"},       {"KV_DB_PATH", "/data/my kv.db"},
        {"KVS_MEMORY_PATH", "/dev/shm/x"}, {"KVS_ALLOW_ORIGIN", " https://example.org "},
        {"KVS_DURABILITY", "relaxed"},     {"KVS_MAX_BODY", "2097152"},
        {"KVS_MAX_VALUE", "64k"},          {"KVS_BUSY_TIMEOUT", "0"},
        {"KVS_MAINT_INTERVAL", "7"},       {"KVS_DEDUPE_WINDOW", "8"},
        {"KVS_STREAM_LIMIT", "9"},         {"KVS_IO_TIMEOUT", "10"},
        {"KVS_LOG_LEVEL", "debug"},        {"KVS_LOG_FORMAT", "json"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        setenv(values[i][0], values[i][1], 1);
}

static void test_environment(void)
{
    struct config c;
    char message[400];
    put_text("access_token = other\ndb_path = other\nmemory_path = other\nallow_origin = other\ndurability = full\n"
             "max_body = 1\nmax_value = 1\nbusy_timeout = 1\nmaint_interval = 1\ndedupe_window = 1\nstream_limit = 1\n"
             "io_timeout = 1\nlog_level = error\nlog_format = text\n");
    set_all();
    ok(load(&c, message), "the environment over a file: %s", message);
    check_all(&c, "the environment");
    config_free(&c);
    clear_environment();

    setenv("ACCESS_TOKEN", "", 1);
    setenv("KVS_MAX_BODY", " ", 1);
    ok(load(&c, message), "empty variables: %s", message);
    is_str(c.access_token, "other", "an empty variable is as good as none");
    is_int(c.max_body, 1, "a blank one too");
    config_free(&c);
    clear_environment();

    setenv("KVS_MAX_BODY", "lots", 1);
    ok(!load(&c, message), "a bad variable is refused");
    ok(strstr(message, "KVS_MAX_BODY") && strstr(message, "integer"), "... by its name: %s", message);
    config_free(&c);
    clear_environment();
}

static const struct {
    const char *text;
    const char *words; /* that the message has, behind the file's name */
} bad_lines[] = {
    {"db_path = x\nbd_path = y\n", ":2: bd_path: there is no such name"},
    {"max_body = 1x\n", ":1: max_body: must be an integer"},
    {"\n\nmax_body = 0\n", ":3: max_body: must be an integer from 1"},
    {"max_body = 1025m\n", ":1: max_body:"},
    {"max_body = 99999999999999999999\n", ":1: max_body:"},
    {"max_body = 9999999999999g\n", ":1: max_body:"},
    {"max_body = -1\n", ":1: max_body:"},
    {"max_body = m\n", ":1: max_body:"},
    {"max_body = 1 m\n", ":1: max_body:"},
    {"max_body = 1.5m\n", ":1: max_body:"},
    {"max_body = 0x10\n", ":1: max_body:"},
    {"max_body =\n", ":1: max_body:"},
    {"busy_timeout = 1k\n", ":1: busy_timeout: must be an integer from 0"},
    {"stream_limit = 0\n", ":1: stream_limit:"},
    {"durability = on\n", ":1: durability: must be full or relaxed"},
    {"durability = full relaxed and more words\n", ":1: durability:"},
    {"log_level = loud\n", ":1: log_level: must be error, warning, info or debug"},
    {"log_format = xml\n", ":1: log_format: must be text or json"},
    {"access_token =\n", ":1: access_token: must not be empty"},
    {"db_path =  \n", ":1: db_path: must not be empty"},
    {"db_path = a\nmax_body = 1\ndb_path = b\n", ":3: db_path: given twice"},
    {"db_path = a\n  max_body = x\n", ":2: max_body:"},
    {"[server]\ndb_path = a\n", ":2: there is no section [server]"},
    {"db_path\n", ":1: must be: name = value"},
    {"max_body = 1\nnonsense\nmax_value = x\n", ":2: must be: name = value"},
    {"max_body = x\nnonsense\n", ":1: max_body:"},
    {"[open\n", ":1: must be: name = value"},
    {"= x\n", ":1: : there is no such name"},
};

static void test_bad_lines(void)
{
    for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines; i++) {
        struct config c;
        char message[400], want[400];
        put_text(bad_lines[i].text);
        ok(!load(&c, message), "bad line %zu is refused", i);
        snprintf(want, sizeof want, "%s%s", file, bad_lines[i].words);
        ok(strncmp(message, want, strlen(want)) == 0, "bad line %zu: %s", i, message);
        config_free(&c);
    }
}

static void test_long_line(void)
{
    struct config c;
    char message[400], text[2100] = "max_body = 1\ndb_path = ";
    size_t n = strlen(text);
    memset(text + n, 'x', 2000);
    strcpy(text + n + 2000, "\nmax_value = 1\n");
    put_text(text);
    ok(!load(&c, message), "a line that would be cut is refused");
    ok(strstr(message, ":2: the line is longer than"), "... by its number: %s", message);
    config_free(&c);
    put_file("max_body = 1\nmax_\0value = 2\n", 27, 0600);
    ok(!load(&c, message), "a NUL is refused");
    ok(strstr(message, ":2: there is a NUL byte"), "... by its line: %s", message);
    config_free(&c);
}

static void test_secrets_stay_secret(void)
{
    static const char *const texts[] = {"access_token = hunter2\nnope\n",
                                        "access_token = hunter2\naccess_token = hunter2\n",
                                        "access_token = hunter2\x01\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config c;
        char message[400];
        put_text(texts[i]);
        ok(!load(&c, message) && *message, "a bad file with a token is refused");
        ok(!strstr(message, "hunter2"), "the token is not told: %s", message);
        config_free(&c);
    }
    struct config c;
    char message[400];
    put_text("access_token = hunter2\n");
    chmod(file, 0604);
    ok(!load(&c, message) && !strstr(message, "hunter2"), "nor when the mode is wrong: %s", message);
    config_free(&c);
}

static const struct {
    mode_t mode;
    bool token, good;
    const char *words;
} modes[] = {
    {0600, true, true, ""},
    {0400, true, true, ""},
    {0640, true, true, ""},
    {0644, true, false, "others can read it"},
    {0604, true, false, "others can read it"},
    {0644, false, true, ""},
    {0664, false, false, "others can write it"},
    {0620, true, false, "others can write it"},
    {0602, false, false, "others can write it"},
    {0666, true, false, "others can write it"},
};

static void test_modes(void)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        static const char with[] = "access_token = t\n", without[] = "db_path = d\n";
        struct config c;
        char message[400];
        put_file(modes[i].token ? with : without, modes[i].token ? sizeof with - 1 : sizeof without - 1, modes[i].mode);
        is_int(load(&c, message), modes[i].good, "mode %04o %s token", (unsigned)modes[i].mode,
               modes[i].token ? "with a" : "without");
        ok(strstr(message, modes[i].words), "... says: %s", message);
        config_free(&c);
        unlink(file);
    }
}

static void test_owner(void)
{
    struct config c;
    char message[400];
    put_text("db_path = d\n");
    if (geteuid() == 0 && chown(file, 12345, (gid_t)-1) == 0) {
        ok(!load(&c, message), "a file of another user is refused");
        ok(strstr(message, "must belong to the user"), "... and says: %s", message);
        config_free(&c);
    }
    unlink(file);
    if (mkdir(file, 0700) == 0) {
        ok(!load(&c, message), "a directory is refused");
        ok(strstr(message, "is not a regular file"), "... and says: %s", message);
        config_free(&c);
        rmdir(file);
    }
    if (mkfifo(file, 0600) == 0) {
        ok(!load(&c, message), "a pipe is refused, not waited for");
        ok(strstr(message, "is not a regular file"), "... and says: %s", message);
        config_free(&c);
        unlink(file);
    }
}

static void test_missing(void)
{
    struct config c;
    char message[400];
    bool found = true;
    unlink(file);
    ok(!load(&c, message), "KVS_CONFIG naming no file is refused");
    ok(strstr(message, file) && strstr(message, "no such file"), "... and says: %s", message);
    config_free(&c);
    *message = 0;
    ok(config_file_read(&c, file, &found, message, sizeof message) && !found,
       "a missing file in a default place is fine");
    char below[300];
    put_text("");
    snprintf(below, sizeof below, "%s/x", file);
    ok(config_file_read(&c, below, &found, message, sizeof message) && !found, "so is one below no directory");
    unlink(file);
    if (symlink(file, file) == 0) {
        ok(!config_file_read(&c, file, &found, message, sizeof message), "one that cannot be opened is not");
        ok(strstr(message, file) && strstr(message, strerror(ELOOP)), "... and says: %s", message);
        unlink(file);
    }
}

/* kvs.conf beside the program, through a link to it; KVS_CONFIG before it. */
static void test_beside(void)
{
    struct config c;
    char message[400] = "", bin[220], program[240], conf[240], link[240], beside[240];
    snprintf(bin, sizeof bin, "%s/bin", dir);
    snprintf(program, sizeof program, "%s/kvs.fcgi", bin);
    snprintf(conf, sizeof conf, "%s/kvs.conf", bin);
    snprintf(link, sizeof link, "%s/link.fcgi", dir);
    snprintf(beside, sizeof beside, "%s/beside", bin);
    if (mkdir(bin, 0700) != 0 || symlink(program, link) != 0)
        perror(bin);
    put_at(program, "", 0, 0700);
    put_at(conf, "db_path = beside\n", strlen("db_path = beside\n"), 0600);
    unsetenv("KVS_CONFIG");
    ok(config_load(&c, program, message, sizeof message), "kvs.conf beside the program: %s", message);
    is_str(c.db_path, beside, "... is read, and what it calls beside lies beside it");
    config_free(&c);
    ok(config_load(&c, link, message, sizeof message), "through a link: %s", message);
    is_str(c.db_path, beside, "... it is beside the real program");
    config_free(&c);
    put_text("db_path = named\n");
    setenv("KVS_CONFIG", file, 1);
    ok(config_load(&c, program, message, sizeof message), "with KVS_CONFIG: %s", message);
    snprintf(beside, sizeof beside, "%s/named", dir);
    is_str(c.db_path, beside, "... that file alone is read");
    config_free(&c);
    chmod(conf, 0666);
    unsetenv("KVS_CONFIG");
    ok(!config_load(&c, program, message, sizeof message) && strstr(message, conf), "a bad default one is refused: %s",
       message);
    config_free(&c);
    unlink(conf);
    unlink(program);
    unlink(link);
    rmdir(bin);
}

/* kvs/kvs.conf beside the document root, before the home directory; absolute paths in a file stay what they are. */
static void test_beside_root(void)
{
    struct config c;
    char message[400] = "", root[220], private[220], conf[240], beside[240];
    snprintf(root, sizeof root, "%s/public", dir);
    snprintf(private, sizeof private, "%s/kvs", dir);
    snprintf(conf, sizeof conf, "%s/kvs.conf", private);
    snprintf(beside, sizeof beside, "%s/data/kv.db", private);
    if (mkdir(root, 0700) != 0 || mkdir(private, 0700) != 0)
        perror(root);
    put_at(conf, "db_path = data/kv.db\nmemory_path = /x/m\n", strlen("db_path = data/kv.db\nmemory_path = /x/m\n"),
           0600);
    unsetenv("KVS_CONFIG");
    setenv("DOCUMENT_ROOT", root, 1);
    ok(config_load(&c, "/nonexistent/kvs.cgi", message, sizeof message), "beside the document root: %s", message);
    is_str(c.file, conf, "... kvs/kvs.conf is read");
    is_str(c.db_path, beside, "... a relative path is meant from its directory");
    is_str(c.memory_path, "/x/m", "... an absolute one is not");
    config_free(&c);
    setenv("DOCUMENT_ROOT", "/", 1);
    ok(config_load(&c, "/nonexistent/kvs.cgi", message, sizeof message) && (!c.file || strcmp(c.file, conf) != 0),
       "beside / there is nothing");
    config_free(&c);
    setenv("DOCUMENT_ROOT", root, 1);
    put_at(conf, "access_token = sesame\ncolour = red\n", strlen("access_token = sesame\ncolour = red\n"), 0600);
    ok(!config_load(&c, "/nonexistent/kvs.cgi", message, sizeof message), "what cannot be used: %s", message);
    is_str(c.file, conf, "... is named all the same");
    is_str(c.access_token, "sesame", "... and its owner can be told by the token");
    config_free(&c);
    unsetenv("DOCUMENT_ROOT");
    unlink(conf);
    rmdir(private);
    rmdir(root);
}

static void test_set(void)
{
    struct config c;
    char message[400];
    put_text("");
    load(&c, message);
    ok(config_set(&c, "db_path", " /x/y ", message, sizeof message), "a name is set");
    is_str(c.db_path, "/x/y", "white space around a value is no part of it");
    ok(config_set(&c, "allow_origin", "*", message, sizeof message) && c.allow_origin, "an optional one is set");
    ok(config_set(&c, "allow_origin", "", message, sizeof message) && !c.allow_origin, "and unset");
    ok(!config_set(&c, "db_path", "a\nb", message, sizeof message), "control characters are refused");
    is_str(c.db_path, "/x/y", "a refused value changes nothing");
    ok(!config_set(&c, "max_value", "0", message, sizeof message) && c.max_value == 1048576,
       "nor does a refused number");
    is_str(message, "max_value: must be an integer from 1 to 943718400 bytes (the suffixes k, m and g are allowed)",
           "the message says what would be right");
    ok(config_set(&c, "max_value", "900M", message, sizeof message) && c.max_value == 943718400, "the greatest size");
    ok(!config_set(&c, "max_value", "1000000000", message, sizeof message) && strstr(message, "943718400"),
       "a value must fit a row of the database: %s", message);
    ok(!config_set(&c, "nothing", "1", message, sizeof message), "an unknown name is refused");
    is_str(message, "nothing: there is no such name", "... by its name");
    char small[8];
    ok(!config_set(&c, "nothing", "1", small, sizeof small) && strlen(small) == 7, "a short message is cut");
    mem_fail_after(0, 1);
    bool good = config_set(&c, "db_path", "z", message, sizeof message);
    mem_fail_after(-1, 0);
    ok(!good && strstr(message, "out of memory"), "out of memory is told");
    is_str(c.db_path, "/x/y", "... and changes nothing");
    config_free(&c);
}

static void test_load_no_memory(void)
{
    struct config c;
    char message[400];
    bool good = false;
    put_text(all_names);
    int failures = 0;
    for (long n = 0; n < 100 && !good; n++) {
        mem_fail_after(n, 1);
        good = load(&c, message);
        mem_fail_after(-1, 0);
        failures += !good && strstr(message, "out of memory");
        config_free(&c);
    }
    ok(good && failures >= 4, "each allocation may fail (%d)", failures);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.150s/kvs-config.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    snprintf(file, sizeof file, "%s/test.conf", dir);
    clear_environment();
    test_defaults();
    test_file();
    test_environment();
    test_bad_lines();
    test_long_line();
    test_secrets_stay_secret();
    test_modes();
    test_owner();
    test_missing();
    test_beside();
    test_beside_root();
    test_set();
    test_load_no_memory();
    unlink(file);
    rmdir(dir);
    return done_testing();
}
