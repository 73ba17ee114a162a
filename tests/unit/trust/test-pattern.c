#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "trust/pattern.h"

static void test_matches(void **state _unused_) {
        static const struct {
                const char *pattern, *path;
                bool matches;
        } cases[] = {
                        /* the specification's own examples */
                        {"targets/*.tgz", "targets/foo.tgz", true},
                        {"targets/*.tgz", "targets/bar.tgz", true},
                        {"targets/*.tgz", "targets/foo.txt", false},
                        {"foo-version-?.tgz", "foo-version-2.tgz", true},
                        {"foo-version-?.tgz", "foo-version-a.tgz", true},
                        {"foo-version-?.tgz", "foo-version-alpha.tgz", false},
                        {"*.tgz", "foo.tgz", true},
                        {"*.tgz", "targets/foo.tgz", false},
                        {"foo.tgz", "foo.tgz", true},
                        {"foo.tgz", "foo.tgz2", false},
                        {"foo.tgz", "foo.tg", false},

                        {"*", "", true},
                        {"", "", true},
                        {"", "a", false},
                        {"?", "", false},
                        {"*", "a/b", false},
                        {"*/*", "a/b", true},
                        {"*/*", "a/b/c", false},
                        {"*/*", "/", true},
                        {"a/*/c", "a//c", true},
                        {"a?c", "a/c", false},
                        {"**", "a/b", false},
                        {"*a*b*", "xxaxxbxx", true},
                        {"*a*b", "abab", true},
                        {"*a/b", "xa/b", true},
                        {"*a/b", "aa/xb", false},
                        {"a*/b*c", "abc/bxc", true},
                        {"?", "\xc3\xa9", true},
                        {"??", "\xc3\xa9", false},
                        {"*.\xc3\xa9", "\xc3\xa9.\xc3\xa9", true},
                        {"[ab]", "a", false},
                        {"[ab]", "[ab]", true},
                        {"\\*", "*", false},
                        {".*", ".hidden", true},
                        {"*", ".hidden", true},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                if (pattern_matches(cases[i].pattern, cases[i].path) != cases[i].matches)
                        fail_msg("%s with %s", cases[i].pattern, cases[i].path);
}

/* A pattern made to explode does not. */
static void test_time(void **state _unused_) {
        char pattern[2001], path[20001];

        for (size_t i = 0; i < 2000; i += 2)
                memcpy(pattern + i, "*a", 2);
        pattern[2000] = 0;
        memset(path, 'a', 20000);
        path[19999] = 'b';
        path[20000] = 0;
        assert_false(pattern_matches(pattern, path));
}

static void test_may_match_prefix(void **state _unused_) {
        assert_true(pattern_may_match_prefix("app/*/*", "app/"));
        assert_true(pattern_may_match_prefix("app/*/*", "app/1.0/"));
        assert_true(pattern_may_match_prefix("app/*/*", ""));
        assert_true(pattern_may_match_prefix("*", "app/"));
        assert_false(pattern_may_match_prefix("other/*", "app/"));
        assert_true(pattern_may_match_prefix("app/file", "app/"));
        assert_false(pattern_may_match_prefix("app", "app/"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_matches),
                        cmocka_unit_test(test_time),
                        cmocka_unit_test(test_may_match_prefix),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
