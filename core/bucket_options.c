#include "bucket_options.h"

#include <string.h>

#include "arena.h"
#include "republish.h"

enum { HISTORY_MAX = 1000, DESCRIPTION_MAX = 4096, METADATA_MAX = 65536 };

/* Any time that a person means, and never an overflow. */
static const int64_t ms_max = INT64_C(1) << 53;

static const char *const option_names[] = {"history", "ttl",         "maxValueSize", "maxBytes",
                                           "maxKeys", "description", "metadata",     "storage",
                                           "mirror",  "compression", "markerTtl",    "republish",
                                           "sources", "replicas",    "placement",    NULL};

static void mark(const struct fields *f, const char *name, enum bucket_named bit, unsigned *named)
{
    if (fields_find_null(f, name))
        *named |= (unsigned)bit;
}

/* An object of strings, kept as its text without white space. */
static enum error_code parse_metadata(const struct fields *f, struct bucket_options *o)
{
    size_t node = fields_find(f, "metadata"), len;
    const struct json_node *nodes = f->doc->nodes;

    if (!node)
        return ERR_OK;
    if (nodes[node].type != JSON_OBJECT)
        return fields_bad(f, "metadata", "an object of strings");
    for (size_t i = node + 1, n = 0; n < nodes[node].count; n++, i = nodes[i + 1].next)
        if (nodes[i + 1].type != JSON_STRING)
            return fields_bad(f, "metadata", "an object of strings");
    const char *text = json_text(f->doc, node, &len);
    if (len > METADATA_MAX)
        return error_set(f->err, ERR_TOO_LARGE, fields_path(f, "metadata"), "metadata is over the limit of %d bytes",
                         (int)METADATA_MAX);
    char *copy = arena_alloc(f->arena, len + 1);
    if (!copy)
        return ERR_NO_MEMORY;
    copy[json_compact(copy, text, len)] = '\0';
    o->metadata = copy;
    return ERR_OK;
}

static enum error_code parse_storage(const struct fields *f, struct bucket_options *o)
{
    size_t node = fields_find(f, "storage");

    if (!node)
        return ERR_OK;
    bool text = f->doc->nodes[node].type == JSON_STRING;
    if (text && json_is(f->doc, node, "file"))
        o->storage = BUCKET_FILE;
    else if (text && json_is(f->doc, node, "memory"))
        o->storage = BUCKET_MEMORY;
    else
        return fields_bad(f, "storage", "\"file\" or \"memory\"");
    return ERR_OK;
}

/* Checked, and kept as its text without white space; null takes it away. */
static enum error_code parse_republish(const struct fields *f, struct bucket_options *o)
{
    size_t node = fields_find_null(f, "republish"), len;
    struct republish *rule;

    if (!node)
        return ERR_OK;
    o->republish = NULL;
    if (f->doc->nodes[node].type == JSON_NULL)
        return ERR_OK;
    enum error_code rc = republish_parse(f->doc, node, fields_path(f, "republish"), f->arena, &rule, f->err);
    if (rc)
        return rc;
    const char *text = json_text(f->doc, node, &len);
    char *copy = arena_alloc(f->arena, len + 1);
    if (!copy)
        return ERR_NO_MEMORY;
    copy[json_compact(copy, text, len)] = '\0';
    o->republish = copy;
    return ERR_OK;
}

/* What only several servers could do. */
static enum error_code refuse_distribution(const struct fields *f)
{
    int64_t replicas = 1;
    size_t sources, node;
    enum error_code rc = fields_int(f, "replicas", INT64_MIN, INT64_MAX, &replicas);

    if (!rc && replicas != 1)
        rc = fields_bad(f, "replicas", "1: more need a distributed engine, which this server does not have");
    if (!rc && fields_find(f, "placement"))
        rc = fields_bad(f, "placement", "null: it needs a distributed engine, which this server does not have");
    if (!rc && fields_find(f, "mirror"))
        rc = fields_bad(f, "mirror", "null: this server does not follow other buckets");
    if (!rc)
        rc = fields_array(f, "sources", SIZE_MAX, &node, &sources);
    if (!rc && sources)
        rc = fields_bad(f, "sources", "empty: this server does not follow other buckets");
    return rc;
}

