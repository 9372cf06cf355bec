#include "model.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

void model_set(struct model *m, unsigned key, int64_t value, int64_t version, int64_t revision)
{
    m->keys[key] = (struct model_value){true, value, version, revision};
    m->revision = revision;
}

void model_delete(struct model *m, unsigned key, int64_t revision)
{
    m->keys[key] = (struct model_value){.revision = revision};
    m->revision = revision;
}

void model_hold(struct model *m, unsigned key, bool there, int64_t value, int64_t version, int64_t revision)
{
    struct model_value *h = m->held[key];

    memmove(h + 1, h, (MODEL_HISTORY - 1) * sizeof *h);
    h[0] = (struct model_value){there, value, version, revision};
    m->held_revision = revision;
}

bool model_enqueue(struct model *m, int64_t id)
{
    size_t n = m->message_count;

    if (n == MODEL_MESSAGES || (n && m->messages[n - 1].id >= id))
        return false;
    m->messages[m->message_count++] = (struct model_message){.id = id};
    return true;
}

void model_ack(struct model *m, size_t at)
{
    m->message_count--;
    memmove(&m->messages[at], &m->messages[at + 1], (m->message_count - at) * sizeof m->messages[0]);
}

static int64_t number(const cJSON *object, const char *name)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(n) ? (int64_t)n->valuedouble : -1;
}

static bool entry_agrees(const cJSON *entry, const struct model_value *want)
{
    bool there = !cJSON_HasObjectItem(entry, "operation");

    return there == want->there && number(entry, "revision") == want->revision &&
           (!there || (number(entry, "value") == want->value && number(entry, "version") == want->version));
}

/* The n of ["k",n] and ["h",n]; -1 where it is none of those. */
static int key_of(const cJSON *entry)
{
    const cJSON *n = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(entry, "key"), 1);
    return cJSON_IsNumber(n) && n->valuedouble < MODEL_KEYS ? (int)n->valuedouble : -1;
}

static bool list_agrees(const struct model *m, const cJSON *entries)
{
    const cJSON *entry;
    int want = 0, got = 0;

    for (int i = 0; i < MODEL_KEYS; i++)
        want += m->keys[i].there;
    cJSON_ArrayForEach(entry, entries)
    {
        int key = key_of(entry);
        if (key < 0 || !entry_agrees(entry, &m->keys[key]))
            return false;
        got++;
    }
    return got == want;
}

static const struct model_value *held_at(const struct model *m, int key, int64_t revision)
{
    for (int i = 0; key >= 0 && i < MODEL_HISTORY; i++)
        if (m->held[key][i].revision == revision)
            return &m->held[key][i];
    return NULL;
}

static bool history_agrees(const struct model *m, const cJSON *entries)
{
    const cJSON *entry;
    int want = 0, got = 0;

    for (int i = 0; i < MODEL_KEYS; i++)
        for (int k = 0; k < MODEL_HISTORY; k++)
            want += m->held[i][k].revision > 0;
    cJSON_ArrayForEach(entry, entries)
    {
        const struct model_value *v = held_at(m, key_of(entry), number(entry, "revision"));
        if (!v || !entry_agrees(entry, v))
            return false;
        got++;
    }
    return got == want;
}

static bool ids_agree(const struct model *m, const char *ids)
{
    char text[MODEL_MESSAGES * 24] = "";
    size_t len = 0;

    for (size_t i = 0; i < m->message_count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%lld,", (long long)m->messages[i].id);
    return strcmp(text, ids) == 0;
}

bool model_agrees(const struct model *m, const char *list, const char *history, const char *ids)
{
    cJSON *l = cJSON_Parse(list ? list : ""), *h = cJSON_Parse(history ? history : "");
    bool list_good = l && list_agrees(m, cJSON_GetObjectItemCaseSensitive(l, "entries"));
    bool history_good = h && history_agrees(m, cJSON_GetObjectItemCaseSensitive(h, "entries"));
    bool ids_good = ids_agree(m, ids);

    cJSON_Delete(l);
    cJSON_Delete(h);
    if (!list_good)
        printf("# the model says otherwise than %s\n", list ? list : "(none)");
    if (!history_good)
        printf("# the model says otherwise than %s\n", history ? history : "(none)");
    if (!ids_good)
        printf("# the model has other messages than %s\n", ids);
    return list_good && history_good && ids_good;
}
