/*
 * Damage to a store's files: bits, bytes, sectors and pages of the database, its log, the log's index and the lock file are
 * changed at random, or the file is cut.  Whatever is asked of the store then is answered as if nothing had happened, or with
 * 500 or 503 and words; never wrongly.  Where something was refused, the check finds damage.
 *
 * KVS_SEED repeats a run, KVS_ROUNDS says how many damages are done; KVS_CASE does the one of that number alone.
 */
#include <signal.h>
#include <sodium.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "check.h"
#include "core/service.h"
#include "service.h"

static const int64_t noon = INT64_C(1700000000000);

enum { PAGE = 4096, SECTOR = 512, CASE_SECONDS = 60, ROUNDS_SHORT = 250, ROUNDS_LONG = 20000 };

/* --- Chance --- */

static uint64_t chance_state;

/* A number below n, at least 1. */
static uint64_t chance(uint64_t n)
{
    chance_state = chance_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t x = chance_state ^ chance_state >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    return (x ^ x >> 33) % n;
}

/* --- What is stored --- */

static const char *const content[][2] = {
    {"/kv/set", "{\"key\":[\"old\"],\"value\":1,\"ttl\":1}"},
    {"/kv/set", "{\"key\":[\"ttl\"],\"value\":1,\"ttl\":100000000}"},
    {"/kv/set", "{\"key\":[\"n\"],\"value\":41}"},
    {"/kv/set", "{\"key\":[{\"$bytes\":\"AP8=\"},1.5,true],\"valueBase64\":\"AAH/\"}"},
    {"/kv/set", "{\"key\":[\"gone\"],\"value\":1}"},
    {"/kv/delete", "{\"key\":[\"gone\"]}"},
    {"/bucket/create",
     "{\"name\":\"h\",\"options\":{\"history\":5,\"description\":\"kept\",\"metadata\":{\"a\":\"b\"},\"republish\":"
     "{\"filter\":\"r.>\",\"topic\":\"changes\",\"metaOnly\":false}}}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":1}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":2}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":3}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"r\",\"x\"],\"value\":{\"published\":true}}"},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"gone\"],\"value\":2}"},
    {"/kv/delete", "{\"bucket\":\"h\",\"key\":[\"gone\"]}"},
    {"/bucket/create", "{\"name\":\"z\",\"options\":{\"compression\":true,\"maxKeys\":100}}"},
    {"/bucket/create", "{\"name\":\"dead\"}"},
    {"/kv/set", "{\"bucket\":\"dead\",\"key\":[1],\"value\":1}"},
    {"/bucket/destroy", "{\"name\":\"dead\"}"},
    {"/queue/enqueue", "{\"payload\":{\"job\":1},\"backoff\":[5,10],\"dedupeId\":\"held\"}"},
    {"/queue/enqueue", "{\"payload\":\"later\",\"delay\":100000000}"},
    {"/queue/enqueue", "{\"topic\":\"done\",\"payload\":1,\"dedupeId\":\"let go\"}"},
    {"/queue/ack", "{\"id\":4}"},
    {"/queue/enqueue", "{\"topic\":\"dead\",\"payload\":1,\"maxAttempts\":1}"},
    {"/queue/dequeue", "{\"topic\":\"dead\",\"leaseMs\":1}"},
    {"/queue/enqueue", "{\"topic\":\"leased\",\"payload\":1}"},
    {"/queue/dequeue", "{\"topic\":\"leased\",\"leaseMs\":100000000}"},
    {"/lock/acquire", "{\"name\":\"held\",\"ttl\":100000000,\"owner\":\"me\"}"},
};

enum { KEYS = 160, MESSAGES = 30, LOGGED = 12 };

static void must_post(struct service *s, const char *path, const char *body)
{
    struct reply r = service_post(s, path, body);
    if (r.status != 200) {
        printf("Bail out! %s %s: %d %s\n", path, body, r.status, r.body ? r.body : "");
        exit(1);
    }
    free(r.body);
}

/* A value of some hundred bytes, or, for every fiftieth, one that fills several pages. */
static void put_many(struct service *s, const char *bucket, int from, int to)
{
    static char text[20200], body[20400];

    for (int i = from; i < to; i++) {
        size_t n = i % 50 == 7 ? 20000 : 100 + (size_t)(i * 37 % 300);
        for (size_t at = 0; at < n; at++)
            text[at] = (char)('a' + (at * (size_t)(i + 3) + at / 7) % 26);
        text[n] = '\0';
        snprintf(body, sizeof body, "{\"bucket\":\"%s\",\"key\":[\"k\",%d],\"value\":\"%s\"}", bucket, i, text);
        must_post(s, "/kv/set", body);
    }
}

