#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/mask.h"

static void test_mask(void **state _unused_) {
        static const char *const cases[][2] = {
                        {"http://user:pw@host/x", "http://user:**@host/x"},
                        {"http://host/x?a=1&token=abc&b=2", "http://host/x?a=1&token=***&b=2"},
                        {"{\"db_password\": \"a\\\"b\", \"n\": 1}", "{\"db_password\": \"****\", \"n\": 1}"},
                        {"{'API_KEY':'xyz'}", "{'API_KEY':'***'}"},
                        {"Authorization: Bearer abc.def", "Authorization: Bearer *******"},
                        {"the secret ingredient", "the secret ingredient"},
                        {"client_secret_v2=s3cr3t;", "client_secret_v2=******;"},
                        {"password=", "password="},
                        {"{\"status\":\"healthy\"}", "{\"status\":\"healthy\"}"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_free_ char *s = strdup(cases[i][0]);

                secrets_mask(s);
                assert_string_equal(s, cases[i][1]);
        }
}

static void excerpt_is(const char *data, size_t size, size_t max, const char *expected) {
        _cleanup_free_ char *s = text_excerpt(data, size, max);

        assert_string_equal(s, expected);
}

static void test_excerpt(void **state _unused_) {
        excerpt_is("  a\r\n\tb\033[31m c\0d ", 17, 100, "a b [31m c d");
        excerpt_is("", 0, 10, "");
        excerpt_is("abcdef", 6, 3, "abc...");
        excerpt_is("ab\xc3\xa4", 4, 3, "ab..."); /* never half a character */
        excerpt_is("\xff\xfe x", 4, 10, "x");
        excerpt_is("a\xc2\x9b b", 5, 10, "a b"); /* CSI in one character */
        excerpt_is("password=abcdef", 15, 12, "password=***...");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_mask),
                        cmocka_unit_test(test_excerpt),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
