#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/version.h"

static void test_valid(void **state _unused_) {
        static const char *const good[] = {"1", "1.0.0", "v2", "2026.11.23-rc.1+build_5", "a-b"};
        static const char *const bad[] = {"", ".", "..", ".hidden", "-1", "+1", "_1", "1/2", "1 2", "1\n",
                        "1:2", "1\xc3\xa4", "1*", "../1"};
        char longest[VERSION_MAX + 2];

        for (size_t i = 0; i < ELEMENTS_OF(good); i++)
                assert_true(version_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_false(version_is_valid(bad[i]));
        memset(longest, '1', sizeof(longest));
        longest[VERSION_MAX] = 0;
        assert_true(version_is_valid(longest));
        longest[VERSION_MAX] = '1';
        longest[VERSION_MAX + 1] = 0;
        assert_false(version_is_valid(longest));
}

static int sign(int n) {
        return (n > 0) - (n < 0);
}

/* Each is newer than all before it: every pair is compared, both ways round. The pre-releases are the example of
 * Semantic Versioning 2.0.0 section 11. */
static void test_order(void **state _unused_) {
        static const char *const sorted[] = {"0", "0.0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                        "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.0+a",
                        "1.0.0+b", "1.0.1", "1.2", "1.2.2", "1.2.10", "1.10", "2-rc.1", "2", "9.99.999",
                        "10.0.0-0", "10.0.0", "2026.11.23", "18446744073709551616", "18446744073709551617",
                        "a", "v1", "v1.0.1"};

        for (size_t i = 0; i < ELEMENTS_OF(sorted); i++)
                for (size_t j = 0; j < ELEMENTS_OF(sorted); j++)
                        assert_int_equal(sign(version_compare(sorted[i], sorted[j])), (i > j) - (i < j));
}

static void test_ties_are_broken(void **state _unused_) {
        static const char *const alike[] = {"1", "1.0", "1.0.0", "01.0", "1.00"};

        for (size_t i = 0; i < ELEMENTS_OF(alike); i++)
                for (size_t j = 0; j < ELEMENTS_OF(alike); j++)
                        assert_int_equal(sign(version_compare(alike[i], alike[j])),
                                        sign(strcmp(alike[i], alike[j])));
}

/* What no publisher accepts must still not be read beyond its end. */
static void test_odd_forms(void **state _unused_) {
        static const char *const odd[] = {"", ".", "1.", "1..2", "-", "1-", "1-.", "+", "1+", "1-+", "--"};

        for (size_t i = 0; i < ELEMENTS_OF(odd); i++)
                for (size_t j = 0; j < ELEMENTS_OF(odd); j++) {
                        assert_int_equal(sign(version_compare(odd[i], odd[j])),
                                        -sign(version_compare(odd[j], odd[i])));
                        assert_int_equal(version_compare(odd[i], odd[j]) == 0, i == j);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_valid),
                        cmocka_unit_test(test_order),
                        cmocka_unit_test(test_ties_are_broken),
                        cmocka_unit_test(test_odd_forms),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