static void fill(struct service *s)
{
    char body[100];

    for (size_t i = 0; i < sizeof content / sizeof *content; i++)
        must_post(s, content[i][0], content[i][1]);
    put_many(s, "default", 0, KEYS);
    put_many(s, "z", 0, KEYS / 4);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(body, sizeof body, "{\"topic\":\"many\",\"payload\":[%d],\"priority\":%d}", i, i % 3);
        must_post(s, "/queue/enqueue", body);
    }
    service_sql(s, "PRAGMA wal_checkpoint(TRUNCATE)");
    put_many(s, "default", KEYS, KEYS + LOGGED); /* these are in the log */
    put_many(s, "h", 0, 3);
}

/* --- What is asked --- */

struct probe {
    const char *path, *body;
    bool writes;
};

static const struct probe probes[] = {
    {"/kv/get", "{\"key\":[\"k\",5]}", false},
    {"/kv/get", "{\"key\":[\"k\",57]}", false},
    {"/kv/get", "{\"key\":[\"k\",171]}", false},
    {"/kv/get", "{\"key\":[\"missing\"]}", false},
    {"/kv/get", "{\"key\":[\"gone\"]}", false},
    {"/kv/get", "{\"bucket\":\"h\",\"key\":[\"k\"],\"revision\":1}", false},
    {"/kv/get", "{\"bucket\":\"z\",\"key\":[\"k\",7]}", false},
    {"/kv/get-many", "{\"keys\":[[\"k\",1],[\"k\",100],[\"n\"],[\"missing\"],[\"ttl\"]]}", false},
    {"/kv/list", "{\"prefix\":[\"k\"],\"limit\":1000}", false},
    {"/kv/list", "{\"prefix\":[],\"limit\":40,\"reverse\":true}", false},
    {"/kv/list", "{\"bucket\":\"z\",\"prefix\":[],\"limit\":1000}", false},
    {"/kv/keys", "{\"filter\":\">\",\"limit\":1000}", false},
    {"/kv/history", "{\"bucket\":\"h\",\"filter\":\">\",\"limit\":100}", false},
    {"/kv/changes", "{\"since\":0,\"limit\":1000}", false},
    {"/kv/changes", "{\"bucket\":\"h\",\"since\":0}", false},
    {"/bucket/status", "{\"name\":\"h\"}", false},
    {"/bucket/status", "{\"name\":\"default\"}", false},
    {"/bucket/list", "{}", false},
    {"/queue/stats", "{}", false},
    {"/queue/stats", "{\"topic\":\"many\"}", false},
    {"/queue/dead", "{\"topic\":\"dead\"}", false},
    {"/queue/enqueue", "{\"payload\":1,\"dedupeId\":\"held\"}", true},
    {"/queue/enqueue", "{\"topic\":\"done\",\"payload\":1,\"dedupeId\":\"let go\"}", true},
    {"/lock/acquire", "{\"name\":\"held\",\"ttl\":1000}", true},
    {"/lock/acquire", "{\"name\":\"new\",\"ttl\":1000}", true},
    {"/kv/increment", "{\"key\":[\"n\"]}", true},
    {"/kv/set", "{\"key\":[\"k\",80],\"value\":\"new\"}", true},
    {"/kv/set", "{\"bucket\":\"h\",\"key\":[\"k\"],\"value\":9}", true},
    {"/kv/set", "{\"bucket\":\"z\",\"key\":[\"k\",3],\"value\":\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}",
     true},
    {"/kv/create", "{\"key\":[\"k\",81],\"value\":1}", true},
    {"/kv/touch", "{\"key\":[\"k\",82],\"ttl\":99999}", true},
    {"/kv/delete", "{\"key\":[\"k\",83]}", true},
    {"/kv/atomic",
     "{\"checks\":[{\"key\":[\"k\",84],\"version\":1}],\"mutations\":[{\"type\":\"set\",\"key\":[1],\"value\":1},"
     "{\"type\":\"delete\",\"key\":[\"k\",85]},{\"type\":\"purge\",\"key\":[\"k\",86]}],\"enqueues\":[{\"payload\":1}]"
     "}",
     true},
    {"/kv/purge", "{\"bucket\":\"h\",\"prefix\":[\"k\"]}", true},
    {"/kv/clean-expired", "{}", true},
    {"/queue/dequeue", "{\"topic\":\"many\",\"limit\":10}", true},
    {"/queue/dequeue", "{\"limit\":10}", true},
    {"/queue/ack", "{\"id\":1}", true},
    {"/queue/nack", "{\"id\":3}", true},
    {"/queue/extend", "{\"id\":6,\"leaseMs\":5000}", true},
    {"/queue/redrive", "{\"topic\":\"dead\"}", true},
    {"/queue/enqueue-many", "{\"messages\":[{\"payload\":1},{\"payload\":2,\"topic\":\"x\"}]}", true},
    {"/queue/purge", "{\"topic\":\"many\"}", true},
    {"/bucket/create", "{\"name\":\"new\",\"options\":{\"history\":2}}", true},
    {"/bucket/update", "{\"name\":\"h\",\"options\":{\"history\":2}}", true},
    {"/bucket/purge", "{\"name\":\"z\"}", true},
    {"/bucket/destroy", "{\"name\":\"h\"}", true},
    {"/kv/list", "{\"prefix\":[],\"limit\":1000}", false},
};

