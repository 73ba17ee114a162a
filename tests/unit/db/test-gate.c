#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "db/gate.h"

static void test_admits(void **state _unused_) {
        char level[] = "12", floor[] = "9";
        SchemaState empty = {0}, expanded = {.level = level}, contracted = {.level = level, .floor = floor};
        SchemaRange none = {0}, old = {.needs = "8"}, current = {.needs = "12", .knows = "9"};

        assert_true(schema_admits(&none, &empty));
        assert_true(schema_admits(&current, &empty));
        assert_false(schema_admits_now(&current, &empty));
        assert_true(schema_admits_now(&old, &expanded));
        assert_false(schema_admits(&old, &contracted));
        assert_true(schema_admits_now(&current, &contracted));
        /* by number, not by letter */
        assert_true(schema_admits(&(SchemaRange){.needs = "8", .knows = "10"}, &contracted));
}

static void test_gate_says_why(void **state _unused_) {
        char level[] = "12", floor[] = "9";
        SchemaState contracted = {.level = level, .floor = floor};
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(schema_gate(&(SchemaRange){.needs = "8"}, &contracted, true, "1.0", "1.4", &e),
                        -EPERM);
        assert_int_equal(e.class, ERROR_REFUSED);
        assert_non_null(strstr(e.message, "contract migration 9"));
        assert_non_null(strstr(e.hint, "1.4"));

        assert_int_equal(schema_gate(&(SchemaRange){"13", "9"}, &contracted, true, "2.0", NULL, &e), -EPERM);
        assert_non_null(strstr(e.message, "needs migration 13"));
        assert_int_equal(schema_gate(&(SchemaRange){"13", "9"}, &contracted, false, "2.0", NULL, &e), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_admits),
                        cmocka_unit_test(test_gate_says_why),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
