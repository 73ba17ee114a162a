#include "store/entry.h"
#include "tests/unit/store/tree.h"

static void test_paths(void **state _unused_) {
        static const char *const good[] = {"a", "a/b", "..a", "a..", "...", ".a/.b", "a b", "ü",
                        ".releasemgrx", "a/.releasemgr"};
        static const char *const bad[] = {"", "/", "/a", ".", "..", "a/..", "../a", "a/../b", "./a", "a/.",
                        "a//b", "a/", "a\nb", "a\x7f", "\xff", "\xc0\xaf", ".releasemgr", ".releasemgr/x"};
        char component[258], deep[ENTRY_PATH_MAX + 2];

        for (size_t i = 0; i < ELEMENTS_OF(good); i++)
                assert_null(entry_path_problem(good[i]));
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_non_null(entry_path_problem(bad[i]));
        memset(component, 'a', sizeof(component));
        component[256] = 0;
        assert_non_null(entry_path_problem(component));
        component[255] = 0;
        assert_null(entry_path_problem(component));
        for (size_t i = 0; i < sizeof(deep); i++)
                deep[i] = i % 2 ? '/' : 'a';
        deep[ENTRY_PATH_MAX + 1] = 0;
        assert_non_null(entry_path_problem(deep));
        deep[ENTRY_PATH_MAX - 1] = 0;
        assert_null(entry_path_problem(deep));
}

static void test_links(void **state _unused_) {
        static const char *const good[][2] = {{"a", "b"}, {"a", "./b"}, {"a", "."}, {"a/b", ".."},
                        {"a/b/c", "../../d/e"}, {"a", "b/"}, {"a", "b//c"}, {"a/b", ".//..//c"},
                        {"a", "...."}};
        static const char *const bad[][2] = {{"a", ""}, {"a", "/etc/passwd"}, {"a", ".."}, {"a/b", "../.."},
                        {"a/b", "../../c"}, {"a", "b/../c"}, {"a/b", "../c/.."}, {"a", "b\nc"},
                        {"a", "\xff"}};

        for (size_t i = 0; i < ELEMENTS_OF(good); i++)
                assert_null(entry_link_problem(good[i][0], good[i][1]));
        for (size_t i = 0; i < ELEMENTS_OF(bad); i++)
                assert_non_null(entry_link_problem(bad[i][0], bad[i][1]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_paths),
                        cmocka_unit_test(test_links),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
