#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "host/call.h"

static void test_errno(void **state _unused_) {
        assert_int_equal(bus_error_to_errno("org.freedesktop.systemd1.NoSuchUnit", -EIO), -ENOENT);
        assert_int_equal(bus_error_to_errno("org.freedesktop.systemd1.UnitMasked", -EIO), -ERFKILL);
        assert_int_equal(bus_error_to_errno(
                                         "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", -EIO),
                        -EACCES);
        assert_int_equal(bus_error_to_errno("org.freedesktop.DBus.Error.FileNotFound", -ENOENT), -ENOENT);
        assert_int_equal(bus_error_to_errno("org.example.Unheard", 0), -EIO);
        assert_int_equal(bus_error_to_errno(NULL, 0), -EIO);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_errno),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
