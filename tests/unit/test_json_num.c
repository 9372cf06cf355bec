/* json_num: integers exact in every form, doubles the nearest, and printed so that they read back. */
#include "json_num.h"

#include <float.h>
#include <math.h>

#include "scanned.h"

static const struct {
    const char *text;
    enum json_num_kind kind;
    int64_t n;
} integers[] = {
    {"0", JSON_NUM_INT, 0},
    {"-0", JSON_NUM_INT, 0},
    {"0.0", JSON_NUM_INT, 0},
    {"-0.000e-5", JSON_NUM_INT, 0},
    {"0e999999999999", JSON_NUM_INT, 0},
    {"0e-99999999999999999999999999", JSON_NUM_INT, 0},
    {"1", JSON_NUM_INT, 1},
    {"-1", JSON_NUM_INT, -1},
    {"1000", JSON_NUM_INT, 1000},
    {"1e3", JSON_NUM_INT, 1000},
    {"1E+3", JSON_NUM_INT, 1000},
    {"1e0003", JSON_NUM_INT, 1000},
    {"1000.0", JSON_NUM_INT, 1000},
    {"1000.000e0", JSON_NUM_INT, 1000},
    {"1.5e1", JSON_NUM_INT, 15},
    {"1.50e1", JSON_NUM_INT, 15},
    {"0.015e3", JSON_NUM_INT, 15},
    {"1500e-2", JSON_NUM_INT, 15},
    {"15.00e-0", JSON_NUM_INT, 15},
    {"100.5e1", JSON_NUM_INT, 1005},
    {"10203.0400e2", JSON_NUM_INT, 1020304},
    {"12345678901234567890e-1", JSON_NUM_INT, 1234567890123456789},
    {"9223372036854775807", JSON_NUM_INT, INT64_MAX},
    {"9223372036854775807.000", JSON_NUM_INT, INT64_MAX},
    {"922337203685477580.7e1", JSON_NUM_INT, INT64_MAX},
    {"0.9223372036854775807e19", JSON_NUM_INT, INT64_MAX},
    {"92233720368547758070000e-4", JSON_NUM_INT, INT64_MAX},
    {"-9223372036854775808", JSON_NUM_INT, INT64_MIN},
    {"-9223372036854775808.0e0", JSON_NUM_INT, INT64_MIN},
    {"-9.223372036854775808e18", JSON_NUM_INT, INT64_MIN},
    {"1e18", JSON_NUM_INT, 1000000000000000000},
    {"9e18", JSON_NUM_INT, 9000000000000000000},
    {"9223372036854775808", JSON_NUM_BIG, 0},
    {"-9223372036854775809", JSON_NUM_BIG, 0},
    {"9999999999999999999", JSON_NUM_BIG, 0},
    {"18446744073709551616", JSON_NUM_BIG, 0},
    {"18446744073709551617", JSON_NUM_BIG, 0},
    {"1e19", JSON_NUM_BIG, 0},
    {"-1e19", JSON_NUM_BIG, 0},
    {"2e19", JSON_NUM_BIG, 0},
    {"3.7e19", JSON_NUM_BIG, 0},
    {"1e400", JSON_NUM_BIG, 0},
    {"1e999999999999999999999999999", JSON_NUM_BIG, 0},
    {"0.001e9223372036854775807", JSON_NUM_BIG, 0},
    {"123456789012345678901234567890", JSON_NUM_BIG, 0},
    {"123456789012345678901234567890.0", JSON_NUM_BIG, 0},
    {"0.5", JSON_NUM_FRACTION, 0},
    {"-0.5", JSON_NUM_FRACTION, 0},
    {"1.5", JSON_NUM_FRACTION, 0},
    {"1e-1", JSON_NUM_FRACTION, 0},
    {"15e-1", JSON_NUM_FRACTION, 0},
    {"1.05e1", JSON_NUM_FRACTION, 0},
    {"1e-400", JSON_NUM_FRACTION, 0},
    {"1e-999999999999999999999999999", JSON_NUM_FRACTION, 0},
    {"123456789012345678901234567890.5", JSON_NUM_FRACTION, 0},
    {"12345678901234567890e-2", JSON_NUM_FRACTION, 0},
    {"9223372036854775807.1", JSON_NUM_FRACTION, 0},
};

static void test_integers(void)
{
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        int64_t n = 0;
        is_int(json_num_int(integers[i].text, strlen(integers[i].text), &n), integers[i].kind, "kind of %s",
               integers[i].text);
        is_int(n, integers[i].n, "%s exactly", integers[i].text);
    }
    int64_t n = 0;
    ok(json_num_int("12345", 3, &n) == JSON_NUM_INT && n == 123, "only as far as the length says");
}

