/* json_scan: the same judgement as an independent reader has, on thousands of damaged bodies. */
#include "scanned.h"

/*
 * A second opinion, written for the eye and not for speed: whether the text is JSON, duplicate names apart.
 */
struct judge {
    const unsigned char *p, *end;
};

static bool take(struct judge *j, const char *set)
{
    if (j->p < j->end && *j->p != 0 && strchr(set, *j->p)) {
        j->p++;
        return true;
    }
    return false;
}

static void space(struct judge *j)
{
    while (take(j, " \t\r\n"))
        ;
}

static bool judge_utf8(struct judge *j)
{
    unsigned c = *j->p++;
    int more = c < 0x80 ? 0 : c >= 0xc0 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf8 ? 3 : -1;
    if (more < 0)
        return false;
    unsigned long code = more == 0 ? c : c & (0x3fu >> more);
    for (int i = 0; i < more; i++) {
        if (j->p == j->end || *j->p < 0x80 || *j->p > 0xbf)
            return false;
        code = code << 6 | (*j->p++ & 0x3f);
    }
    static const unsigned long least[] = {0, 0x80, 0x800, 0x10000};
    return code >= least[more] && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

static bool judge_string(struct judge *j)
{
    if (!take(j, "\""))
        return false;
    for (;;) {
        if (j->p == j->end || *j->p < 0x20)
            return false;
        if (take(j, "\""))
            return true;
        if (take(j, "\\")) {
            if (take(j, "u")) {
                for (int i = 0; i < 4; i++)
                    if (!take(j, "0123456789abcdefABCDEF"))
                        return false;
            } else if (!take(j, "\"\\/bfnrt")) {
                return false;
            }
        } else if (!judge_utf8(j)) {
            return false;
        }
    }
}

static bool judge_digits(struct judge *j)
{
    bool any = false;
    while (take(j, "0123456789"))
        any = true;
    return any;
}

static bool judge_value(struct judge *j, int depth);

static bool judge_container(struct judge *j, bool object, int depth)
{
    space(j);
    if (take(j, object ? "}" : "]"))
        return true;
    do {
        space(j);
        if (object) {
            if (!judge_string(j))
                return false;
            space(j);
            if (!take(j, ":"))
                return false;
        }
        if (!judge_value(j, depth))
            return false;
        space(j);
    } while (take(j, ","));
    return take(j, object ? "}" : "]");
}

static bool judge_value(struct judge *j, int depth)
{
    space(j);
    if (j->p == j->end)
        return false;
    if (*j->p == '"')
        return judge_string(j);
    if (take(j, "{"))
        return depth < JSON_MAX_DEPTH && judge_container(j, true, depth + 1);
    if (take(j, "["))
        return depth < JSON_MAX_DEPTH && judge_container(j, false, depth + 1);
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(j->end - j->p) >= n && memcmp(j->p, words[i], n) == 0) {
            j->p += n;
            return true;
        }
    }
    take(j, "-");
    if (!take(j, "0") && !judge_digits(j))
        return false;
    if (take(j, ".") && !judge_digits(j))
        return false;
    if (take(j, "eE")) {
        take(j, "+-");
        return judge_digits(j);
    }
    return true;
}

static bool judged_valid(const char *text, size_t len)
{
    struct judge j = {(const unsigned char *)text, (const unsigned char *)text + len};
    if (!judge_value(&j, 0))
        return false;
    space(&j);
    return j.p == j.end;
}

/* Always the same numbers, so that a failure can be looked at again. */
static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void mutate(char *text, size_t *len, unsigned *random)
{
    static const char likely[] = "{}[]\":,\\u0019.eE+-tfn \n\x80\xc3\xed\xf0";
    size_t at = next_random(random) % (unsigned)*len;
    char c = next_random(random) % 4 == 0 ? (char)next_random(random)
                                          : likely[next_random(random) % (unsigned)(sizeof(likely) - 1)];
    switch (next_random(random) % 4) {
    case 0: /* take one out */
        memmove(text + at, text + at + 1, *len - at - 1);
        --*len;
        break;
    case 1: /* put one in */
        memmove(text + at + 1, text + at, *len - at);
        text[at] = c;
        ++*len;
        break;
    default:
        text[at] = c;
    }
}

static void test_against_second_opinion(void)
{
    unsigned random = 1;
    long differ = 0, valid = 0, twice = 0;
    for (long i = 0; i < 60000; i++) {
        char text[512];
        size_t len = sizeof(everything) - 1;
        memcpy(text, everything, len);
        for (unsigned n = 1 + next_random(&random) % 3; n > 0; n--)
            mutate(text, &len, &random);
        bool want = judged_valid(text, len);
        struct scanned s;
        scan(&s, text, len);
        valid += want;
        if (strstr(s.err.message, "already has"))
            twice++; /* the rest was not looked at */
        else if ((s.code == ERR_OK) != want && differ++ == 0)
            tap_dump(s.err.message, text, len);
        done(&s);
    }
    is_int(differ, 0, "the same judgement on every damaged body");
    ok(valid > 1000 && valid < 59000 && twice < 3000, "of which some were valid still (%ld, %ld not judged)", valid,
       twice);
}

int main(void)
{
    test_against_second_opinion();
    return done_testing();
}