enum { PROBES = sizeof probes / sizeof *probes };

/* Leases and the tokens of locks are random: their text is made all alike. */
static void hide(char *body, const char *name)
{
    char quoted[32];

    snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
    for (char *p = body; p && (p = strstr(p, quoted));)
        for (p += strlen(quoted); *p && *p != '"'; p++)
            *p = '*';
}

static struct reply ask(struct service *s, const struct probe *p)
{
    struct reply r = service_post(s, p->path, p->body);
    hide(r.body, "lease");
    hide(r.body, "token");
    return r;
}

/* --- Files --- */

enum { DATABASE, LOG, INDEX, LOCK, FILES };
static const char *const endings[FILES] = {"", "-wal", "-shm", ".lock"};

struct file {
    unsigned char *data; /* owned */
    size_t len;
};

static void file_name(const struct service *s, int which, char name[340])
{
    snprintf(name, 340, "%s%s", s->path, endings[which]);
}

static struct file read_file(const struct service *s, int which)
{
    char name[340];
    struct stat st;
    struct file f = {NULL, 0};

    file_name(s, which, name);
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        return f;
    fstat(fd, &st);
    f.len = (size_t)st.st_size;
    f.data = malloc(f.len + 1);
    if (!f.data || read(fd, f.data, f.len) != (ssize_t)f.len)
        abort();
    close(fd);
    return f;
}

static void write_file(const struct service *s, int which, const unsigned char *data, size_t len)
{
    char name[340];

    file_name(s, which, name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    close(fd);
}

struct scene {
    struct service s;
    struct file files[FILES];
    struct reply want[PROBES];
};

static void shut(struct scene *scene)
{
    char name[340];

    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
    for (int i = 0; i < FILES; i++) {
        file_name(&scene->s, i, name);
        /* The lock file notes the database by its place in the file system: it stays where it is, and so does that. */
        if (i == LOG || i == INDEX)
            unlink(name);
    }
}

static void restore(struct scene *scene)
{
    for (int i = 0; i < FILES; i++)
        write_file(&scene->s, i, scene->files[i].data, scene->files[i].len);
}

static bool reopen(struct scene *scene, enum kvs_mode mode, char message[400])
{
    message[0] = '\0';
    scene->s.kvs = kvs_open(&scene->s.config, mode, message, 400);
    return scene->s.kvs;
}

/* --- Damage --- */

enum kind { BIT, BYTE, RUN, SECTOR_ZERO, SECTOR_SWAP, PAGE_ZERO, PAGE_SWAP, CUT, KINDS };
static const char *const kind_names[KINDS] = {
    "bit", "byte", "bytes", "sector of zeros", "swapped sectors", "page of zeros", "swapped pages", "cut"};

static void swap(unsigned char *a, unsigned char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = a[i];
        a[i] = b[i];
        b[i] = c;
    }
}

