#include <sched.h>

#include "store/copy.h"
#include "tests/unit/store/release.h"

/* From the sealed tree of @old to a release of @new, which has the same. In a fiber. */
static int copy_install(Store *s, const BundleInfo *old, const BundleInfo *new, Error *e) {
        _cleanup_close_ int old_fd = store_open_release(s, old->version, e), fd = -1;
        Digest digest = {.bytes = {7}};
        int r;

        fd = staging_open(s, "id", new->version, e);
        assert_true(old_fd >= 0 && fd >= 0);
        r = copy_release(fd, new, old_fd, e);
        return r < 0 ? r : staging_seal(s, "id", new, &digest, NULL, e);
}

/* The same tree once more under another version, from a release that has links into shared/; a damaged one makes none. */
static int copies(void *userdata _unused_) {
        const char *shared[] = {"a/b", NULL};
        _cleanup_(bundle_info_free_p) BundleInfo *old = NULL, *new = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        make_sample("old");
        old = pack_sample("old", "1.0");
        assert_int_equal(shell("cp -a old new"), 0);
        new = pack_sample("new", "1.1");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(install(s, "old", old, (char **) shared, NULL), 0);
        assert_int_equal(shell("echo changed >opt/shared/a/b/one"), 0);
        if (copy_install(s, old, new, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("diff -r --no-dereference -x .releasemgr old opt/releases/1.1"), 0);
        assert_int_equal(shell("test -z \"$(find opt/releases/1.1 -type f -samefile "
                               "opt/releases/1.0/numbers)\""),
                        0);

        free(new->version);
        new->version = strdup("1.2");
        assert_int_equal(shell("cd opt/releases/1.0 && chmod 644 numbers && sed -i s/5000/5O00/ numbers"), 0);
        assert_int_equal(copy_install(s, old, new, &e), -ESTALE);
        assert_int_equal(e.class, ERROR_FAILED);
        assert_false(store_has(s, "1.2"));
        return 0;
}

static void test_copies(void **state _unused_) {
        assert_int_equal(fiber_run(copies, NULL), 0);
}

/* Where the file system can, a copy shares its blocks with what it was made from. */
static int clones(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *old = NULL, *new = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        make_sample("old");
        assert_int_equal(shell("head -c 300000 /dev/urandom >old/noise && cp -a old new"), 0);
        old = pack_sample("old", "1.0");
        new = pack_sample("new", "1.1");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(install(s, "old", old, NULL, NULL), 0);
        if (copy_install(s, old, new, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("diff -r --no-dereference -x .releasemgr old opt/releases/1.1 && "
                               "filefrag -e opt/releases/1.1/noise | grep -q shared && "
                               "test $(stat -c %%h opt/releases/1.1/noise) = 1"),
                        0);
        return 0;
}

static void test_clones(void **state _unused_) {
        if (unshare(CLONE_NEWNS) < 0 ||
                        shell("mount --make-rprivate / && mkdir opt && truncate -s 120M disk && "
                              "mkfs.btrfs -q disk && mount -o loop disk opt") != 0)
                skip(); /* not root, or no btrfs-progs */
        assert_int_equal(fiber_run(clones, NULL), 0);
        assert_int_equal(shell("umount opt"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {T(test_copies), T(test_clones)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
