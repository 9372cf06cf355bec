/*
 * The one table of errors.  Functions that can fail return enum error_code; what to tell the client goes into a struct
 * error that the request owns.
 */
#ifndef KVS_ERROR_H
#define KVS_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* X(enumerator, HTTP status, name in answers, default message) */
#define ERROR_MAP(X)                                                                                                   \
    X(ERR_OK, 200, "ok", "")                                                                                           \
    X(ERR_BAD_JSON, 400, "bad_json", "the body is not valid JSON")                                                     \
    X(ERR_BAD_REQUEST, 400, "bad_request", "the request is not valid")                                                 \
    X(ERR_UNAUTHORIZED, 401, "unauthorized", "a valid access token is needed: Authorization: Bearer <token>")          \
    X(ERR_FORBIDDEN, 403, "forbidden", "the token's scope does not cover this operation")                              \
    X(ERR_NOT_FOUND, 404, "not_found", "no such endpoint")                                                             \
    X(ERR_NO_BUCKET, 404, "no_bucket", "no such bucket")                                                               \
    X(ERR_METHOD, 405, "method_not_allowed", "this endpoint does not answer this method")                              \
    X(ERR_CONFLICT, 409, "conflict", "the current state is not the expected one")                                      \
    X(ERR_COMPACTED, 410, "compacted", "changes that far back are no longer held")                                     \
    X(ERR_TOO_LARGE, 413, "too_large", "over a limit")                                                                 \
    X(ERR_MEDIA, 415, "unsupported_media", "the body must be application/json")                                        \
    X(ERR_NOT_A_NUMBER, 422, "not_a_number", "the value is not a number that can be incremented")                      \
    X(ERR_INTERNAL, 500, "internal", "an internal error; the log says more")                                           \
    X(ERR_CORRUPT, 500, "internal", "the database is damaged; run kvs-maint check")                                    \
    X(ERR_UNKNOWN_OUTCOME, 500, "internal", "the write could not be confirmed: it may or may not have been stored")    \
    X(ERR_NO_MEMORY, 503, "busy", "out of memory for this request; try again")                                         \
    X(ERR_BUSY, 503, "busy", "no write slot before the deadline; try again")                                           \
    X(ERR_STOPPING, 503, "stopping", "the server is stopping; try again")                                              \
    X(ERR_BUCKET_FULL, 507, "full", "the bucket is at its limit; nothing was changed")                                 \
    X(ERR_FULL, 507, "full", "no space left; nothing was changed")

enum error_code {
#define ERROR_ENUM(e, status, name, text) e,
    ERROR_MAP(ERROR_ENUM)
#undef ERROR_ENUM
};

enum { ERROR_FIELD_MAX = 128, ERROR_MESSAGE_MAX = 320 };

/* What one failed request tells its client.  Plain data, no owned memory. */
struct error {
    enum error_code code;
    char field[ERROR_FIELD_MAX];     /* path of the field to blame, or "" */
    char message[ERROR_MESSAGE_MAX]; /* "" means the table's text */
    bool has_current;                /* a conflict: revision and version are those of the key now */
    bool missing;                    /* ... and the key is missing: both are null */
    bool has_revision;               /* revision alone is meant (compacted: where to start from) */
    int64_t revision;
    int64_t version;
};

#define ERROR_INIT                                                                                                     \
    {                                                                                                                  \
        .code = ERR_OK                                                                                                 \
    }

/* As ERROR_INIT, without a touch to the bytes behind the ends of its texts. */
static inline void error_clear(struct error *err)
{
    err->code = ERR_OK;
    err->field[0] = err->message[0] = '\0';
    err->has_current = err->missing = err->has_revision = false;
    err->revision = err->version = 0;
}

int error_status(enum error_code code);
const char *error_name(enum error_code code);
const char *error_text(enum error_code code);

/*
 * Fills err (which may be NULL) and returns code, so that `return error_set(…)` reads as one thing.  field may be NULL.
 * Over-long texts are cut at a character boundary.
 */
__attribute__((format(printf, 4, 5))) enum error_code error_set(struct error *err, enum error_code code,
                                                                const char *field, const char *fmt, ...);

/* A conflict with the key's current revision and version; revision 0 means that the key is missing. */
enum error_code error_conflict(struct error *err, const char *field, int64_t revision, int64_t version,
                               const char *message);

#endif
