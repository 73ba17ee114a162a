#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/latency.h"

static void add(LatencyWatch *w, unsigned n, uint64_t msec) {
        for (unsigned i = 0; i < n; i++)
                latency_add(w, msec * USEC_PER_MSEC);
}

static void test_growth(void **state _unused_) {
        LatencyWatch w = {0};
        uint64_t was, is;

        add(&w, 5, 20);
        assert_int_equal(latency_growth(&w, 10, &was, &is), 0); /* too few */
        add(&w, 20, 30);
        assert_int_equal(latency_growth(&w, 10, &was, &is), 0);
        add(&w, 2, 400); /* one or two slow answers are not a trend */
        assert_int_equal(latency_growth(&w, 10, &was, &is), 0);
        add(&w, 1, 400);
        assert_int_equal(latency_growth(&w, 10, &was, &is), 20);
        assert_true(was == 20 * USEC_PER_MSEC && is == 400 * USEC_PER_MSEC);
        add(&w, 3, 20);
        assert_int_equal(latency_growth(&w, 10, &was, &is), 0);
}

static void test_noise(void **state _unused_) {
        LatencyWatch w = {0};
        uint64_t was, is;

        add(&w, 5, 1);
        add(&w, 5, 90); /* ninety times, and nobody notices */
        assert_int_equal(latency_growth(&w, 10, &was, &is), 0);
        add(&w, 5, 100);
        assert_int_equal(latency_growth(&w, 10, &was, &is), 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_growth),
                        cmocka_unit_test(test_noise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