static enum error_code parse_numbers(const struct fields *f, struct bucket_options *o)
{
    enum error_code rc = fields_int(f, "history", 1, HISTORY_MAX, &o->history);
    if (!rc)
        rc = fields_int(f, "ttl", 0, ms_max, &o->ttl);
    if (!rc)
        rc = fields_int(f, "maxValueSize", -1, INT64_MAX, &o->max_value);
    if (!rc)
        rc = fields_int(f, "maxBytes", -1, INT64_MAX, &o->max_bytes);
    if (!rc)
        rc = fields_int(f, "maxKeys", -1, INT64_MAX, &o->max_keys);
    return rc ? rc : fields_int(f, "markerTtl", 0, ms_max, &o->marker_ttl);
}

static unsigned named_options(const struct fields *f)
{
    static const struct {
        const char *name;
        enum bucket_named bit;
    } bits[] = {
        {"history", NAMED_HISTORY},      {"ttl", NAMED_TTL},          {"maxValueSize", NAMED_MAX_VALUE},
        {"maxBytes", NAMED_MAX_BYTES},   {"maxKeys", NAMED_MAX_KEYS}, {"description", NAMED_DESCRIPTION},
        {"metadata", NAMED_METADATA},    {"storage", NAMED_STORAGE},  {"compression", NAMED_COMPRESSION},
        {"markerTtl", NAMED_MARKER_TTL},
    };
    unsigned named = 0;

    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if (fields_find(f, bits[i].name))
            named |= (unsigned)bits[i].bit;
    /* null means something here: no republishing. */
    mark(f, "republish", NAMED_REPUBLISH, &named);
    return named;
}

enum error_code bucket_options_parse(const struct fields *outer, struct bucket_options *o, unsigned *named)
{
    size_t node = fields_find(outer, "options"), len = 0;
    struct fields f;

    *named = 0;
    if (!node)
        return ERR_OK;
    enum error_code rc = fields_open(&f, outer->doc, node, "options", option_names, outer->arena, outer->err);
    if (!rc)
        rc = parse_numbers(&f, o);
    if (!rc)
        rc = fields_str(&f, "description", 0, DESCRIPTION_MAX, &o->description, &len);
    if (!rc && len != strlen(o->description) && fields_find(&f, "description"))
        rc = fields_bad(&f, "description", "a string without NUL");
    if (!rc)
        rc = parse_metadata(&f, o);
    if (!rc)
        rc = parse_storage(&f, o);
    if (!rc)
        rc = fields_bool(&f, "compression", &o->compression);
    if (!rc)
        rc = parse_republish(&f, o);
    if (!rc)
        rc = refuse_distribution(&f);
    if (!rc)
        *named = named_options(&f);
    return rc;
}

