#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/library.h"

static const char *const names[] = {"cos", "no_such_function"};

static void test_there(void **state _unused_) {
        double (*cosine)(double) = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(library_open("libm.so.6", names, 1, (void **) &cosine, &e), 0);
        assert_true(cosine(0) > 0.99);
}

static void test_missing(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_INIT;
        void *found[2];

        assert_int_equal(library_open("libnowhere.so.7", names, 2, found, &e), -ELIBACC);
        assert_int_equal(e.class, ERROR_FAILED);
        assert_non_null(strstr(e.message, "libnowhere.so.7"));
        assert_string_equal(e.hint, "Install the package that has libnowhere.so.7");
        assert_int_equal(library_open("libm.so.6", names, 2, found, &e), -ELIBACC);
        assert_string_equal(e.message, "The library libm.so.6 has no no_such_function()");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_there),
                        cmocka_unit_test(test_missing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
