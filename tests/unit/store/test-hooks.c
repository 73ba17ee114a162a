#include <errno.h>
#include <sys/stat.h>

#include "tests/unit/scratch.h"

#include "store/hooks.h"

static void test_find(void **state) {
        _cleanup_error_ Error e = ERROR_INIT;
        Scratch *s = *state;
        unsigned found = 99;

        assert_int_equal(hooks_find(s->fd, &found, &e), 0);
        assert_int_equal(found, 0);
        assert_int_equal(mkdirat(s->fd, "hooks", 0755), 0);
        scratch_write(s, "hooks/useState.js", "x", 1); /* somebody else's idea of a hook */
        scratch_write(s, "hooks/after-switch", "x", 1);
        assert_int_equal(hooks_find(s->fd, &found, &e), -EINVAL);
        assert_string_equal(e.message, "hooks/after-switch is a hook, and no executable file");
        assert_int_equal(fchmodat(s->fd, "hooks/after-switch", 0755, 0), 0);
        assert_int_equal(hooks_find(s->fd, &found, &e), 0);
        assert_int_equal(found, HOOK_BIT(HOOK_AFTER_SWITCH));
}

static void test_names(void **state _unused_) {
        for (Hook h = 0; h < _HOOK_MAX; h++) {
                Hook back = _HOOK_MAX;

                assert_int_equal(hook_from_name(hook_name(h), &back), 0);
                assert_int_equal(back, h);
        }
        assert_string_equal(hook_path(HOOK_BEFORE_SWITCH), "hooks/before-switch");
        assert_int_equal(hook_from_name("before", &(Hook){0}), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_find),
                        cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
