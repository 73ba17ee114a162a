#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_now(void **state _unused_) {
        uint64_t before = clock_monotonic();

        assert_true(clock_now() > UINT64_C(1700000000) * USEC_PER_SEC);
        assert_int_equal(usleep(2000), 0);
        assert_true(clock_monotonic() >= before + 2000);
}

static void test_text_and_back(void **state _unused_) {
        static const struct {
                const char *text;
                uint64_t seconds;
        } cases[] = {
                        {"1970-01-01T00:00:00Z", 0},
                        {"2000-02-29T23:59:59Z", 951868799},
                        {"2026-11-23T19:54:20Z", 1795463660},
                        {"9999-12-31T23:59:59Z", 253402300799},
        };
        char buffer[CLOCK_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                uint64_t usec = 1;

                assert_string_equal(clock_to_text(cases[i].seconds * USEC_PER_SEC + 999999, buffer),
                                cases[i].text);
                assert_int_equal(clock_from_text(cases[i].text, &usec), 0);
                assert_true(usec == cases[i].seconds * USEC_PER_SEC);
        }
}

static void test_other_forms_are_refused(void **state _unused_) {
        static const char *const bad[] = {"", "2026-11-23", "2026-11-23T19:54:20",
                        "2026-11-23T19:54:20+00:00", "2026-11-23T19:54:20.5Z", "2026-11-23 19:54:20Z",
                        "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-23T24:00:00Z",
                        "2026-11-23T19:60:00Z", "2026-1-23T19:54:20Z", " 2026-11-23T19:54:20Z",
                        "2026-11-23T19:54:20Zx", "1969-12-31T23:59:59Z", "12026-11-23T19:54:20Z",
                        "2026-11-23T19:54:60Z"};
        uint64_t usec = 7;

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_int_equal(clock_from_text(bad[i], &usec), -EINVAL);
        assert_int_equal(usec, 7);
}

static void test_spans_for_people(void **state _unused_) {
        static const struct {
                uint64_t usec;
                const char *text;
        } cases[] = {
                        {0, "0ms"},
                        {999, "0ms"},
                        {42 * USEC_PER_MSEC, "42ms"},
                        {1300 * USEC_PER_MSEC, "1.3s"},
                        {125 * USEC_PER_SEC, "2min 5s"},
                        {(3 * 3600 + 4 * 60) * USEC_PER_SEC, "3h 4min"},
                        {(2 * 86400 + 3 * 3600) * USEC_PER_SEC, "2d 3h"},
        };
        char buffer[CLOCK_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                assert_string_equal(span_to_text(cases[i].usec, buffer), cases[i].text);
        assert_true(strlen(span_to_text(USEC_INFINITY, buffer)) < CLOCK_TEXT_MAX);
}

static void test_spans(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
                uint64_t usec;
        } cases[] = {
                        {"0", 0, 0},
                        {"30", 0, 30 * USEC_PER_SEC},
                        {"30s", 0, 30 * USEC_PER_SEC},
                        {"250ms", 0, 250 * USEC_PER_MSEC},
                        {"7us", 0, 7},
                        {"1min 30s", 0, 90 * USEC_PER_SEC},
                        {"1min30s", 0, 90 * USEC_PER_SEC},
                        {" 1 h  2 m ", 0, 3720 * USEC_PER_SEC},
                        {"1w 1d", 0, 8 * 86400 * USEC_PER_SEC},
                        {"infinity", 0, USEC_INFINITY},
                        {"", -EINVAL, 1},
                        {" ", -EINVAL, 1},
                        {"s", -EINVAL, 1},
                        {"5 parsecs", -EINVAL, 1},
                        {"-5s", -EINVAL, 1},
                        {"1.5s", -EINVAL, 1},
                        {"5S", -EINVAL, 1},
                        {"99999999999999999999s", -ERANGE, 1},
                        {"30500568904943w", -ERANGE, 1},
                        {"18446744073709551615us 1us", -ERANGE, 1},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                uint64_t usec = 1;

                assert_int_equal(span_from_text(cases[i].text, &usec), cases[i].r);
                assert_true(usec == cases[i].usec);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_now),
                        cmocka_unit_test(test_text_and_back),
                        cmocka_unit_test(test_other_forms_are_refused),
                        cmocka_unit_test(test_spans_for_people),
                        cmocka_unit_test(test_spans),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
