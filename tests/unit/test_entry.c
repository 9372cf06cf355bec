/*
 * Entries: versions, revisions, history, markers, expiry, limits; and counters that agree with the rows after each step.
 */
#include "entry.h"

#include "database.h"

static const int64_t noon = INT64_C(1700000000000);

static struct bucket *bucket(struct txn *t)
{
    struct bucket *b = NULL;
    database_must(txn_bucket(t, BUCKET_DEFAULT, &b, NULL), "bucket");
    return b;
}

/* Changes options of the bucket, which the next transactions go by. */
static void set_options(struct database *d, const char *sets)
{
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE bucket SET %s", sets);
    database_sql(d, sql);
}

/* The key of one string part. */
static struct key key_of(const char *name)
{
    static unsigned char room[8][32];
    static unsigned next;
    unsigned char *p = room[next++ % 8];
    size_t n = strlen(name);

    p[0] = 2;
    memcpy(p + 1, name, n);
    p[n + 1] = 0;
    return (struct key){p, n + 2};
}

static struct value text_value(const char *text)
{
    size_t n = strlen(text);
    return (struct value){(const unsigned char *)text, n, n, VALUE_JSON};
}

static struct entry find(struct txn *t, const char *name)
{
    struct key key = key_of(name);
    struct entry e;
    database_must(entry_find(t->db, bucket(t)->id, &key, &e, &t->arena), "find");
    return e;
}

static enum error_code put_in(struct txn *t, const char *name, const char *value, int64_t ttl, struct entry *e)
{
    struct bucket *b = bucket(t);
    struct key key = key_of(name);
    struct value v = text_value(value);
    struct entry old = find(t, name);
    int64_t revision = 0;
    enum error_code rc = entry_expire(t, b, &old, &revision);
    return rc ? rc : entry_put(t, b, &old, &key, &v, bucket_expiry(b, t->now, ttl), e);
}

/* One request that sets the key. */
static struct entry put(struct database *d, const char *name, const char *value, int64_t ttl)
{
    struct entry e = {.revision = 0};
    struct txn *t = database_begin(d);
    database_must(put_in(t, name, value, ttl, &e), "put");
    database_commit(d);
    return e;
}

static struct entry mark(struct database *d, const char *name, enum entry_op op)
{
    struct entry e = {.revision = 0};
    struct txn *t = database_begin(d);
    struct entry old = find(t, name);
    database_must(entry_mark(t, bucket(t), &old, op, &e), "mark");
    database_commit(d);
    return e;
}

static struct entry look(struct database *d, const char *name)
{
    struct txn *t = database_begin(d);
    struct entry e = find(t, name);
    e.key.data = NULL; /* the arena's */
    database_abort(d);
    return e;
}

#define ROWS "(SELECT bucket,key,size,op FROM entry UNION ALL SELECT bucket,key,size,4 FROM history)"

static bool counters_agree(struct database *d)
{
    return database_int(d, "SELECT keys=(SELECT count(*) FROM " ROWS " r WHERE r.bucket=b.id AND op=0)"
                           " AND held=(SELECT count(*) FROM " ROWS " r WHERE r.bucket=b.id)"
                           " AND bytes=(SELECT coalesce(sum(length(key)+size),0) FROM " ROWS " r WHERE r.bucket=b.id)"
                           " FROM bucket b WHERE name='default'") == 1;
}

static void test_versions(struct database *d)
{
    struct entry e = put(d, "v", "1", 0);
    ok(e.version == 1 && e.revision == 1 && e.created == noon && e.expires == 0 && e.op == ENTRY_PUT, "the_first_set");
    e = put(d, "v", "22", 0);
    ok(e.version == 2 && e.revision == 2, "the_second");
    e = mark(d, "v", ENTRY_DEL);
    ok(e.version == 0 && e.revision == 3 && e.op == ENTRY_DEL && e.value.size == 0, "a_marker_has_no_version");
    e = put(d, "v", "333", 0);
    ok(e.version == 1 && e.revision == 4, "set_after_a_deletion_counts_anew");
    e = put(d, "other", "1", 0);
    ok(e.version == 1 && e.revision == 5, "each_key_counts_by_itself");
    is_int(database_int(d, "SELECT count(*) FROM history"), 0, "nothing_is_kept_beside_the_newest");
    ok(counters_agree(d), "counters_of_versions");
}

static void test_touch(struct database *d)
{
    struct entry e, first = put(d, "t", "1", 1000);
    struct txn *t;

    service_freeze(noon + 10);
    t = database_begin(d);
    struct entry old = find(t, "t");
    database_must(entry_touch(t, bucket(t), &old, noon + 99, &e), "touch");
    database_commit(d);
    ok(e.version == first.version && e.revision == first.revision + 1 && e.created == noon + 10 &&
           e.expires == noon + 99,
       "touch_is_a_commit_and_no_version");
    e = look(d, "t");
    ok(e.value.len == 1 && e.expires == noon + 99, "the_value_stays");
    ok(counters_agree(d), "counters_of_touch");
    service_freeze(noon);
}

