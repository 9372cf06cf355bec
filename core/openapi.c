#include "openapi.h"

#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "openapi_data.h"

enum { NAME_MAX_LEN = 64 };

#define SCHEMAS "#/components/schemas/"

/* One word of a list of fields. */
struct field {
    const char *name, *type;
    size_t name_len, type_len;
    bool array, nullable, null_items, required;
};

static bool ends(const struct field *f, const char *with)
{
    size_t n = strlen(with);
    return f->type_len > n && memcmp(f->type + f->type_len - n, with, n) == 0;
}

/* The next word of the list, which *at moves behind; false at the end. */
static bool next_field(const char **at, struct field *f)
{
    *at += strspn(*at, " ");
    if (!**at)
        return false;
    *f = (struct field){.name = *at, .name_len = strcspn(*at, ":")};
    f->type = f->name + f->name_len + 1;
    f->type_len = strcspn(f->type, " ");
    *at = f->type + f->type_len;
    if ((f->required = ends(f, "!")))
        f->type_len--;
    bool null = ends(f, "?");
    f->type_len -= null;
    if ((f->array = ends(f, "[]")))
        f->type_len -= 2;
    f->nullable = null;
    if (f->array && (f->null_items = ends(f, "?")))
        f->type_len--;
    return true;
}

static bool is_type(const struct field *f, const char *type)
{
    return strlen(type) == f->type_len && memcmp(f->type, type, f->type_len) == 0;
}

static void member(struct json_out *o, const char *name, const char *value)
{
    json_out_name_str(o, name, strlen(name));
    json_out_cstr(o, value);
}

static void raw(struct json_out *o, const char *text)
{
    json_out_raw(o, text, strlen(text));
}

static void ref(struct json_out *o, const char *base, const char *name, size_t len)
{
    char target[NAME_MAX_LEN + 32];

    snprintf(target, sizeof target, "%s%.*s", base, (int)len, name);
    json_out_object(o);
    member(o, "$ref", target);
    json_out_end(o);
}

/* The members of a built-in type's schema. */
static void plain(struct json_out *o, const struct field *f, bool nullable)
{
    char type[NAME_MAX_LEN];
    bool base64 = is_type(f, "base64");

    snprintf(type, sizeof type, "%.*s", (int)f->type_len, f->type);
    json_out_object(o);
    if (!is_type(f, "any")) {
        json_out_name(o, "type");
        if (nullable)
            json_out_array(o);
        json_out_cstr(o, base64 ? "string" : type);
        if (nullable) {
            json_out_cstr(o, "null");
            json_out_end(o);
        }
    }
    if (base64)
        member(o, "contentEncoding", "base64");
    json_out_end(o);
}

static void item_schema(struct json_out *o, const struct field *f, bool nullable)
{
    bool named = f->type[0] >= 'A' && f->type[0] <= 'Z';

    if (!named) {
        plain(o, f, nullable);
        return;
    }
    if (nullable) {
        json_out_object(o);
        json_out_name(o, "oneOf");
        json_out_array(o);
    }
    ref(o, SCHEMAS, f->type, f->type_len);
    if (nullable) {
        raw(o, "{\"type\":\"null\"}");
        json_out_end(o);
        json_out_end(o);
    }
}

static void field_schema(struct json_out *o, const struct field *f)
{
    if (!f->array) {
        item_schema(o, f, f->nullable);
        return;
    }
    json_out_object(o);
    member(o, "type", "array");
    json_out_name(o, "items");
    item_schema(o, f, f->null_items);
    json_out_end(o);
}

static void object_schema(struct json_out *o, const char *fields)
{
    struct field f;
    bool some = false;

    json_out_object(o);
    member(o, "type", "object");
    json_out_name(o, "properties");
    json_out_object(o);
    for (const char *at = fields; next_field(&at, &f);) {
        json_out_name_str(o, f.name, f.name_len);
        field_schema(o, &f);
        some = some || f.required;
    }
    json_out_end(o);
    if (some) {
        json_out_name(o, "required");
        json_out_array(o);
        for (const char *at = fields; next_field(&at, &f);)
            if (f.required)
                json_out_str(o, f.name, f.name_len);
        json_out_end(o);
    }
    json_out_name(o, "additionalProperties");
    json_out_bool(o, false);
    json_out_end(o);
}

/* "content":{type:{"schema":…}}, of fields or, where there are none, any text. */
static void content(struct json_out *o, const char *type, const char *fields)
{
    json_out_name(o, "content");
    json_out_object(o);
    json_out_name_str(o, type, strlen(type));
    json_out_object(o);
    json_out_name(o, "schema");
    if (fields)
        object_schema(o, fields);
    else
        raw(o, "{\"type\":\"string\"}");
    json_out_end(o);
    json_out_end(o);
}

static void request_body(struct json_out *o, const struct op *op, const struct openapi_operation *d)
{
    json_out_name(o, "requestBody");
    json_out_object(o);
    json_out_name(o, "required");
    json_out_bool(o, !(op->flags & OP_EMPTY));
    content(o, "application/json", d->request);
    json_out_end(o);
}

