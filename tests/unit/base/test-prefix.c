#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prefix.h"

static void assert_path(char *path, const char *expected) {
        assert_string_equal(path, expected);
        free(path);
}

static void test_paths(void **state _unused_) {
        assert_path(prefix_path("", PREFIX_CONFIG, NULL), "/etc/releasemgr");
        assert_path(prefix_path("", PREFIX_CONFIG, "app.conf", NULL), "/etc/releasemgr/app.conf");
        assert_path(prefix_path("", PREFIX_APPS, "app", "releases", "1.0", NULL), "/opt/app/releases/1.0");
        assert_path(prefix_path("", PREFIX_STATE, "app", NULL), "/var/lib/releasemgr/app");
        assert_path(prefix_path("", PREFIX_RUN, "app", "lock", NULL), "/run/releasemgr/app/lock");
        assert_path(prefix_path("", PREFIX_UNITS, "app.service", NULL), "/etc/systemd/system/app.service");
}

static void test_root_moves_them_all(void **state _unused_) {
        for (Prefix p = 0; p < _PREFIX_MAX; p++) {
                _cleanup_free_ char *here = prefix_path("", p, "x", NULL),
                                    *there = prefix_path("/img", p, "x", NULL);

                assert_true(startswith(there, "/img/"));
                assert_string_equal(there + strlen("/img"), here);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_paths),
                        cmocka_unit_test(test_root_moves_them_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