static void test_history(struct database *d)
{
    struct entry e;
    struct key key = key_of("h");
    struct txn *t;

    set_options(d, "history=3");
    int64_t first = put(d, "h", "10", 0).revision;
    put(d, "h", "200", 0);
    mark(d, "h", ENTRY_DEL);
    is_int(database_int(d, "SELECT count(*) FROM history"), 2, "three_are_held_with_the_marker");
    ok(counters_agree(d), "counters_of_history");
    put(d, "h", "4000", 0);
    is_int(database_int(d, "SELECT count(*) FROM history"), 2, "a_fourth_drives_out_the_first");
    t = database_begin(d);
    database_must(entry_find_revision(t->db, 1, &key, first, &e, &t->arena), "find");
    is_int(e.revision, 0, "whose_revision_is_gone");
    database_must(entry_find_revision(t->db, 1, &key, first + 1, &e, &t->arena), "find");
    ok(e.revision == first + 1 && e.version == 2 && e.value.len == 3, "the_second_is_there");
    database_must(entry_find_revision(t->db, 1, &key, first + 2, &e, &t->arena), "find");
    ok(e.revision == first + 2 && e.op == ENTRY_DEL, "and_the_marker");
    database_must(entry_find_revision(t->db, 1, &key, first + 3, &e, &t->arena), "find");
    ok(e.revision == first + 3 && e.version == 1, "and_the_newest");
    database_must(entry_find_revision(t->db, 1, &key, first + 4, &e, &t->arena), "find");
    is_int(e.revision, 0, "but_none_to_come");
    database_abort(d);
    ok(counters_agree(d), "counters_after_trimming");
    set_options(d, "history=2");
    t = database_begin(d);
    database_must(entry_trim(t, bucket(t), &key), "trim");
    database_commit(d);
    is_int(database_int(d, "SELECT min(revision) FROM history"), first + 2, "fewer_are_kept_when_fewer_are_wanted");
    ok(counters_agree(d), "counters_after_lowering");
    e = mark(d, "h", ENTRY_PURGE);
    is_int(database_int(d, "SELECT count(*) FROM history"), 0, "a_purge_takes_the_history");
    e = look(d, "h");
    ok(e.op == ENTRY_PURGE && counters_agree(d), "and_leaves_its_marker");
    set_options(d, "history=1");
}

static void test_expiry(struct database *d)
{
    struct entry e = put(d, "x", "1", 100);
    int64_t revision = e.revision;

    is_int(e.expires, noon + 100, "a_ttl_counts_from_the_commit");
    ok(entry_is_live(&e, noon + 99) && !entry_is_expired(&e, noon + 99), "alive_until_its_last_millisecond");
    ok(!entry_is_live(&e, noon + 100) && entry_is_expired(&e, noon + 100), "and_not_from_the_next");
    service_freeze(noon + 100);
    struct txn *t = database_begin(d);
    struct entry one = find(t, "x");
    int64_t own = 0;
    database_must(entry_expire(t, bucket(t), &one, &own), "expire");
    ok(own == revision + 1 && one.op == ENTRY_EXPIRE && one.revision == own, "its_marker_has_a_revision_of_its_own");
    int64_t again = 0;
    database_must(entry_expire(t, bucket(t), &one, &again), "expire");
    is_int(again, 0, "a_marker_does_not_expire");
    is_int(txn_revision(t, bucket(t)), revision + 2, "the_request_has_the_next");
    is_int(txn_revision(t, bucket(t)), revision + 2, "and_but_one");
    database_commit(d);
    ok(counters_agree(d), "counters_of_expiry");
    e = put(d, "x", "2", 0);
    is_int(e.version, 1, "what_expired_starts_anew");
    service_freeze(noon);
}

static void test_maximum_age(struct database *d)
{
    struct bucket b = {.options = {.ttl = 0}};

    is_int(bucket_expiry(&b, 1000, 0), 0, "never");
    is_int(bucket_expiry(&b, 1000, 5), 1005, "as_asked");
    is_int(bucket_expiry(&b, 1000, INT64_MAX), 0, "beyond_all_time_is_never");
    b.options.ttl = 50;
    is_int(bucket_expiry(&b, 1000, 0), 1050, "the_buckets_own_is_the_default");
    is_int(bucket_expiry(&b, 1000, 5), 1005, "shorter_is_as_asked");
    is_int(bucket_expiry(&b, 1000, 500), 1050, "longer_is_cut");
    is_int(bucket_expiry(&b, 1000, INT64_MAX), 1050, "however_long");
    (void)d;
}

