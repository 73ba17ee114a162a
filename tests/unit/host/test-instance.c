#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host/instance.h"

static void test_names(void **state _unused_) {
        static const char *const cases[][2] = {
                        {"1.2.3", "app@1.2.3.service"},
                        {"1.2.3-rc.1", "app@1.2.3\\x2drc.1.service"},
                        {"1.0.0+b_7", "app@1.0.0\\x2bb_7.service"},
        };
        char name[UNIT_NAME_MAX];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                assert_int_equal(instance_name("app@.service", cases[i][0], name), 0);
                assert_string_equal(name, cases[i][1]);
        }
        assert_int_equal(instance_name("app.service", "1", name), -EINVAL);
        assert_int_equal(instance_name("app@.service", "", name), -EINVAL);
}

static void test_templates(void **state _unused_) {
        assert_true(unit_is_template("app@.service"));
        assert_false(unit_is_template("app@1.service"));
        assert_false(unit_is_template("@.service"));
        assert_false(unit_is_template("app.service"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_names),
                        cmocka_unit_test(test_templates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