void bucket_options_take(struct bucket_options *to, const struct bucket_options *from, unsigned named)
{
    if (named & NAMED_HISTORY)
        to->history = from->history;
    if (named & NAMED_TTL)
        to->ttl = from->ttl;
    if (named & NAMED_MAX_VALUE)
        to->max_value = from->max_value;
    if (named & NAMED_MAX_BYTES)
        to->max_bytes = from->max_bytes;
    if (named & NAMED_MAX_KEYS)
        to->max_keys = from->max_keys;
    if (named & NAMED_DESCRIPTION)
        to->description = from->description;
    if (named & NAMED_METADATA)
        to->metadata = from->metadata;
    if (named & NAMED_STORAGE)
        to->storage = from->storage;
    if (named & NAMED_COMPRESSION)
        to->compression = from->compression;
    if (named & NAMED_MARKER_TTL)
        to->marker_ttl = from->marker_ttl;
    if (named & NAMED_REPUBLISH)
        to->republish = from->republish;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

const char *bucket_options_differ(const struct bucket_options *a, const struct bucket_options *b, unsigned named)
{
    const struct {
        enum bucket_named bit;
        const char *name;
        bool same;
    } rows[] = {
        {NAMED_HISTORY, "history", a->history == b->history},
        {NAMED_TTL, "ttl", a->ttl == b->ttl},
        {NAMED_MAX_VALUE, "maxValueSize", a->max_value == b->max_value},
        {NAMED_MAX_BYTES, "maxBytes", a->max_bytes == b->max_bytes},
        {NAMED_MAX_KEYS, "maxKeys", a->max_keys == b->max_keys},
        {NAMED_DESCRIPTION, "description", same_text(a->description, b->description)},
        {NAMED_METADATA, "metadata", same_text(a->metadata, b->metadata)},
        {NAMED_STORAGE, "storage", a->storage == b->storage},
        {NAMED_COMPRESSION, "compression", a->compression == b->compression},
        {NAMED_MARKER_TTL, "markerTtl", a->marker_ttl == b->marker_ttl},
        {NAMED_REPUBLISH, "republish", same_text(a->republish, b->republish)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((named & (unsigned)rows[i].bit) && !rows[i].same)
            return rows[i].name;
    return NULL;
}

enum error_code bucket_options_judge(const struct bucket_options *o, struct error *err)
{
    if (o->storage == BUCKET_MEMORY && o->republish)
        return error_set(
            err, ERR_BAD_REQUEST, "options.republish",
            "options.republish must be null where storage is \"memory\": the queue is in the durable file, "
            "and no transaction spans both");
    return ERR_OK;
}

static void limits(struct json_out *out, const struct bucket_options *o, int64_t max_value)
{
    int64_t value = o->max_value >= 0 && o->max_value < max_value ? o->max_value : max_value;

    json_out_name(out, "limits");
    json_out_object(out);
    json_out_name(out, "valueSize");
    json_out_int(out, value);
    json_out_name(out, "keySize");
    json_out_int(out, KEY_MAX);
    json_out_name(out, "keyParts");
    json_out_int(out, KEY_MAX_PARTS);
    json_out_name(out, "history");
    json_out_int(out, HISTORY_MAX);
    json_out_end(out);
}

void bucket_options_to_json(struct json_out *out, const struct bucket_options *o)
{
    json_out_name(out, "history");
    json_out_int(out, o->history);
    json_out_name(out, "ttl");
    json_out_int(out, o->ttl);
    json_out_name(out, "maxValueSize");
    json_out_int(out, o->max_value);
    json_out_name(out, "maxBytes");
    json_out_int(out, o->max_bytes);
    json_out_name(out, "maxKeys");
    json_out_int(out, o->max_keys);
    json_out_name(out, "description");
    json_out_cstr(out, o->description);
    json_out_name(out, "metadata");
    json_out_raw(out, o->metadata, strlen(o->metadata));
    json_out_name(out, "storage");
    json_out_cstr(out, o->storage == BUCKET_MEMORY ? "memory" : "file");
    json_out_name(out, "compression");
    json_out_bool(out, o->compression);
    json_out_name(out, "markerTtl");
    json_out_int(out, o->marker_ttl);
    json_out_name(out, "republish");
    if (o->republish)
        json_out_raw(out, o->republish, strlen(o->republish));
    else
        json_out_null(out);
    json_out_name(out, "mirror");
    json_out_null(out);
    json_out_name(out, "sources");
    json_out_array(out);
    json_out_end(out);
    json_out_name(out, "replicas");
    json_out_int(out, 1);
    json_out_name(out, "placement");
    json_out_null(out);
}

void bucket_status(struct json_out *out, const struct bucket *b, int64_t max_value)
{
    json_out_object(out);
    json_out_name(out, "name");
    json_out_cstr(out, b->name);
    bucket_options_to_json(out, &b->options);
    json_out_name(out, "values");
    json_out_int(out, b->held);
    json_out_name(out, "keys");
    json_out_int(out, b->keys);
    json_out_name(out, "bytes");
    json_out_int(out, b->bytes);
    json_out_name(out, "revision");
    json_out_int(out, b->revision);
    json_out_name(out, "compacted");
    json_out_int(out, b->compacted);
    limits(out, &b->options, max_value);
    json_out_name(out, "created");
    json_out_int(out, b->created);
    json_out_end(out);
}
