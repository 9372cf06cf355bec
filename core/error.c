#include "error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

static const struct {
    int status;
    const char *name, *text;
} table[] = {
#define ERROR_ROW(e, status, name, text) [e] = {status, name, text},
    ERROR_MAP(ERROR_ROW)
#undef ERROR_ROW
};

int error_status(enum error_code code)
{
    return table[code].status;
}

const char *error_name(enum error_code code)
{
    return table[code].name;
}

const char *error_text(enum error_code code)
{
    return table[code].text;
}

/*
 * Formats into out.  A character that the end of the room cuts goes altogether, and what callers put in from outside
 * cannot bring control characters or broken UTF-8 into an answer.
 */
__attribute__((format(printf, 3, 0))) static void fill(char *out, size_t size, const char *fmt, va_list ap)
{
    int wanted = vsnprintf(out, size, fmt, ap);
    if (wanted < 0)
        out[0] = '\0';
    size_t len = strlen(out);
    if (wanted >= (int)size) {
        size_t lead = len;
        while (lead > 0 && len - lead < 3 && ((unsigned char)out[lead - 1] & 0xc0) == 0x80)
            lead--;
        if (lead > 0 && (unsigned char)out[lead - 1] >= 0xc0 && utf8_char(out + lead - 1, len - lead + 1) == 0)
            out[len = lead - 1] = '\0';
    }
    utf8_clean(out, len);
}

__attribute__((format(printf, 3, 4))) static void fill_args(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(out, size, fmt, ap);
    va_end(ap);
}

enum error_code error_set(struct error *err, enum error_code code, const char *field, const char *fmt, ...)
{
    if (!err)
        return code;
    *err = (struct error){.code = code};
    fill_args(err->field, sizeof(err->field), "%s", field ? field : "");
    va_list ap;
    va_start(ap, fmt);
    fill(err->message, sizeof(err->message), fmt, ap);
    va_end(ap);
    return code;
}

enum error_code error_conflict(struct error *err, const char *field, int64_t revision, int64_t version,
                               const char *message)
{
    error_set(err, ERR_CONFLICT, field, "%s", message ? message : "");
    if (!err)
        return ERR_CONFLICT;
    err->has_current = true;
    err->missing = revision == 0;
    err->revision = revision;
    err->version = err->missing ? 0 : version;
    return ERR_CONFLICT;
}