/* Puts a value and asks whether the bucket has room for it. */
static enum error_code put_within(struct txn *t, const char *name, const char *value, struct entry *e)
{
    const struct entry_room before = entry_room_of(bucket(t));
    const enum error_code rc = put_in(t, name, value, 0, e);
    return rc ? rc : entry_check_room(t, bucket(t), before);
}

static void test_limits(struct database *d)
{
    struct entry_room before;
    struct entry e;
    struct txn *t;

    set_options(d, "max_value=3");
    t = database_begin(d);
    is_int(put_in(t, "l", "123", 0, &e), ERR_OK, "a_value_at_its_limit");
    is_int(put_in(t, "l", "1234", 0, &e), ERR_TOO_LARGE, "and_over_it");
    database_abort(d);
    set_options(d, "max_value=-1,max_keys=(SELECT keys FROM bucket)");
    t = database_begin(d);
    is_int(put_within(t, "new", "1", &e), ERR_BUCKET_FULL, "one_key_too_many");
    database_abort(d);
    t = database_begin(d);
    is_int(put_within(t, "v", "123456789", &e), ERR_OK, "but_a_key_that_is_there");
    database_abort(d);
    put(d, "v", "1", 10);
    service_freeze(noon + 10);
    t = database_begin(d);
    is_int(put_within(t, "new", "1", &e), ERR_OK, "what_has_expired_does_not_count");
    is_int(put_within(t, "newer", "1", &e), ERR_BUCKET_FULL, "once");
    database_abort(d);
    service_freeze(noon);
    set_options(d, "max_keys=-1,max_bytes=(SELECT bytes FROM bucket)");
    t = database_begin(d);
    is_int(put_within(t, "v", "12", &e), ERR_BUCKET_FULL, "one_byte_too_many");
    database_abort(d);
    t = database_begin(d);
    is_int(put_within(t, "v", "2", &e), ERR_OK, "no_byte_more");
    database_abort(d);
    set_options(d, "max_bytes=1");
    t = database_begin(d);
    is_int(put_within(t, "v", "3", &e), ERR_OK, "what_does_not_grow_passes_however_full_it_is");
    struct entry old = find(t, "v");
    is_int(entry_mark(t, bucket(t), &old, ENTRY_DEL, &e), ERR_OK, "and_what_makes_room");
    database_abort(d);
    set_options(d, "max_bytes=-1,max_keys=(SELECT keys FROM bucket)");
    t = database_begin(d);
    before = entry_room_of(bucket(t));
    is_int(put_in(t, "w", "1", 0, &e), ERR_OK, "a_key_more");
    old = find(t, "v");
    is_int(entry_mark(t, bucket(t), &old, ENTRY_PURGE, &e), ERR_OK, "for_one_less");
    is_int(entry_check_room(t, bucket(t), before), ERR_OK, "is_judged_by_the_outcome");
    database_abort(d);
    set_options(d, "max_keys=-1");
    ok(counters_agree(d), "counters_of_limits");
}

static void test_markers_are_dropped(struct database *d)
{
    int64_t count = -1;
    char name[16];

    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "m%d", i);
        service_freeze(noon + 1000 + i);
        put(d, name, "1", 0);
        mark(d, name, ENTRY_DEL);
    }
    int64_t last = look(d, "m3").revision;
    long long live = database_int(d, "SELECT count(*) FROM entry WHERE op=0");
    struct txn *t = database_begin(d);
    database_must(entry_drop_markers(t, bucket(t), noon + 1003, 3, &count), "drop");
    database_commit(d);
    is_int(count, 3, "no_more_than_asked");
    t = database_begin(d);
    database_must(entry_drop_markers(t, bucket(t), noon + 1003, 100, &count), "drop");
    is_int(bucket(t)->compacted, last, "the_last_one_dropped_is_noted");
    database_commit(d);
    is_int(look(d, "m4").op, ENTRY_DEL, "a_younger_one_stays");
    is_int(look(d, "m3").revision, 0, "an_older_one_is_gone");
    is_int(database_int(d, "SELECT count(*) FROM entry WHERE op=0"), live, "and_no_key_with_it");
    ok(counters_agree(d), "counters_of_markers");
}

