#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host/oom.h"

static void test_text(void **state _unused_) {
        assert_true(oom_kills_from_text("low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 1\n") == 2);
        assert_true(oom_kills_from_text("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n") == 7);
        assert_true(oom_kills_from_text("oom_kill_disable 0\nunder_oom 0\n") == UINT64_MAX);
        assert_true(oom_kills_from_text("") == UINT64_MAX);
}

static void test_no_group(void **state _unused_) {
        const UnitState none = {0}, gone = {.control_group = "/no/such/group"};

        assert_true(unit_oom_kills(&none) == UINT64_MAX);
        assert_true(unit_oom_kills(&gone) == UINT64_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_text),
                        cmocka_unit_test(test_no_group),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
