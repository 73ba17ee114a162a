#include "store/shared.h"
#include "store/verify.h"
#include "tests/unit/store/release.h"

static void assert_whole(Store *s, const char *version) {
        _cleanup_(verify_report_free_p) VerifyReport *report = NULL;
        _cleanup_close_ int fd = store_open_release(s, version, NULL);

        assert_true(verify_release(fd, &report, NULL) >= 0);
        for (size_t i = 0; i < report->n; i++)
                fail_msg("%s %s %s", verify_kind_to_string(report->findings[i].kind),
                                report->findings[i].path, report->findings[i].detail ?: "");
}

/* First install: the skeleton comes from the bundle. Second one: what the app wrote meanwhile stays. */
static int outlives(void *userdata _unused_) {
        const char *paths[] = {"var/uploads", "etc/app.ini", "log/", "new/deep/dir/", NULL};
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(shell("mkdir -p tree/var/uploads/sub tree/etc && echo theirs "
                               ">tree/var/uploads/sub/seed && "
                               "ln -s sub/seed tree/var/uploads/l && echo ini >tree/etc/app.ini && echo a "
                               ">tree/a && "
                               "ln tree/a tree/var/uploads/hard"),
                        0);
        info = pack_sample("tree", "1.0");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(shell("chown 65534:65534 opt/shared"), 0);
        if (install(s, "tree", info, (char **) paths, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("cd opt/releases/1.0 && test -L var/uploads && test -L etc/app.ini && test -L "
                               "log && "
                               "test -L new/deep/dir && grep -qx theirs var/uploads/l && grep -qx ini "
                               "etc/app.ini && "
                               "test -d log && test -d new/deep/dir/ && test \"$(readlink etc/app.ini)\" = "
                               "../../../shared/etc/app.ini"),
                        0);
        assert_int_equal(shell("test -z \"$(find opt/shared ! -user 65534)\" && test -w "
                               "opt/shared/etc/app.ini"),
                        0);
        assert_whole(s, "1.0");

        assert_int_equal(shell("echo ours >opt/shared/etc/app.ini && rm -r opt/shared/var/uploads/sub"), 0);
        free(info->version);
        info->version = strdup("1.1");
        assert_int_equal(install(s, "tree", info, (char **) paths, NULL), 0);
        assert_int_equal(shell("grep -qx ours opt/releases/1.1/etc/app.ini && test ! -e "
                               "opt/releases/1.1/var/uploads/sub"),
                        0);
        assert_whole(s, "1.1");
        assert_int_equal(shell("test ! -e 'opt/shared/.#copying'"), 0);
        return 0;
}

static void test_outlives(void **state _unused_) {
        assert_int_equal(fiber_run(outlives, NULL), 0);
}

static int refusals(void *userdata _unused_) {
        static const char *const cases[][2] = {{"/etc", "absolute"}, {"../x", ".."},
                        {".releasemgr", "keeps for itself"}, {"missing", "neither in the release"},
                        {"link/x/", "Cannot open the directory link"},
                        {"file/x/", "Cannot open the directory file"}};
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_(store_free_p) Store *s = NULL;

        assert_int_equal(shell("mkdir -p tree/d && ln -s d tree/link && touch tree/file"), 0);
        info = pack_sample("tree", "1.0");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                const char *paths[] = {cases[i][0], NULL};
                _cleanup_error_ Error e = ERROR_INIT;

                assert_true(install(s, "tree", info, (char **) paths, &e) < 0);
                if (!strstr(e.message, cases[i][1]))
                        fail_msg("\"%s\" does not say \"%s\"", e.message, cases[i][1]);
                assert_false(store_has(s, "1.0"));
                assert_int_equal(shell("test -z \"$(ls -A opt/shared)\""), 0);
        }
        const char *nested[] = {"a", "b", "a/c", NULL};
        _cleanup_error_ Error e = ERROR_INIT;
        assert_int_equal(install(s, "tree", info, (char **) nested, &e), -EINVAL);
        assert_string_equal(e.message, "Shared=a/c lies inside Shared=a");
        assert_int_equal(e.class, ERROR_USAGE);
        return 0;
}

static void test_refusals(void **state _unused_) {
        assert_int_equal(fiber_run(refusals, NULL), 0);
}

static void test_relation(void **state _unused_) {
        const char *shared[] = {"a/b", "c", NULL};

        assert_int_equal(shared_relation((char **) shared, "a"), -1);
        assert_int_equal(shared_relation((char **) shared, "a/b"), 1);
        assert_int_equal(shared_relation((char **) shared, "a/b/x"), 1);
        assert_int_equal(shared_relation((char **) shared, "a/bx"), 0);
        assert_int_equal(shared_relation((char **) shared, "c/x"), 1);
        assert_int_equal(shared_relation((char **) shared, "cx"), 0);
        assert_int_equal(shared_relation(NULL, "c"), 0);
        assert_null(shared_path_problem("a/"));
        assert_non_null(shared_path_problem("a//"));
        assert_non_null(shared_path_problem("/"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_outlives),
                        T(test_refusals),
                        cmocka_unit_test(test_relation),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