/* The same fields in a query string: keys as JSON text, all else as it is. */
static void parameters(struct json_out *o, const char *fields)
{
    struct field f;

    json_out_name(o, "parameters");
    json_out_array(o);
    for (const char *at = fields; next_field(&at, &f);) {
        bool json = f.array || is_type(&f, "Key") || is_type(&f, "Prefix");
        json_out_object(o);
        json_out_name(o, "name");
        json_out_str(o, f.name, f.name_len);
        member(o, "in", "query");
        if (json) {
            json_out_name(o, "content");
            json_out_object(o);
            json_out_name(o, "application/json");
            json_out_object(o);
        }
        json_out_name(o, "schema");
        if (is_type(&f, "Filter"))
            raw(o, "{\"type\":\"string\"}");
        else
            field_schema(o, &f);
        if (json) {
            json_out_end(o);
            json_out_end(o);
        }
        json_out_end(o);
    }
    json_out_end(o);
}

static void responses(struct json_out *o, const struct openapi_operation *d)
{
    json_out_name(o, "responses");
    json_out_object(o);
    json_out_name(o, "200");
    json_out_object(o);
    member(o, "description", d->answer ? "Done" : "The stream or text");
    content(o, d->answer ? "application/json" : d->type, d->answer);
    json_out_end(o);
    json_out_name(o, "default");
    ref(o, "#/components/responses/", "Error", strlen("Error"));
    json_out_end(o);
}

/* "/kv/get" with the method get: kv_get. */
static void operation_id(struct json_out *o, const char *path, const char *suffix)
{
    char id[NAME_MAX_LEN];

    snprintf(id, sizeof id, "%s%s", path + 1, suffix);
    for (char *p = id; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz", *p))
            *p = '_';
    member(o, "operationId", id);
}

static void operation(struct json_out *o, const struct op *op, const struct openapi_operation *d, bool get)
{
    json_out_object(o);
    operation_id(o, op->path, get && (op->flags & OP_POST) ? "_get" : "");
    member(o, "summary", d->summary);
    member(o, "x-scope", grant_scope_name(op->scope));
    if (op->scope == SCOPE_PUBLIC) {
        json_out_name(o, "security");
        json_out_array(o);
        json_out_end(o);
    }
    if (get && op->parse)
        parameters(o, d->request);
    if (!get)
        request_body(o, op, d);
    responses(o, d);
    json_out_end(o);
}

static const struct openapi_operation *find(const char *path)
{
    for (size_t i = 0; i < openapi_operation_count; i++)
        if (strcmp(openapi_operations[i].path, path) == 0)
            return &openapi_operations[i];
    return NULL;
}

static void paths(struct json_out *o)
{
    size_t count;
    const struct op *table = dispatch_table(&count);

    json_out_name(o, "paths");
    json_out_object(o);
    for (size_t i = 0; i < count; i++) {
        const struct openapi_operation *d = find(table[i].path);
        if (!d)
            continue;
        json_out_name_str(o, d->path, strlen(d->path));
        json_out_object(o);
        if (table[i].flags & OP_GET) {
            json_out_name(o, "get");
            operation(o, &table[i], d, true);
        }
        if (table[i].flags & OP_POST) {
            json_out_name(o, "post");
            operation(o, &table[i], d, false);
        }
        json_out_end(o);
    }
    json_out_end(o);
}

static void components(struct json_out *o)
{
    json_out_name(o, "components");
    json_out_object(o);
    json_out_name(o, "securitySchemes");
    raw(o, "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
           "\"header\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-KVS-Token\"}}");
    json_out_name(o, "responses");
    raw(o, "{\"Error\":{\"description\":\"What was wrong\",\"content\":{\"application/json\":{\"schema\":{"
           "\"$ref\":\"" SCHEMAS "Error\"}}}}}");
    json_out_name(o, "schemas");
    json_out_object(o);
    for (size_t i = 0; i < openapi_schema_count; i++) {
        const struct openapi_schema *s = &openapi_schemas[i];
        json_out_name_str(o, s->name, strlen(s->name));
        if (s->json)
            raw(o, s->json);
        else
            object_schema(o, s->fields);
    }
    json_out_end(o);
    json_out_end(o);
}

enum error_code openapi(struct call *call)
{
    struct json_out *o = &call->json;

    call_begin(call);
    json_out_object(o);
    member(o, "openapi", "3.1.0");
    json_out_name(o, "info");
    json_out_object(o);
    member(o, "title", "kvs");
    member(o, "version", PACKAGE_VERSION);
    member(o, "description", "A durable key-value store and queue behind any web server");
    json_out_end(o);
    json_out_name(o, "servers");
    raw(o, "[{\"url\":\".\",\"description\":\"Where this description was read\"}]");
    json_out_name(o, "security");
    raw(o, "[{\"bearer\":[]},{\"header\":[]}]");
    paths(o);
    components(o);
    json_out_end(o);
    call_answer(call, ERR_OK);
    return ERR_OK;
}
