/* error: the table, and messages that are whole characters whatever went into them. */
#include "error.h"

#include "tap.h"
#include "utf8.h"

static void test_table(void)
{
    static const struct {
        enum error_code code;
        int status;
        const char *name;
    } want[] = {
        {ERR_OK, 200, "ok"},
        {ERR_BAD_JSON, 400, "bad_json"},
        {ERR_BAD_REQUEST, 400, "bad_request"},
        {ERR_UNAUTHORIZED, 401, "unauthorized"},
        {ERR_FORBIDDEN, 403, "forbidden"},
        {ERR_NOT_FOUND, 404, "not_found"},
        {ERR_NO_BUCKET, 404, "no_bucket"},
        {ERR_METHOD, 405, "method_not_allowed"},
        {ERR_CONFLICT, 409, "conflict"},
        {ERR_COMPACTED, 410, "compacted"},
        {ERR_TOO_LARGE, 413, "too_large"},
        {ERR_MEDIA, 415, "unsupported_media"},
        {ERR_NOT_A_NUMBER, 422, "not_a_number"},
        {ERR_INTERNAL, 500, "internal"},
        {ERR_CORRUPT, 500, "internal"},
        {ERR_UNKNOWN_OUTCOME, 500, "internal"},
        {ERR_NO_MEMORY, 503, "busy"},
        {ERR_BUSY, 503, "busy"},
        {ERR_STOPPING, 503, "stopping"},
        {ERR_FULL, 507, "full"},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        is_int(error_status(want[i].code), want[i].status, "status of %s", want[i].name);
        is_str(error_name(want[i].code), want[i].name, "name of %s", want[i].name);
        ok((error_text(want[i].code)[0] != '\0') == (want[i].code != ERR_OK), "text of %s", want[i].name);
    }
}

static void test_set(void)
{
    struct error e = {.code = ERR_OK, .has_current = true, .missing = true, .revision = 5, .has_revision = true};
    is_int(error_set(&e, ERR_TOO_LARGE, "value", "over %d bytes", 12), ERR_TOO_LARGE, "set returns the code");
    is_int(e.code, ERR_TOO_LARGE, "and keeps it");
    is_str(e.field, "value", "the field");
    is_str(e.message, "over 12 bytes", "the message");
    ok(!e.has_current && !e.missing && !e.has_revision && e.revision == 0, "nothing is left of an earlier error");
    error_set(&e, ERR_BUSY, NULL, "%s", "");
    ok(e.field[0] == '\0' && e.message[0] == '\0', "no field and no message");
    is_int(error_set(NULL, ERR_FULL, "x", "y"), ERR_FULL, "nowhere to put it");
}

/* A text of n bytes x, then copies of a character, cut by the room: the longest whole start of it. */
static void test_cut(const char *character)
{
    size_t width = strlen(character);
    bool good = true;
    for (size_t n = 0; n <= ERROR_MESSAGE_MAX; n++) {
        char text[2 * ERROR_MESSAGE_MAX];
        memset(text, 'x', n);
        size_t len = n;
        for (; len + width < sizeof(text); len += width)
            memcpy(text + len, character, width);
        text[len] = '\0';
        struct error e;
        error_set(&e, ERR_INTERNAL, text, "%s", text);
        size_t mlen = strlen(e.message), flen = strlen(e.field);
        good = good && mlen < ERROR_MESSAGE_MAX && mlen + width >= ERROR_MESSAGE_MAX && flen < ERROR_FIELD_MAX &&
               flen + width >= ERROR_FIELD_MAX && memcmp(e.message, text, mlen) == 0 &&
               memcmp(e.field, text, flen) == 0 && utf8_valid(e.message, mlen) == mlen &&
               utf8_valid(e.field, flen) == flen;
    }
    ok(good, "cut between characters of %zu bytes", width);
}

static void test_outside_text(void)
{
    struct error e;
    error_set(&e, ERR_BAD_REQUEST, "a\nb", "unknown field \"%.*s\"", 2, "\xe2\x82\xac");
    is_str(e.field, "a?b", "no control characters");
    is_str(e.message,
           "unknown field \"?"
           "?\"",
           "no broken characters");
    char exact[ERROR_MESSAGE_MAX];
    memset(exact, 'x', sizeof(exact));
    exact[sizeof(exact) - 1] = '\0';
    memcpy(exact + sizeof(exact) - 4, "\xe2\x82\xac", 3);
    error_set(&e, ERR_BAD_REQUEST, NULL, "%s", exact);
    is_str(e.message, exact, "a message that just fits stays whole");
}

static void test_conflict(void)
{
    struct error e;
    is_int(error_conflict(&e, "revision", 17, 3, "not the current one"), ERR_CONFLICT, "conflict returns its code");
    ok(e.code == ERR_CONFLICT && e.has_current && !e.missing && e.revision == 17 && e.version == 3, "of a key");
    is_str(e.field, "revision", "with its field");
    is_str(e.message, "not the current one", "and message");
    error_conflict(&e, NULL, 0, 9, NULL);
    ok(e.has_current && e.missing && e.revision == 0 && e.version == 0, "of a missing key");
    is_str(e.message, "", "without message");
    is_int(error_conflict(NULL, NULL, 1, 1, NULL), ERR_CONFLICT, "nowhere to put it");
}

int main(void)
{
    test_table();
    test_set();
    test_cut("x");
    test_cut("\xc3\xa9");
    test_cut("\xe2\x82\xac");
    test_cut("\xf0\x9f\x98\x80");
    test_outside_text();
    test_conflict();
    return done_testing();
}
