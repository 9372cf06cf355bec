#include "workload.h"

#include "tests/unit/service.h"
#include "tests/unit/state.h"
#include "tests/vfs/shim.h"
#include "tools/tool.h"

struct run {
    struct service s;
    struct workload *w;
    struct rng *rng;
    struct model m;
    bool cgi, has_backup;
    struct model backup; /* what it holds */
    int64_t value;       /* the last one written: each is another */
};

/* Behind the clock of the program that wrote the database of the oldest format. */
static const int64_t noon = INT64_C(1795901400000);

/* --- Requests --- */

static char *post(struct run *r, const char *path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The body of a 200 answer, which the caller frees; NULL where there was another. */
static char *post(struct run *r, const char *path, const char *fmt, ...)
{
    char body[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(body, sizeof body, fmt, ap);
    va_end(ap);
    struct reply reply = service_post(&r->s, path, body);
    if (reply.status == 200) {
        shim_mark(MARK_ACKNOWLEDGED, NULL);
        return reply.body;
    }
    printf("# %s %s answered %d %s\n", path, body, reply.status, reply.body ? reply.body : "");
    free(reply.body);
    return NULL;
}

static unsigned any_key(struct run *r)
{
    return rng_below(r->rng, MODEL_KEYS);
}

/* --- Steps: each does one thing, tells the model, and says whether the answer was right --- */

static bool set_answered(struct run *r, unsigned key, int64_t value, char *body)
{
    int64_t version = r->m.keys[key].there ? r->m.keys[key].version + 1 : 1, revision = member_int(body, "revision");
    bool good = body && revision > r->m.revision && member_int(body, "version") == version;

    model_set(&r->m, key, value, version, revision);
    free(body);
    return good;
}

static bool step_set(struct run *r)
{
    unsigned key = any_key(r);
    int64_t value = ++r->value;

    return set_answered(r, key, value,
                        post(r, "/kv/set", "{\"key\":[\"k\",%u],\"value\":%lld}", key, (long long)value));
}

static bool step_increment(struct run *r)
{
    unsigned key = any_key(r);
    int64_t value = r->m.keys[key].there ? r->m.keys[key].value + 3 : 3;

    return set_answered(r, key, value, post(r, "/kv/increment", "{\"key\":[\"k\",%u],\"delta\":3}", key));
}

static bool step_delete(struct run *r)
{
    unsigned key = any_key(r);
    char *body = post(r, "/kv/delete", "{\"key\":[\"k\",%u]}", key);
    bool good = body != NULL;

    if (r->m.keys[key].there) {
        good = member_int(body, "revision") > r->m.revision;
        model_delete(&r->m, key, member_int(body, "revision"));
    }
    free(body);
    return good;
}

static bool hold_answered(struct run *r, unsigned key, int64_t value, char *body)
{
    const struct model_value *last = r->m.held[key];
    int64_t version = last->there ? last->version + 1 : 1, revision = member_int(body, "revision");
    bool good = body && revision > r->m.held_revision && member_int(body, "version") == version;

    model_hold(&r->m, key, true, value, version, revision);
    free(body);
    return good;
}

static bool step_hold(struct run *r)
{
    unsigned key = any_key(r);
    int64_t value = ++r->value;

    return hold_answered(r, key, value,
                         post(r, "/kv/set", "{\"bucket\":\"held\",\"key\":[\"h\",%u],\"value\":%lld}", key,
                              (long long)value));
}

static bool step_unhold(struct run *r)
{
    unsigned key = any_key(r);
    char *body = post(r, "/kv/delete", "{\"bucket\":\"held\",\"key\":[\"h\",%u]}", key);
    bool good = body != NULL;

    if (r->m.held[key][0].there) {
        good = member_int(body, "revision") > r->m.held_revision;
        model_hold(&r->m, key, false, 0, 0, member_int(body, "revision"));
    }
    free(body);
    return good;
}

static bool step_enqueue(struct run *r)
{
    if (r->m.message_count == MODEL_MESSAGES)
        return true;
    char *body = post(r, "/queue/enqueue", "{\"topic\":\"work\",\"payload\":%lld}", (long long)++r->value);
    bool good = body && model_enqueue(&r->m, member_int(body, "id"));
    free(body);
    return good;
}

static struct model_message *message_with(struct run *r, int64_t id)
{
    for (size_t i = 0; i < r->m.message_count; i++)
        if (r->m.messages[i].id == id)
            return &r->m.messages[i];
    return NULL;
}

/* Nobody gets a message that another has: time stands still, so that no lease ends. */
static bool step_dequeue(struct run *r)
{
    char *body = post(r, "/queue/dequeue", "{\"topic\":\"work\"}");
    struct model_message *m = message_with(r, member_int(body, "id"));
    bool good = body != NULL;

    if (m) {
        good = !m->leased && member(body, "lease", m->lease, sizeof m->lease);
        m->leased = true;
    } else if (body) {
        for (size_t i = 0; i < r->m.message_count; i++)
            good &= r->m.messages[i].leased;
    }
    free(body);
    return good;
}

/* The first message that is handed out; its place, or the number of messages. */
static size_t first_leased(const struct run *r)
{
    size_t i = 0;
    while (i < r->m.message_count && !r->m.messages[i].leased)
        i++;
    return i;
}

static bool step_ack(struct run *r)
{
    size_t at = first_leased(r);
    if (at == r->m.message_count)
        return true;
    char *body =
        post(r, "/queue/ack", "{\"id\":%lld,\"lease\":%s}", (long long)r->m.messages[at].id, r->m.messages[at].lease);
    bool good = body && strstr(body, "true");
    model_ack(&r->m, at);
    free(body);
    return good;
}

static bool step_extend(struct run *r)
{
    size_t at = first_leased(r);
    if (at == r->m.message_count)
        return true;
    struct model_message *m = &r->m.messages[at];
    char *body = post(r, "/queue/extend", "{\"id\":%lld,\"lease\":%s}", (long long)m->id, m->lease);
    bool good = body && strstr(body, "true");
    free(body);
    return good;
}

/* Two keys, a message, and where there is one the end of another, all or nothing. */
static bool step_atomic(struct run *r)
{
    unsigned a = any_key(r), b = (a + 1) % MODEL_KEYS;
    size_t at = first_leased(r);
    char acks[160] = "";
    int64_t value = ++r->value, va = r->m.keys[a].there ? r->m.keys[a].version + 1 : 1;
    int64_t vb = r->m.keys[b].there ? r->m.keys[b].version + 1 : 1;

    if (r->m.message_count == MODEL_MESSAGES)
        return true;
    if (at < r->m.message_count)
        snprintf(acks, sizeof acks, "{\"id\":%lld,\"lease\":%s}", (long long)r->m.messages[at].id,
                 r->m.messages[at].lease);
    char *body = post(r, "/kv/atomic",
                      "{\"mutations\":[{\"type\":\"set\",\"key\":[\"k\",%u],\"value\":%lld},{\"type\":\"set\",\"key\":"
                      "[\"k\",%u],\"value\":%lld}],\"enqueues\":[{\"payload\":1,\"options\":{\"topic\":\"work\"}}],"
                      "\"acks\":[%s]}",
                      a, (long long)value, b, (long long)value, acks);
    char ids[64];
    int64_t revision = member_int(body, "revision");
    bool good = body && revision > r->m.revision && member(body, "ids", ids, sizeof ids);
    if (good) {
        model_set(&r->m, a, value, va, revision);
        model_set(&r->m, b, value, vb, revision);
        if (acks[0])
            model_ack(&r->m, at);
        good = model_enqueue(&r->m, strtoll(ids + 1, NULL, 10));
    }
    free(body);
    return good;
}

static bool step_lock(struct run *r)
{
    char token[80];
    char *body = post(r, "/lock/acquire", "{\"name\":\"lock\",\"ttl\":1000000}");
    int64_t fence = member_int(body, "fence");
    bool good = fence > r->m.fence && member(body, "token", token, sizeof token);

    free(body);
    if (!good)
        return false;
    r->m.fence = fence;
    body = post(r, "/lock/release", "{\"name\":\"lock\",\"token\":%s}", token);
    good = body != NULL;
    free(body);
    return good;
}

/* --- Group commit: what is asked for while a commit is answered shares the next --- */

struct batch {
    struct exchange exchanges[3]; /* the first brings the others */
    struct run *run;
};

static void batch_answer(struct kvs_sink *sink, const struct kvs_response *response)
{
    struct batch *b = (struct batch *)sink;

    exchange_answer(sink, response);
    shim_mark(MARK_ACKNOWLEDGED, NULL);
    kvs_handle(b->run->s.kvs, &b->exchanges[1].request);
    kvs_handle(b->run->s.kvs, &b->exchanges[2].request);
}

static bool step_group(struct run *r)
{
    struct batch b = {.run = r};
    unsigned key = any_key(r), held = any_key(r);
    int64_t value = (r->value += 3);
    char bodies[3][120];

    if (r->m.message_count == MODEL_MESSAGES)
        return true;
    snprintf(bodies[0], sizeof bodies[0], "{\"topic\":\"work\",\"payload\":%lld}", (long long)value);
    snprintf(bodies[1], sizeof bodies[1], "{\"key\":[\"k\",%u],\"value\":%lld}", key, (long long)value);
    snprintf(bodies[2], sizeof bodies[2], "{\"bucket\":\"held\",\"key\":[\"h\",%u],\"value\":%lld}", held,
             (long long)value);
    exchange_init(&b.exchanges[0], "/queue/enqueue", bodies[0]);
    exchange_init(&b.exchanges[1], "/kv/set", bodies[1]);
    exchange_init(&b.exchanges[2], "/kv/set", bodies[2]);
    b.exchanges[0].sink.answer = batch_answer;
    kvs_handle(r->s.kvs, &b.exchanges[0].request);
    bool good = true;
    for (int i = 0; i < 3; i++)
        good &= exchange_await(&b.exchanges[i], 30000) && b.exchanges[i].status == 200;
    shim_mark(MARK_ACKNOWLEDGED, NULL);
    if (good)
        good = model_enqueue(&r->m, member_int(b.exchanges[0].body, "id")) &&
               set_answered(r, key, value, strdup(b.exchanges[1].body)) &&
               hold_answered(r, held, value, strdup(b.exchanges[2].body));
    for (int i = 0; i < 3; i++)
        exchange_free(&b.exchanges[i]);
    return good;
}

/* --- Steps that commit more than once, or not at all --- */

static bool open_service(struct run *r)
{
    char message[400] = "";

    r->s.kvs = kvs_open(&r->s.config, r->cgi ? KVS_CGI : KVS_FASTCGI, message, sizeof message);
    if (!r->s.kvs)
        printf("# the service does not open: %s\n", message);
    return r->s.kvs != NULL;
}

static bool step_reopen(struct run *r)
{
    kvs_close(r->s.kvs);
    return open_service(r);
}

/* A bucket that comes, fills and goes; what expires goes with maintenance. */
static bool step_bucket(struct run *r)
{
    static const char *const requests[][2] = {
        {"/bucket/create", "{\"name\":\"brief\",\"options\":{\"compression\":true}}"},
        {"/kv/set", "{\"bucket\":\"brief\",\"key\":[1],\"value\":\"one\"}"},
        {"/kv/set", "{\"bucket\":\"brief\",\"key\":[2],\"value\":\"two\"}"},
        {"/bucket/purge", "{\"name\":\"brief\"}"},
        {"/bucket/destroy", "{\"name\":\"brief\"}"},
    };
    bool good = true;

    for (size_t i = 0; good && i < sizeof requests / sizeof *requests; i++) {
        char *body = post(r, requests[i][0], "%s", requests[i][1]);
        good = body != NULL;
        free(body);
    }
    return good;
}

/* Enough for a log of several hundred pages: under CGI the commit behind it cuts the log. */
static bool step_large(struct run *r)
{
    enum { SIZE = 300000 };
    static const char head[] = "{\"bucket\":\"wide\",\"key\":[1],\"value\":\"", tail[] = "\"}";
    char *body = malloc(sizeof head + SIZE + sizeof tail);

    memcpy(body, head, sizeof head - 1);
    memset(body + sizeof head - 1, 'a' + (int)rng_below(r->rng, 26), SIZE);
    memcpy(body + sizeof head - 1 + SIZE, tail, sizeof tail);
    int status = post_status(&r->s, "/kv/set", body);
    shim_mark(MARK_ACKNOWLEDGED, NULL);
    free(body);
    return status == 200;
}

static struct tool tool_of(const struct run *r, char *file, size_t size)
{
    struct tool tool = {.config = r->s.config, .kvs = r->s.kvs, .quiet = true, .force = true, .file = file};
    snprintf(file, size, "%s/backup.db", r->s.dir);
    return tool;
}

static bool step_maintenance(struct run *r)
{
    char file[340];
    struct tool tool = tool_of(r, file, sizeof file);
    return command_run(&tool) == TOOL_DONE;
}

static bool step_compact(struct run *r)
{
    char file[340];
    struct tool tool = tool_of(r, file, sizeof file);
    return command_compact(&tool) == TOOL_DONE;
}

static bool step_backup(struct run *r)
{
    char file[340];
    struct tool tool = tool_of(r, file, sizeof file);

    if (command_backup(&tool) != TOOL_DONE)
        return false;
    char *state = state_read(file, true);
    shim_mark(MARK_BACKUP, state);
    free(state);
    r->has_backup = true;
    r->backup = r->m;
    return true;
}

/* The backup's content comes back; revisions, ids and fences go on above all that were given. */
static bool step_restore(struct run *r)
{
    char file[340];
    struct tool tool = tool_of(r, file, sizeof file);
    struct model before = r->m;

    if (!r->has_backup)
        return true;
    kvs_close(r->s.kvs);
    r->s.kvs = tool.kvs = NULL;
    bool good = command_restore(&tool) == TOOL_DONE;
    shim_mark(MARK_ACKNOWLEDGED, NULL);
    r->m = r->backup;
    r->m.revision = before.revision;
    r->m.held_revision = before.held_revision;
    r->m.fence = before.fence;
    return good && open_service(r);
}

static const struct step {
    bool (*run)(struct run *r);
    unsigned weight;
    bool many; /* commits more than once */
} steps[] = {
    {step_set, 14, false},    {step_increment, 8, false}, {step_delete, 8, false},   {step_hold, 12, false},
    {step_unhold, 5, false},  {step_enqueue, 10, false},  {step_dequeue, 10, false}, {step_ack, 8, false},
    {step_extend, 3, false},  {step_atomic, 14, false},   {step_lock, 4, true},      {step_group, 12, true},
    {step_reopen, 3, false},  {step_bucket, 4, true},     {step_large, 2, false},    {step_maintenance, 7, true},
    {step_compact, 2, false}, {step_backup, 3, false},    {step_restore, 3, false},
};

enum { STEPS = sizeof steps / sizeof *steps };

static const struct step *any_step(struct rng *rng)
{
    unsigned sum = 0, at;

    for (size_t i = 0; i < STEPS; i++)
        sum += steps[i].weight;
    at = rng_below(rng, sum);
    for (size_t i = 0;; at -= steps[i].weight, i++)
        if (at < steps[i].weight)
            return &steps[i];
}

/* --- The whole --- */

static char *message_ids(const struct run *r)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    char *ids = NULL;
    size_t size;
    FILE *out = open_memstream(&ids, &size);

    sqlite3_open(r->s.path, &db);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_prepare_v2(db, "SELECT id FROM message WHERE topic='work' ORDER BY id", -1, &stmt, NULL);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        fprintf(out, "%lld,", (long long)sqlite3_column_int64(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    fclose(out);
    return ids;
}

static bool agrees(struct run *r)
{
    struct reply list = service_post(&r->s, "/kv/list", "{\"prefix\":[\"k\"]}");
    struct reply history = service_post(&r->s, "/kv/history", "{\"bucket\":\"held\",\"filter\":\"h.*\"}");
    char *ids = message_ids(r);
    bool good = model_agrees(&r->m, list.body, history.body, ids);

    free(list.body);
    free(history.body);
    free(ids);
    return good;
}

static bool take_step(struct run *r, const struct step *step)
{
    shim_mark(step->many ? MARK_BEGIN_MANY : MARK_BEGIN_ONE, NULL);
    bool good = step->run(r) && agrees(r);
    char *state = good ? state_read(r->s.path, true) : NULL;

    if (!state) {
        printf("# step %zu (kind %zu) did not do what it should\n", r->w->steps, (size_t)(step - steps));
        return false;
    }
    shim_mark(MARK_END, state);
    free(state);
    r->w->models[r->w->steps++] = r->m;
    return true;
}

/* The buckets that the steps use; they are there already where the files are those of an earlier run. */
static bool step_prepare(struct run *r)
{
    char *held = post(r, "/bucket/create", "{\"name\":\"held\",\"options\":{\"history\":%d}}", MODEL_HISTORY);
    char *wide = post(r, "/bucket/create", "{\"name\":\"wide\"}");
    bool good = held && wide;

    free(held);
    free(wide);
    return good;
}

static bool run_steps(struct run *r, size_t count)
{
    static const struct step prepare = {step_prepare, 0, true};
    bool good = open_service(r) && take_step(r, &prepare);

    for (size_t i = 1; good && i < count; i++)
        good = take_step(r, any_step(r->rng));
    kvs_close(r->s.kvs);
    r->s.kvs = NULL;
    return good;
}

bool workload_run(struct workload *w, struct rng *rng, unsigned settings, size_t count, const struct disk_image *from,
                  const struct model *model)
{
    struct run r = {.w = w,
                    .rng = rng,
                    .cgi = settings & WORKLOAD_CGI,
                    .value = (int64_t)rng_below(rng, 1 << 20) * 1000};

    *w = (struct workload){.steps = 0};
    service_freeze(noon);
    service_prepare(&r.s);
    service_configure(&r.s, "durability", settings & WORKLOAD_RELAXED ? "relaxed" : "full");
    service_configure(&r.s, "maint_interval", "0");
    if (from)
        disk_image_write(from, r.s.dir);
    if (model)
        r.m = *model;
    shim_watch(r.s.dir, &w->trace);
    bool good = run_steps(&r, count);
    shim_watch(NULL, NULL);
    temp_dir_empty(r.s.dir, "backup.db");
    service_close(&r.s);
    return good;
}

void workload_free(struct workload *w)
{
    trace_clear(&w->trace);
}