/* One integer with its point moved to every place, and the exponent that moves it back. */
static void test_moved_points(void)
{
    static const int64_t numbers[] = {7,         -10,      123456789, 1020304050607080901, -1000000000000000000,
                                      INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char digits[32];
        int len = snprintf(digits, sizeof(digits), "%llu",
                           numbers[i] < 0 ? 0ULL - (unsigned long long)numbers[i] : (unsigned long long)numbers[i]);
        const char *sign = numbers[i] < 0 ? "-" : "";
        bool good = true;
        for (int behind = 0; behind < 40; behind++) {
            char text[128];
            int64_t n = 0;
            if (behind == 0)
                snprintf(text, sizeof(text), "%s%se0", sign, digits);
            else if (behind < len)
                snprintf(text, sizeof(text), "%s%.*s.%se%d", sign, len - behind, digits, digits + len - behind, behind);
            else
                snprintf(text, sizeof(text), "%s0.%0*d%se%d", sign, behind - len + 1, 0, digits, behind + 1);
            good = good && json_num_int(text, strlen(text), &n) == JSON_NUM_INT && n == numbers[i];
            snprintf(text, sizeof(text), "%s%s%0*de-%d", sign, digits, behind + 1, 0, behind + 1);
            good = good && json_num_int(text, strlen(text), &n) == JSON_NUM_INT && n == numbers[i];
            snprintf(text, sizeof(text), "%s%s%0*d1e-%d", sign, digits, behind + 1, 0, behind + 2);
            good = good && json_num_int(text, strlen(text), &n) == JSON_NUM_FRACTION;
        }
        ok(good, "%s%s with its point anywhere", sign, digits);
    }
}

static void is_double(const char *text, size_t len, double want, const char *name)
{
    double got = 12345;
    bool finite = json_num_double(text, len, &got);
    if (!ok(finite && memcmp(&got, &want, sizeof(got)) == 0, "%s", name))
        printf("#   got %.17g, want %.17g\n", got, want);
}