/* Changes f->data in place; *at tells where. */
static void damage(struct file *f, enum kind kind, size_t *at)
{
    size_t unit = kind == SECTOR_ZERO || kind == SECTOR_SWAP ? SECTOR
                  : kind == PAGE_ZERO || kind == PAGE_SWAP   ? PAGE
                                                             : 1;
    size_t units = f->len / unit;

    if (!units)
        return;
    *at = chance(units) * unit;
    unsigned char *p = f->data + *at;
    switch (kind) {
    case BIT:
        *p ^= (unsigned char)(1 << chance(8));
        break;
    case BYTE:
        *p ^= (unsigned char)(1 + chance(255));
        break;
    case RUN:
        for (size_t n = 2 + chance(62); n && p < f->data + f->len; n--)
            *p++ = (unsigned char)chance(256);
        break;
    case SECTOR_ZERO:
    case PAGE_ZERO:
        memset(p, 0, unit);
        break;
    case SECTOR_SWAP:
    case PAGE_SWAP:
        swap(p, f->data + chance(units) * unit, unit);
        break;
    default:
        f->len = *at;
    }
}

/* --- Judging --- */

struct tally {
    long cases, refused, hurt, harmless, answers, errors, unfound, wrong;
};

struct round {
    long number;
    int file;
    enum kind kind;
    bool live; /* the store is open when it happens */
    size_t at;
};

static void complain(struct tally *tally, const struct round *c, const char *what, const char *more)
{
    if (tally->wrong++ < 20)
        printf("# case %ld: %s, %s at %zu of the %s%s: %.300s\n", c->number, what, kind_names[c->kind], c->at,
               c->file == DATABASE ? "database" : endings[c->file], c->live ? ", while open" : "", more ? more : "");
}

static bool says_so(const struct reply *r)
{
    return (r->status == 500 || r->status == 503) && r->body && strstr(r->body, "\"error\":{\"code\":") &&
           strstr(r->body, "\"message\":\"");
}

/* After a write that failed the others may well answer otherwise.  Returns how many were refused. */
static long ask_all(struct scene *scene, struct tally *tally, const struct round *c)
{
    bool same = true;
    long errors = 0;

    for (size_t i = 0; i < PROBES; i++) {
        struct reply r = ask(&scene->s, &probes[i]);
        bool right = r.status == scene->want[i].status && r.body && strcmp(r.body, scene->want[i].body) == 0;
        tally->answers++;
        if (!right && says_so(&r)) {
            errors++;
            same = same && !probes[i].writes;
        } else if (!right && same) {
            complain(tally, c, probes[i].path, r.body);
            same = false;
        }
        free(r.body);
    }
    tally->errors += errors;
    return errors;
}

static void on_finding(void *context, enum check_kind kind, const char *what)
{
    (void)what;
    *(long *)context += check_advice(kind)[0] != '\0';
}

/* What kvs-maint check would find, as it goes about it. */
static long findings(struct scene *scene)
{
    struct store *store = scene->s.kvs->file;
    struct check_counts counts = {0};
    struct db *db;
    long found = 0;
    struct check_sink sink = {.finding = on_finding, .context = &found};

    check_loss(store_lost(store), &sink, &counts);
    for (int strict = 0; strict < 2; strict++) {
        if (store_reader(store, &db))
            return found + 1; /* it says that it cannot read */
        if (!strict)
            db_be_lenient(db);
        enum error_code rc = strict ? check_engine(db, &sink, &counts) : check_contents(db, &sink, &counts);
        store_reader_done(store, db, true);
        found += rc != ERR_OK; /* cut short, and says so */
    }
    return found;
}

/* The check is made on the damaged files as they were, not as the requests have left them. */
static bool check_finds(struct scene *scene, const struct file *hurt, const struct round *c)
{
    char message[400];

    shut(scene);
    restore(scene);
    write_file(&scene->s, c->file, hurt->data, hurt->len);
    if (!reopen(scene, KVS_INSPECT, message))
        return message[0];
    long found = findings(scene);
    return found > 0;
}

static void run_case(struct scene *scene, struct tally *tally, struct round *c)
{
    char message[400];
    struct file *whole = &scene->files[c->file], hurt = {malloc(whole->len + 1), whole->len};
    long errors = 0;

    memcpy(hurt.data, whole->data, whole->len);
    damage(&hurt, c->kind, &c->at);
    restore(scene);
    bool opened = c->live && reopen(scene, KVS_FASTCGI, message);
    if (opened)
        free(ask(&scene->s, &probes[8]).body);
    write_file(&scene->s, c->file, hurt.data, hurt.len);
    if (!c->live)
        opened = reopen(scene, KVS_FASTCGI, message);
    tally->cases++;
    if (opened)
        errors = ask_all(scene, tally, c);
    else if (!message[0])
        complain(tally, c, "not opened, without a word", NULL);
    tally->refused += !opened;
    tally->hurt += errors > 0;
    tally->harmless += opened && !errors;
    if ((!opened || errors) && !check_finds(scene, &hurt, c)) {
        tally->unfound++;
        complain(tally, c, "something was refused, but the check finds nothing", message);
    }
    shut(scene);
    free(hurt.data);
}

