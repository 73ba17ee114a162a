#include "store/verify.h"
#include "tests/unit/store/release.h"

/* One change to a sealed release, and what must be found: "KIND PATH" pieces joined by ", ". */
static const char *const CASES[][2] = {
                {"true", ""},
                {"echo tWo >a-b", "changed a-b"},
                {"echo longer >>a-b", "changed a-b"},
                {"rm numbers", "missing numbers"},
                {"rm -r a", "missing a, missing a/b, missing a/b/again, missing a/b/one"},
                {"echo x >added; mkdir -p new; touch new/f", "added added, added new, added new/f"},
                {"touch a/c", "added a/c"},
                {"chmod 755 zero", "changed zero"},
                {"chmod 4555 bin/run", "changed a/b/again, changed bin/run"},
                {"chmod 755 empty", "changed empty"},
                {"ln -sfn elsewhere bin/link", "changed bin/link"},
                {"cp a-b x; rm a-b; ln -s a.b a-b; rm x", "changed a-b"},
                {"cp bin/run x; mv x bin/run; chmod 555 bin/run", "changed bin/run"},
                {"rmdir empty; echo x >empty", "changed empty"},
                {"mv z y; ln -s y z", "added y, added y/x, changed z, missing z/x"},
                {"chown 12:0 zero", "changed zero"},
                {"touch .releasemgr/mine", "added .releasemgr/mine"},
                {"echo >>.releasemgr/manifest.mtree", NULL},
                {"sed -i '/zero/d' .releasemgr/manifest.mtree; rm zero",
                                "changed .releasemgr/manifest.mtree"},
                {"mkdir -p .releasemgr/shared/y; touch .releasemgr/shared/y/mine",
                                "added .releasemgr/shared/y, added .releasemgr/shared/y/mine"},
                {"rm log", "missing log"},
                {"rm log; mkdir log", "changed log"},
                {"ln -sfn /tmp log", "changed log"},
};

static char *describe(const VerifyReport *report) {
        Text t = TEXT_INIT;

        for (size_t i = 0; i < report->n; i++)
                assert_int_equal(text_addf(&t, "%s%s %s", i ? ", " : "",
                                                 verify_kind_to_string(report->findings[i].kind),
                                                 report->findings[i].path),
                                0);
        return text_take(&t) ?: strdup("");
}

static int verify(void *userdata _unused_) {
        const char *shared[] = {"log/", NULL};
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        make_sample("tree");
        info = pack_sample("tree", "1.0");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        if (install(s, "tree", info, (char **) shared, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("mv opt/releases/1.0 sealed"), 0);
        for (size_t i = 0; i < ELEMENTS_OF(CASES); i++) {
                _cleanup_(verify_report_free_p) VerifyReport *report = NULL;
                _cleanup_free_ char *found = NULL;
                _cleanup_close_ int fd = -1;
                int r;

                assert_int_equal(shell("rm -rf opt/releases/1.0 && cp -a sealed opt/releases/1.0 && cd "
                                       "opt/releases/1.0 && %s",
                                                 CASES[i][0]),
                                0);
                fd = store_open_release(s, "1.0", NULL);
                assert_true(fd >= 0);
                r = verify_release(fd, &report, &e);
                if (!CASES[i][1]) {
                        assert_int_equal(r, -EBADMSG); /* the manifest cannot be read */
                        continue;
                }
                if (r < 0)
                        fail_msg("%s: %s", CASES[i][0], e.message);
                found = describe(report);
                if (!streq(found, CASES[i][1]))
                        fail_msg("%s: found \"%s\", not \"%s\"", CASES[i][0], found, CASES[i][1]);
                assert_int_equal(r, *found == 0);
        }
        return 0;
}

static void test_verify(void **state _unused_) {
        assert_int_equal(fiber_run(verify, NULL), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_verify),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