static void test_doubles(void)
{
    static const struct {
        const char *text;
        double want;
    } cases[] = {{"0", 0.0},
                 {"-0", -0.0},
                 {"1", 1.0},
                 {"-1.5e3", -1500.0},
                 {"0.1", 0.1},
                 {"1e-400", 0.0},
                 {"-1e-400", -0.0},
                 {"1e-99999999999999999999", 0.0},
                 {"0e99999999999999999999", 0.0},
                 {"5e-324", 4.9406564584124654e-324},
                 {"2.2250738585072011e-308", 2.2250738585072011e-308},
                 {"1.7976931348623157e308", DBL_MAX},
                 {"1.7976931348623158e308", DBL_MAX},
                 {"9007199254740993", 9007199254740992.0},
                 {"9007199254740993.00000000000000000000000000000000000000000000000001", 9007199254740994.0},
                 {"123456789012345678901234567890", 123456789012345678901234567890.0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_double(cases[i].text, strlen(cases[i].text), cases[i].want, cases[i].text);
    is_double("1.2599", 3, 1.2, "only as far as the length says");
    static const char *const infinite[] = {"1e309", "-1e309", "1.7976931348623159e308", "1e99999999999999999999",
                                           "17976931348623159000000000000000000000000000000000000000000000000000e242"};
    for (size_t i = 0; i < sizeof(infinite) / sizeof(infinite[0]); i++) {
        double d;
        ok(!json_num_double(infinite[i], strlen(infinite[i]), &d), "%s is not finite", infinite[i]);
    }
}

/* 2^-1075, half of the least double, in full: halved digit by digit. */
static char *half_of_least(size_t *len)
{
    enum { HALVINGS = 1075 };
    char *text = malloc(HALVINGS + 3);
    if (!text)
        abort();
    memcpy(text, "1.", 2);
    *len = 2;
    for (int i = 0; i < HALVINGS; i++) {
        int carry = 0;
        for (size_t k = 0; k < *len; k++) {
            if (text[k] == '.')
                continue;
            int digit = carry * 10 + (text[k] - '0');
            text[k] = (char)('0' + digit / 2);
            carry = digit % 2;
        }
        text[(*len)++] = '5';
    }
    return text;
}

/* Between two doubles a single digit, however far behind, decides. */
static void test_long_doubles(void)
{
    size_t len, more = 100000;
    char *half = half_of_least(&len), *text = malloc(len + more + 64);
    if (!text)
        abort();
    is_double(half, len, 0.0, "half of the least double goes to the even one");
    memcpy(text, half, len);
    memset(text + len, '0', more);
    is_double(text, len + more, 0.0, "so it does with zeros behind it");
    text[len + more - 1] = '1';
    is_double(text, len + more, 4.9406564584124654e-324, "and a bit more than half does not");
    text[len - 1] = '4';
    is_double(text, len + more, 0.0, "nor does a bit less");

    static const char tie[] = "1.00000000000000011102230246251565404236316680908203125"; /* 1 + 2^-53 */
    size_t n = sizeof(tie) - 1;
    memcpy(text, tie, n);
    memset(text + n, '0', more);
    is_double(text, n + more, 1.0, "a tie with zeros behind it");
    text[n + more - 1] = '7';
    is_double(text, n + more, 1.0000000000000002, "a tie and a bit more");
    memcpy(text + n + more, "e-5", 3);
    is_double(text, n + more + 3, 1.0000000000000001e-05, "with an exponent");

    memset(text, '0', more);
    memcpy(text, "-0.", 3);
    size_t end = more + (size_t)sprintf(text + more, "25e%zu", more - 3);
    is_double(text, end, -0.25, "zeros that the exponent takes back");
    memset(text, '0', more);
    text[0] = '7';
    end = more + (size_t)sprintf(text + more, "e-%zu", more - 1);
    is_double(text, end, 7.0, "and zeros behind");
    memset(text, '9', 400);
    double d;
    ok(!json_num_double(text, 400, &d), "400 digits are not finite");
    memset(text, '0', more);
    text[1] = '.';
    is_double(text, more, 0.0, "nothing but zeros");
    free(text);
    free(half);
}

static void test_print(void)
{
    static const struct {
        double d;
        const char *text;
    } cases[] = {{0.0, "0"},
                 {-0.0, "0"},
                 {1.0, "1"},
                 {-1.0, "-1"},
                 {10.0, "10"},
                 {100000.0, "100000"},
                 {-123456789.0, "-123456789"},
                 {0.1, "0.1"},
                 {-0.5, "-0.5"},
                 {1.5, "1.5"},
                 {0.30000000000000004, "0.30000000000000004"},
                 {1.0 / 3, "0.3333333333333333"},
                 {2.0 / 3, "0.6666666666666666"},
                 {123.456, "123.456"},
                 {1e15, "1000000000000000"},
                 {9007199254740992.0, "9007199254740992"},
                 {1e20, "100000000000000000000"},
                 {123456789012345680000.0, "123456789012345680000"},
                 {-999999999999999900000.0, "-999999999999999900000"},
                 {1e21, "1e+21"},
                 {-1.5e21, "-1.5e+21"},
                 {1.2345e100, "1.2345e+100"},
                 {1e-6, "0.000001"},
                 {1.2345678901234567e-6, "0.0000012345678901234567"},
                 {1e-7, "1e-7"},
                 {-2.5e-7, "-2.5e-7"},
                 {1e300, "1e+300"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {-DBL_MAX, "-1.7976931348623157e+308"},
                 {DBL_MIN, "2.2250738585072014e-308"},
                 {4.9406564584124654e-324, "5e-324"},
                 {1.4821969375237396e-323, "1.5e-323"},
                 {2.2250738585072009e-308, "2.225073858507201e-308"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[JSON_NUM_MAX];
        size_t len = json_num_print(out, cases[i].d);
        is_mem(out, len, cases[i].text, strlen(cases[i].text), "print %s", cases[i].text);
    }
}

/* Doubles of all bit patterns come back, as JSON, never longer than 17 digits in C's own form. */
static void test_round_trip(void)
{
    uint64_t random = 88172645463325252U;
    long lost = 0, invalid = 0, longer = 0;
    for (long i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double d, back = 0;
        uint64_t bits = random;
        if (i % 4 == 1)
            bits &= 0x800fffffffffffffU; /* subnormal */
        memcpy(&d, &bits, sizeof(d));
        if (i % 4 == 2)
            d = (double)(int64_t)(random >> (random % 64));
        if (i % 4 == 3)
            d = (double)(int32_t)random / 1000;
        if (!isfinite(d))
            continue;
        char out[JSON_NUM_MAX], seventeen[40];
        size_t len = json_num_print(out, d);
        struct scanned s;
        scan(&s, out, len);
        invalid += s.code != ERR_OK || s.doc.nodes[0].type != JSON_NUMBER;
        done(&s);
        lost += !json_num_double(out, len, &back) || back != d;
        snprintf(seventeen, sizeof(seventeen), "%.17g", d);
        longer += fabs(d) >= 1e-4 && fabs(d) < 1e15 && len > strlen(seventeen);
    }
    is_int(lost, 0, "every double reads back as itself");
    is_int(invalid, 0, "from a JSON number");
    is_int(longer, 0, "that is no longer than it must be");
}

int main(void)
{
    test_integers();
    test_moved_points();
    test_doubles();
    test_long_doubles();
    test_print();
    test_round_trip();
    return done_testing();
}
