/* The configuration file: any bytes are read or refused, with a line that says why and shows no token. */
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "config_file.h"
#include "fuzz.h"

static char path[300];

static void remove_file(void)
{
    unlink(path);
}

static void make_file(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/kvs-fuzz-XXXXXX", base && base[0] ? base : "/tmp");
    close(mkstemp(path));
    atexit(remove_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = {0};
    char message[400] = "";
    bool found = false;

    if (!path[0])
        make_file();
    int fd = open(path, O_WRONLY | O_TRUNC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    bool good = config_file_read(&c, path, &found, message, sizeof message);
    must(found && good == (message[0] == '\0'));
    must(memchr(message, '\0', sizeof message) && !strchr(message, '\n'));
    config_free(&c);
    return 0;
}
