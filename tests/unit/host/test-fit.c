#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/fit.h"

#define GIB (1024 * MIB)

static void test_judge(void **state _unused_) {
        static const struct {
                FitFacts f;
                int r;
        } cases[] = {
                        {{1 * GIB, 2 * GIB, 8 * GIB, 0}, 0},
                        {{2 * GIB, 2 * GIB, 8 * GIB, 0}, -EBUSY},
                        {{1 * GIB, 5 * GIB / 4, 2 * GIB, 0}, -EBUSY}, /* the reserve would be used up */
                        {{UINT64_MAX, 1, 2 * GIB, 0}, 0},
                        {{1 * GIB, UINT64_MAX, UINT64_MAX, UINT_MAX}, 0},
                        {{1 * MIB, 2 * GIB, 8 * GIB, 90}, 0},
                        {{1 * MIB, 2 * GIB, 8 * GIB, 97}, 1},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_error_ Error e = ERROR_INIT;

                assert_int_equal(fit_judge(&cases[i].f, &e), cases[i].r);
                assert_int_equal(e.class, cases[i].r < 0   ? ERROR_REFUSED
                                          : cases[i].r > 0 ? ERROR_FAILED
                                                           : ERROR_NONE);
                assert_int_equal(e.hint != NULL, cases[i].r < 0);
        }
}

static void test_read(void **state _unused_) {
        const UnitState s = {.main_pid = getpid(), .memory_current = UINT64_MAX};
        FitFacts f;

        assert_int_equal(fit_facts_read(&s, &f), 0);
        assert_true(f.instance_memory > 64 * KIB && f.instance_memory < 4 * GIB);
        assert_true(f.available_memory > 0 && f.available_memory <= f.total_memory);
        assert_int_equal(fit_facts_read(NULL, &f), 0);
        assert_true(f.instance_memory == UINT64_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_judge),
                        cmocka_unit_test(test_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
