#include "tests/unit/store/release.h"

static int installs(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *one = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_free_ char *current = NULL;
        _cleanup_(release_info_free_p) ReleaseInfo *info = NULL;
        _cleanup_strv_ char **strange = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        uint64_t bytes, inodes;
        ReleaseInfo **l;
        size_t n;

        make_sample("tree");
        one = pack_sample("tree", "1.9");
        assert_int_equal(store_open(in_tree("opt/shop"), false, &s, NULL), -ENOENT);
        assert_int_equal(store_open(in_tree("opt/shop"), true, &s, NULL), 0);
        if (install(s, "tree", one, NULL, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(install(s, "tree", one, NULL, NULL), -EEXIST);
        free(one->version);
        one->version = strdup("1.10");
        assert_int_equal(install(s, "tree", one, NULL, NULL), 0);

        /* sealed: as published, without the right to write, nothing hidden left beside it */
        assert_int_equal(shell("cd opt/shop/releases && test \"$(ls -A | tr '\\n' ' ')\" = '1.10 1.9 ' && "
                               "diff -r --no-dereference -x .releasemgr ../../../tree 1.9 && "
                               "test -z \"$(find 1.9 ! -type l -perm /222)\""),
                        0);

        assert_int_equal(shell("mkdir opt/shop/releases/strange"), 0);
        assert_int_equal(store_list(s, &l, &n, &strange, NULL), 0);
        assert_int_equal(n, 2);
        assert_string_equal(l[0]->version, "1.9");
        assert_string_equal(l[1]->version, "1.10");
        assert_string_equal(l[1]->app, "shop");
        assert_true(digest_equal(&l[1]->tar_digest, &one->tar_digest));
        assert_int_equal(l[1]->bundle_digest.bytes[0], 7);
        assert_int_equal(strv_length(strange), 1);
        assert_string_equal(strange[0], "strange");
        release_info_free_many(l, n);

        assert_int_equal(store_get_current(s, &current, NULL), -ENOENT);
        assert_int_equal(store_set_current(s, "1.11", NULL), -ENOENT);
        assert_int_equal(store_set_current(s, "strange", NULL), -ENOENT);
        assert_int_equal(store_set_current(s, "1.9", NULL), 0);
        assert_int_equal(store_set_current(s, "1.10", NULL), 0);
        assert_int_equal(store_get_current(s, &current, NULL), 0);
        assert_string_equal(current, "1.10");
        assert_int_equal(shell("cmp opt/shop/current/numbers tree/numbers"), 0);

        assert_int_equal(store_remove(s, "1.10", &e), -EBUSY);
        assert_int_equal(store_remove(s, "1.8", NULL), -ENOENT);
        assert_int_equal(store_remove(s, "../releases/1.9", NULL), -ENOENT);
        assert_int_equal(store_remove(s, "1.9", NULL), 0);
        assert_false(store_has(s, "1.9"));
        assert_int_equal(store_load(s, "1.9", &info, NULL), -ENOENT);
        assert_int_equal(store_load(s, "1.10", &info, NULL), 0);
        assert_int_equal(info->entries, one->entries);
        assert_int_equal(shell("test \"$(ls -A opt/shop/releases | tr '\\n' ' ')\" = '1.10 strange '"), 0);
        assert_int_equal(store_get_space(s, &bytes, &inodes, NULL), 0);
        assert_true(bytes > 0 && inodes > 0);
        return 0;
}

static void test_installs(void **state _unused_) {
        assert_int_equal(fiber_run(installs, NULL), 0);
}

static void test_strange_current(void **state _unused_) {
        static const char *const targets[] = {
                        "/etc", "releases", "releases/../x", "releases/a/b", "elsewhere/1.0"};
        _cleanup_(store_free_p) Store *s = NULL;
        char *version = NULL;

        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        for (size_t i = 0; i < ELEMENTS_OF(targets); i++) {
                _cleanup_error_ Error e = ERROR_INIT;

                assert_int_equal(shell("ln -sfn %s opt/current", targets[i]), 0);
                assert_int_equal(store_get_current(s, &version, &e), -EUCLEAN);
                assert_non_null(strstr(e.message, targets[i]));
        }
        assert_int_equal(shell("rm opt/current && mkdir opt/current"), 0);
        assert_int_equal(store_get_current(s, &version, NULL), -EEXIST);
        assert_int_equal(store_find_current(s, &version, NULL), -EEXIST);
        assert_int_equal(shell("rmdir opt/current && ln -s releases/1.0 opt/current"), 0);
        assert_int_equal(store_find_current(s, &version, NULL), -EUCLEAN); /* not on this host */
        assert_int_equal(shell("rm opt/current"), 0);
        assert_int_equal(store_find_current(s, &version, NULL), 0);
        assert_null(version);
}

/* As people write it who make the link by hand. */
static void test_current_by_hand(void **state _unused_) {
        static const char *const targets[] = {
                        "releases/1.0", "releases/1.0/", "$PWD/opt/releases/1.0", "$PWD/opt/releases/1.0//"};
        _cleanup_(store_free_p) Store *s = NULL;

        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(shell("mkdir -p $(dirname opt/releases/1.0/" RELEASE_FACTS
                               ") && touch opt/releases/1.0/" RELEASE_FACTS),
                        0);
        for (size_t i = 0; i < ELEMENTS_OF(targets); i++) {
                _cleanup_free_ char *version = NULL;

                assert_int_equal(shell("ln -sfn %s opt/current", targets[i]), 0);
                assert_int_equal(store_find_current(s, &version, NULL), 1);
                assert_string_equal(version, "1.0");
        }
}

/* What crashes leave goes; what others need stays. */
static void test_clean(void **state _unused_) {
        _cleanup_(store_free_p) Store *s = NULL;

        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(shell("cd opt && mkdir -p releases/.staging-a-1.0/x releases/.staging-b-1.0/x "
                               "releases/.removing-0.9/y "
                               "releases/1.0 releases/.other shared/.#keep && "
                               "touch .#mine && "
                               "chmod 555 releases/.removing-0.9"),
                        0);
        assert_int_equal(store_clean(s, "b", NULL), 0);
        assert_int_equal(shell("test \"$(cd opt && find . | LC_ALL=C sort | tr '\\n' ' ')\" = '. ./.#mine "
                               "./releases "
                               "./releases/.other ./releases/.staging-b-1.0 ./releases/.staging-b-1.0/x "
                               "./releases/1.0 ./shared "
                               "./shared/.#keep '"),
                        0);
        assert_int_equal(store_clean(s, NULL, NULL), 0);
        assert_int_equal(shell("test ! -e opt/releases/.staging-b-1.0"), 0);
}

/* A second try begins with an empty directory. */
static void test_staging_again(void **state _unused_) {
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_close_ int a = -1, b = -1;

        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        a = staging_open(s, "id", "1.0", NULL);
        assert_true(a >= 0);
        assert_int_equal(shell("touch opt/releases/.staging-id-1.0/x"), 0);
        b = staging_open(s, "id", "1.0", NULL);
        assert_true(b >= 0);
        assert_int_equal(shell("test -z \"$(ls -A opt/releases/.staging-id-1.0)\""), 0);
        assert_int_equal(staging_discard(s, "id", "1.0", NULL), 0);
        assert_int_equal(staging_discard(s, "id", "1.0", NULL), 0);
        assert_int_equal(shell("test -z \"$(ls -A opt/releases)\""), 0);
        assert_int_equal(staging_open(s, "id", "../x", NULL), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_installs),
                        T(test_strange_current),
                        T(test_current_by_hand),
                        T(test_clean),
                        T(test_staging_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
