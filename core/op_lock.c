#include <sodium.h>
#include <string.h>

#include "clock.h"
#include "ops.h"

enum { NAME_MAX_BYTES = 256, OWNER_MAX = 256, TOKEN_BYTES = 16, TOKEN_TEXT = 2 * TOKEN_BYTES + 1, WAIT_MAX = 25000 };

static const int64_t ttl_max = INT64_C(1) << 53;

struct lock_args {
    const char *name, *owner, *token;
    size_t name_len, owner_len, token_len;
    int64_t ttl;
};

/* A row of the table; a lock whose time is over is free, whether or not its row is still there. */
struct lock {
    bool held;
    const char *token, *owner;
    size_t token_len, owner_len;
    int64_t fence, expires;
};

static enum error_code parse(struct call *call, const char *const *names, struct fields *f, struct lock_args **args)
{
    struct lock_args *a = call_args(call, sizeof *a);
    if (!a)
        return ERR_NO_MEMORY;
    *args = a;
    enum error_code rc = call_fields(call, f, names);
    return rc ? rc : fields_str_required(f, "name", 1, NAME_MAX_BYTES, &a->name, &a->name_len);
}

enum error_code lock_acquire_parse(struct call *call)
{
    static const char *const names[] = {"name", "ttl", "owner", "waitMs", NULL};
    struct lock_args *a;
    struct fields f;
    int64_t wait = 0;
    enum error_code rc = parse(call, names, &f, &a);
    if (!rc)
        rc = fields_int_required(&f, "ttl", 1, ttl_max, &a->ttl);
    if (!rc)
        rc = fields_str(&f, "owner", 0, OWNER_MAX, &a->owner, &a->owner_len);
    if (!rc)
        rc = fields_int(&f, "waitMs", 0, WAIT_MAX, &wait);
    if (rc)
        return rc;
    if (wait)
        call->wait_until = clock_mono() + wait;
    call->wait = (struct wait){.kind = WAIT_LOCK, .name = a->name, .len = a->name_len};
    return ERR_OK;
}

enum error_code lock_renew_parse(struct call *call)
{
    static const char *const names[] = {"name", "token", "ttl", NULL};
    struct lock_args *a;
    struct fields f;
    enum error_code rc = parse(call, names, &f, &a);
    if (!rc)
        rc = fields_str_required(&f, "token", 1, OWNER_MAX, &a->token, &a->token_len);
    return rc ? rc : fields_int_required(&f, "ttl", 1, ttl_max, &a->ttl);
}

enum error_code lock_release_parse(struct call *call)
{
    static const char *const names[] = {"name", "token", NULL};
    struct lock_args *a;
    struct fields f;
    enum error_code rc = parse(call, names, &f, &a);
    return rc ? rc : fields_str_required(&f, "token", 1, OWNER_MAX, &a->token, &a->token_len);
}

static enum error_code find(struct txn *t, const struct lock_args *a, struct lock *lock)
{
    struct db_query *q = db_start(t->db, SQL_LOCK_FIND, DB_TEXT(a->name, a->name_len));
    enum error_code rc = ERR_OK;

    *lock = (struct lock){.held = false};
    if (db_step(q)) {
        const char *token = db_text(q, 0, &lock->token_len);
        lock->token = arena_dup(&t->arena, token, lock->token_len);
        const char *owner = db_text(q, 1, &lock->owner_len);
        lock->owner = db_is_null(q, 1) ? NULL : arena_dup(&t->arena, owner, lock->owner_len);
        lock->fence = db_int(q, 2);
        lock->expires = db_int(q, 3);
        lock->held = lock->expires > t->now;
        if (!lock->token || (!lock->owner && !db_is_null(q, 1)))
            rc = ERR_NO_MEMORY;
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

static enum error_code put(struct txn *t, const struct lock_args *a, const struct lock *lock)
{
    return db_run(t->db, SQL_LOCK_PUT, DB_TEXT(a->name, a->name_len), DB_TEXT(lock->token, lock->token_len),
                  lock->owner ? DB_TEXT(lock->owner, lock->owner_len) : DB_NULL, DB_INT(lock->fence),
                  DB_INT(lock->expires));
}

static void answer_start(struct call *call, bool ok)
{
    json_out_object(&call->json);
    json_out_name(&call->json, "ok");
    json_out_bool(&call->json, ok);
}

static void answer_expiry(struct call *call, int64_t expires)
{
    json_out_name(&call->json, "expiresAt");
    json_out_int(&call->json, expires);
    json_out_end(&call->json);
}

static void answer_held(struct call *call, const struct lock *lock)
{
    answer_start(call, false);
    json_out_name(&call->json, "owner");
    if (lock->owner)
        json_out_str(&call->json, lock->owner, lock->owner_len);
    else
        json_out_null(&call->json);
    answer_expiry(call, lock->expires);
    call->empty = true;
}

enum error_code lock_acquire(struct call *call, struct txn *t)
{
    const struct lock_args *a = call->args;
    unsigned char bytes[TOKEN_BYTES];
    char token[TOKEN_TEXT];
    struct lock lock;
    enum error_code rc = find(t, a, &lock);

    if (rc)
        return rc;
    if (lock.held) {
        answer_held(call, &lock);
        return ERR_OK;
    }
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(token, sizeof token, bytes, sizeof bytes);
    lock = (struct lock){.token = token,
                         .token_len = TOKEN_TEXT - 1,
                         .owner = a->owner,
                         .owner_len = a->owner_len,
                         .fence = txn_next_fence(t),
                         .expires = t->now + a->ttl};
    rc = put(t, a, &lock);
    if (rc)
        return rc;
    answer_start(call, true);
    json_out_name(&call->json, "token");
    json_out_cstr(&call->json, token);
    json_out_name(&call->json, "fence");
    json_out_int(&call->json, lock.fence);
    answer_expiry(call, lock.expires);
    return ERR_OK;
}

/* Held, and by the holder of this token. */
static bool is_holder(const struct lock *lock, const struct lock_args *a)
{
    return lock->held && lock->token_len == a->token_len && sodium_memcmp(lock->token, a->token, a->token_len) == 0;
}

enum error_code lock_renew(struct call *call, struct txn *t)
{
    const struct lock_args *a = call->args;
    struct lock lock;
    enum error_code rc = find(t, a, &lock);
    bool ok = !rc && is_holder(&lock, a);

    if (ok) {
        lock.expires = t->now + a->ttl;
        rc = put(t, a, &lock);
    }
    answer_start(call, ok);
    if (ok)
        answer_expiry(call, lock.expires);
    else
        json_out_end(&call->json);
    return rc;
}

enum error_code lock_release(struct call *call, struct txn *t)
{
    const struct lock_args *a = call->args;
    struct lock lock;
    enum error_code rc = find(t, a, &lock);
    bool ok = !rc && is_holder(&lock, a);

    if (ok)
        rc = db_run(t->db, SQL_LOCK_DROP, DB_TEXT(a->name, a->name_len));
    answer_start(call, ok);
    json_out_end(&call->json);
    return rc;
}