/* The log's index is shared memory while the store is open, and made anew by whoever opens it first: it is damaged then. */
static void draw(struct round *c)
{
    static const int files[] = {DATABASE, DATABASE, DATABASE, DATABASE, DATABASE, LOG, LOG, LOG, INDEX, LOCK};

    c->file = files[chance(sizeof files / sizeof *files)];
    c->kind = (enum kind)chance(KINDS);
    c->live = c->file != INDEX && c->file != LOCK && chance(4) == 0;
}

/* Ends the program when it has worked for so long: that is a loop without an end. */
static void limit(long seconds)
{
    struct itimerval timer = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_PROF, &timer, NULL);
}

static void run_rounds(struct scene *scene, uint64_t seed, long rounds, long only)
{
    struct tally tally = {0};

    for (long i = 0; i < rounds; i++) {
        struct round c = {.number = i};
        if (only >= 0 && i != only)
            continue;
        chance_state = seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
        draw(&c);
        limit(CASE_SECONDS);
        run_case(scene, &tally, &c);
    }
    limit(0);
    printf("# seed %llu: %ld damages: %ld not opened, %ld met by requests, %ld harmless; %ld answers, %ld of them "
           "errors\n",
           (unsigned long long)seed, tally.cases, tally.refused, tally.hurt, tally.harmless, tally.answers,
           tally.errors);
    is_int(tally.unfound, 0, "what_is_refused_is_found_by_the_check");
    is_int(tally.wrong, 0, "no_wrong_answer");
    ok(only >= 0 || (tally.refused && tally.hurt && tally.harmless), "damage_of_every_effect_was_done");
}

static void prepare(struct scene *scene)
{
    char message[400];

    service_freeze(noon);
    service_prepare(&scene->s);
    service_configure(&scene->s, "durability", "full");
    service_reopen(&scene->s);
    fill(&scene->s);
    kvs_close(scene->s.kvs);
    scene->s.kvs = NULL;
    for (int i = 0; i < FILES; i++)
        scene->files[i] = read_file(&scene->s, i);
    service_freeze(noon + 1000);
    ok(reopen(scene, KVS_FASTCGI, message), "opened_undamaged %s", message);
    for (size_t i = 0; i < PROBES; i++)
        scene->want[i] = ask(&scene->s, &probes[i]);
    bool served = true;
    for (size_t i = 0; i < PROBES; i++)
        served &= scene->want[i].status < 500;
    ok(served, "served_undamaged");
    is_int(findings(scene), 0, "sound_undamaged");
    shut(scene);
    printf("# database %zu bytes, log %zu bytes\n", scene->files[DATABASE].len, scene->files[LOG].len);
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && text[0] ? strtol(text, NULL, 10) : otherwise;
}

static int run(void)
{
    static struct scene scene;
    const char *longer = getenv("KVS_LONG");
    long rounds = number("KVS_ROUNDS", longer && longer[0] ? ROUNDS_LONG : ROUNDS_SHORT);
    uint64_t seed = (uint64_t)number("KVS_SEED", (long)time(NULL));

    prepare(&scene);
    run_rounds(&scene, seed, rounds, number("KVS_CASE", -1));
    for (int i = 0; i < FILES; i++)
        free(scene.files[i].data);
    for (size_t i = 0; i < PROBES; i++)
        free(scene.want[i].body);
    service_close(&scene.s);
    return done_testing();
}

/* The end of what the child had to say, where it ended as it should not. */
static void show_end(FILE *errors)
{
    char text[6000];

    fseek(errors, 0, SEEK_END);
    long len = ftell(errors), from = len > (long)sizeof text ? len - (long)sizeof text : 0;
    fseek(errors, from, SEEK_SET);
    fwrite(text, 1, fread(text, 1, sizeof text, errors), stderr);
}

/* Each damage is logged many times: that goes into a file, which is shown only where a sanitizer has had a word as well. */
int main(void)
{
    FILE *errors = tmpfile();
    int status = 0;

    if (!errors || sodium_init() < 0)
        return 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(fileno(errors), STDERR_FILENO);
        status = run();
        fflush(stdout);
        exit(status);
    }
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        show_end(errors);
        printf("# ended with status %d\n", status);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
