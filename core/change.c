#include "change.h"

static enum error_code read_rows(struct db_query *q, int64_t bucket, int64_t since, const struct selector *selector,
                                 int64_t now, struct change_page *page, change_visit *visit, void *context)
{
    int64_t scanned = 0, revision = since;
    struct entry e;
    enum error_code rc = ERR_OK;

    page->more = false;
    page->matched = 0;
    while (!rc && db_step(q)) {
        bool full = page->matched >= page->limit || (page->scan && scanned >= page->scan);
        if (full && db_int(q, 1) != revision) {
            page->more = true;
            page->last = revision;
            break;
        }
        rc = entry_read(q, 0, bucket, &e);
        if (rc)
            break;
        revision = e.revision;
        scanned++;
        if (!selector_matches(selector, &e, now))
            continue;
        page->matched++;
        rc = visit(context, &e);
    }
    enum error_code end = db_end(q);
    return rc ? rc : end;
}

enum error_code change_read(struct db *db, int64_t bucket, int64_t since, enum change_depth depth,
                            const struct selector *selector, int64_t now, struct change_page *page, change_visit *visit,
                            void *context)
{
    enum sql_id sql = depth == CHANGE_ALL ? SQL_CHANGES : SQL_CHANGES_LATEST;
    return read_rows(db_start(db, sql, DB_INT(bucket), DB_INT(since)), bucket, since, selector, now, page, visit,
                     context);
}

enum error_code change_read_key(struct db *db, int64_t bucket, int64_t since, const struct selector *selector,
                                int64_t now, struct change_page *page, change_visit *visit, void *context)
{
    const struct key *key = &selector->keys[0];
    return read_rows(db_start(db, SQL_KEY_CHANGES, DB_INT(bucket), DB_BLOB(key->data, key->len), DB_INT(since)), bucket,
                     since, selector, now, page, visit, context);
}

enum error_code change_count(struct db *db, int64_t bucket, int64_t since, enum change_depth depth,
                             const struct selector *selector, int64_t now, int64_t *count)
{
    struct db_query *q =
        db_start(db, depth == CHANGE_ALL ? SQL_CHANGE_KEYS : SQL_CHANGE_KEYS_LATEST, DB_INT(bucket), DB_INT(since));
    struct entry e = {.revision = 0};

    *count = 0;
    while (db_step(q)) {
        e.key.data = db_blob(q, 0, &e.key.len);
        e.revision = db_int(q, 1);
        e.op = (enum entry_op)db_int(q, 2);
        e.expires = db_int(q, 3);
        *count += selector_matches(selector, &e, now);
    }
    return db_end(q);
}
