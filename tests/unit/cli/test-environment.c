#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/environment.h"

static void test_names(void **state _unused_) {
        static const char *const yes[] = {"AWS_PROFILE=x", "AWS_SECRET_ACCESS_KEY=", "http_proxy=x",
                        "no_proxy=x", "HTTPS_PROXY=x"};
        static const char *const no[] = {
                        "PATH=x", "HTTP_PROXY=x", "http_proxy2=x", "XAWS_PROFILE=x", "HOME=x", ""};

        for (size_t i = 0; i < ELEMENTS_OF(yes); i++)
                assert_true(environment_is_passed_on(yes[i]));
        for (size_t i = 0; i < ELEMENTS_OF(no); i++)
                assert_false(environment_is_passed_on(no[i]));
}

static void test_file(void **state _unused_) {
        char *environment[] = {(char *) "PATH=/bin", (char *) "AWS_PROFILE=a b", (char *) "AWS_X",
                        (char *) "http_proxy=http://u:$\"p`\\'@h", NULL};
        char *nothing[] = {(char *) "PATH=/bin", NULL};
        _cleanup_free_ char *path = NULL, *none = NULL;
        _cleanup_close_ int fd = -1;
        char text[200] = "";
        int no_fd;

        assert_int_equal(environment_pass_on(environment, &fd, &path, NULL), 0);
        assert_true(startswith(path, "/proc/"));
        assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
        assert_string_equal(text, "AWS_PROFILE=\"a b\"\nhttp_proxy=\"http://u:\\$\\\"p\\`\\\\'@h\"\n");

        assert_int_equal(environment_pass_on(nothing, &no_fd, &none, NULL), 0);
        assert_int_equal(no_fd, -1);
        assert_null(none);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_names),
                        cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
