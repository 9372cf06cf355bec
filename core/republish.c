#include "republish.h"

#include <string.h>

#include "json_scan.h"
#include "message.h"

struct republish {
    struct filter *filter;
    const char *topic;
    size_t topic_len;
    bool meta_only;
};

static const char *const rule_names[] = {"filter", "topic", "metaOnly", NULL};

enum error_code republish_parse(const struct json_doc *doc, size_t node, const char *path, struct arena *arena,
                                struct republish **rule, struct error *err)
{
    struct republish *r = arena_zalloc(arena, 1, sizeof *r);
    struct fields f;

    if (!r)
        return ERR_NO_MEMORY;
    enum error_code rc = fields_open(&f, doc, node, path, rule_names, arena, err);
    size_t at = rc ? 0 : fields_find(&f, "filter");
    if (at)
        rc = filter_from_json(doc, at, fields_path(&f, "filter"), arena, &r->filter, err);
    if (!rc && !fields_find(&f, "topic"))
        rc = fields_missing(&f, "topic", "the topic to enqueue on");
    if (!rc)
        rc = fields_topic(&f, "topic", &r->topic, &r->topic_len);
    if (!rc)
        rc = fields_bool(&f, "metaOnly", &r->meta_only);
    *rule = r;
    return rc;
}

/* The rule of a bucket, parsed once a transaction. */
static enum error_code rule_of(struct txn *t, struct bucket *b, const struct republish **rule)
{
    struct json_doc doc;
    struct republish *parsed;
    static const char *const opaque[] = {NULL};

    if (!b->rule) {
        enum error_code rc =
            json_scan(&doc, b->options.republish, strlen(b->options.republish), opaque, &t->arena, NULL);
        if (!rc)
            rc = republish_parse(&doc, 0, "republish", &t->arena, &parsed, NULL);
        if (rc)
            return rc == ERR_NO_MEMORY ? rc : ERR_CORRUPT;
        b->rule = parsed;
    }
    *rule = b->rule;
    return ERR_OK;
}

/* {"bucket": …, "entry": …}, the entry as a watch sends it. */
static enum error_code payload_text(struct txn *t, const struct bucket *b, const struct entry *e, bool meta_only,
                                    struct buf *text)
{
    struct json_out out;
    struct entry copy = *e;

    json_out_init(&out, text);
    json_out_object(&out);
    json_out_name(&out, "bucket");
    json_out_cstr(&out, b->name);
    json_out_name(&out, "entry");
    enum error_code rc = entry_to_json(&out, &copy, meta_only, &t->arena);
    if (rc)
        return rc;
    json_out_end(&out);
    return buf_ok(text) ? ERR_OK : ERR_NO_MEMORY;
}

enum error_code republish_entry(struct txn *t, struct bucket *b, const struct entry *e)
{
    const struct republish *rule;
    struct buf text = BUF_INIT;
    bool duplicate;

    if (!b->options.republish)
        return ERR_OK;
    enum error_code rc = rule_of(t, b, &rule);
    if (rc || (rule->filter && !filter_matches(rule->filter, e->key.data, e->key.len)))
        return rc;
    rc = payload_text(t, b, e, rule->meta_only, &text);
    struct message m = {
        .topic = rule->topic,
        .topic_len = rule->topic_len,
        .deliver = t->now,
        .max_attempts = 3,
        .payload = {.data = (const unsigned char *)text.data,
                    .len = text.len,
                    .size = text.len,
                    .encoding = VALUE_JSON},
    };
    if (!rc)
        rc = message_enqueue(t, &m, &duplicate);
    buf_free(&text);
    return rc;
}
