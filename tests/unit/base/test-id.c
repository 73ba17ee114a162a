#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/id.h"

static void test_form(void **state _unused_) {
        char id[ID_TEXT_MAX];

        assert_true(startswith(id_new(UINT64_C(1795463660123456), id), "20261123T195420.123-"));
        assert_true(id_is_valid(id));
        assert_int_equal(strlen(id), 26);
}

static void test_sorts_by_time(void **state _unused_) {
        uint64_t usec = UINT64_C(1798761599999000); /* the last millisecond of a year */
        char earlier[ID_TEXT_MAX], later[ID_TEXT_MAX];

        for (int i = 0; i < 2000; i++, usec += 1000 + 7919 * (uint64_t) i)
                assert_true(strcmp(id_new(usec, earlier), id_new(usec + 1000, later)) < 0);
}

static void test_unlike_each_other(void **state _unused_) {
        char a[ID_TEXT_MAX], b[ID_TEXT_MAX];
        int alike = 0;

        for (int i = 0; i < 100; i++)
                alike += streq(id_new(1, a), id_new(1, b));
        assert_true(alike < 2); /* 24 random bits */
}

static void test_invalid(void **state _unused_) {
        static const char *const bad[] = {"", "20261123T195420.123-4f2a9", "20261123T195420.123-4f2a9cc",
                        "20261123T195420.123-4f2a9C", "20261123T195420.123_4f2a9c",
                        "2026112aT195420.123-4f2a9c", "../../../../etc/passwd.....",
                        " 0261123T195420.123-4f2a9c"};

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_false(id_is_valid(bad[i]));
        assert_true(id_is_valid("20261123T195420.123-4f2a9c"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_form),
                        cmocka_unit_test(test_sorts_by_time),
                        cmocka_unit_test(test_unlike_each_other),
                        cmocka_unit_test(test_invalid),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