static void test_damage_is_found(struct database *d)
{
    static const char *const harms[] = {"version=version+1", "expires=1",   "value=x'31'", "op=1",
                                        "revision=99999",    "size=size+1", "created=1"};
    struct key key = key_of("v");
    struct entry e;

    put(d, "v", "2", 0);
    for (size_t i = 0; i < sizeof harms / sizeof *harms; i++) {
        char sql[160];
        struct txn *t;
        database_sql(d, "CREATE TABLE whole AS SELECT * FROM entry");
        snprintf(sql, sizeof sql, "UPDATE entry SET %s WHERE key=x'027600'", harms[i]);
        database_sql(d, sql);
        t = database_begin(d);
        is_int(entry_find(t->db, 1, &key, &e, &t->arena), ERR_CORRUPT, "%s_is_found", harms[i]);
        database_abort(d);
        database_sql(d, "DELETE FROM entry; INSERT INTO entry SELECT * FROM whole; DROP TABLE whole");
    }
    is_int(look(d, "v").op, ENTRY_PUT, "and_was_all_that_was_wrong");
}

/* Random requests of several steps; the rules told again in a few lines, and the counters after each. */
static void test_model(struct database *d, int history, unsigned seed)
{
    enum { KEYS = 4, ROUNDS = 250 };
    static const char *const names[KEYS] = {"ka", "kb", "kc", "kd"};
    int64_t versions[KEYS] = {0}, ends[KEYS] = {0}, now = noon + 5000;
    bool good = true, agree = true;
    char sql[32];

    service_freeze(now);
    snprintf(sql, sizeof sql, "history=%d", history);
    set_options(d, sql);
    for (int i = 0; i < KEYS; i++) {
        struct entry e = look(d, names[i]);
        versions[i] = entry_is_live(&e, now) ? e.version : 0;
        ends[i] = e.expires;
    }
    for (int round = 0; round < ROUNDS && good && agree; round++) {
        struct txn *t = database_begin(d);
        int steps = 1 + (int)((seed = seed * 1103515245 + 12345) >> 16) % 4;
        for (int i = 0; i < KEYS; i++)
            if (ends[i] && ends[i] <= now)
                versions[i] = ends[i] = 0;
        for (int i = 0; i < KEYS; i++) { /* as the requests do: what expired first, at a revision of its own */
            struct entry old = find(t, names[i]);
            int64_t revision = 0;
            database_must(entry_expire(t, bucket(t), &old, &revision), "expire");
        }
        for (; steps > 0; steps--) {
            int k = (int)((seed = seed * 1103515245 + 12345) >> 16) % KEYS;
            struct entry e = {.revision = 0}, old = find(t, names[k]);
            switch ((seed = seed * 1103515245 + 12345) >> 16 & 7) {
            case 0:
                if (old.op == ENTRY_PUT && old.revision)
                    database_must(entry_mark(t, bucket(t), &old, ENTRY_DEL, &e), "delete");
                versions[k] = ends[k] = 0;
                break;
            case 1:
                if (old.revision)
                    database_must(entry_mark(t, bucket(t), &old, ENTRY_PURGE, &e), "purge");
                versions[k] = ends[k] = 0;
                break;
            case 2:
                if (old.revision && old.op == ENTRY_PUT)
                    database_must(entry_touch(t, bucket(t), &old, ends[k] = t->now + 7, &e), "touch");
                break;
            default:
                database_must(put_in(t, names[k], &"12345"[seed % 5], seed & 64 ? 5 : 0, &e), "put");
                versions[k]++;
                ends[k] = e.expires;
                good = good && e.version == versions[k];
            }
        }
        database_commit(d);
        for (int i = 0; i < KEYS; i++) {
            struct entry e = look(d, names[i]);
            good = good && (entry_is_live(&e, now) ? e.version : 0) == versions[i];
        }
        agree = counters_agree(d);
        service_freeze(now += 1);
    }
    ok(good, "random_requests_follow_the_rules_with_history_%d", history);
    ok(agree, "and_the_counters_with_history_%d", history);
    ok(database_int(d, "SELECT coalesce(max(n),0) FROM (SELECT count(*) n FROM history GROUP BY bucket,key)") < history,
       "no_more_is_held_than_wanted_with_history_%d", history);
    is_int(database_int(d, "SELECT count(*) FROM entry e JOIN history h ON h.bucket=e.bucket AND h.key=e.key AND "
                           "h.revision>=e.revision"),
           0, "one_entry_a_key_and_request_with_history_%d", history);
}

int main(void)
{
    struct database d;

    service_freeze(noon);
    database_open(&d);
    test_versions(&d);
    test_touch(&d);
    service_freeze(noon + 20);
    test_history(&d);
    service_freeze(noon);
    database_close(&d);
    database_open(&d);
    test_expiry(&d);
    test_maximum_age(&d);
    database_close(&d);
    service_freeze(noon);
    database_open(&d);
    put(&d, "v", "1", 0);
    test_limits(&d);
    test_markers_are_dropped(&d);
    test_damage_is_found(&d);
    test_model(&d, 1, 1);
    test_model(&d, 4, 2);
    set_options(&d, "compression=1");
    test_model(&d, 2, 3);
    database_close(&d);
    return done_testing();
}
