#include <dirent.h>

#include "tests/unit/store/release.h"

/* A test's body runs in a fiber. */
static void in_fiber(int (*body)(void *userdata)) {
        assert_int_equal(fiber_run(body, NULL), 0);
}

static size_t count_threads(void) {
        DIR *d = opendir("/proc/self/task");
        size_t n = 0;

        while (readdir(d))
                n++;
        closedir(d);
        return n - 2;
}

static void read_bundle(const char *name, char **ret, size_t *ret_size) {
        assert_int_equal(fs_read_file(AT_FDCWD, in_tree(name), SIZE_MAX, ret, ret_size), 0);
}

static int extract_into(const char *name, const BundleInfo *info, const void *data, size_t size, size_t step,
                Error *e) {
        _cleanup_close_ int fd = -1;

        assert_int_equal(shell("rm -rf %1$s && mkdir %1$s", name), 0);
        fd = open_tree(name);
        return extract_bytes(fd, info, data, size, step, e);
}

static int round_trip(void *userdata _unused_) {
        static const size_t steps[] = {1, 1000, 256 * KIB, SIZE_MAX / 2};
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_free_ char *data = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        size_t size;

        make_sample("tree");
        info = pack_sample("tree", "1.0");
        read_bundle("tree.tar.zst", &data, &size);
        for (size_t i = 0; i < ELEMENTS_OF(steps); i++) {
                if (extract_into("out", info, data, size, steps[i], &e) < 0)
                        fail_msg("%s", e.message);
                assert_int_equal(shell("test -f out/.releasemgr/manifest.mtree && rm -r out/.releasemgr && "
                                       "diff -r --no-dereference tree out && "
                                       "test $(stat -c %%i out/bin/run) = $(stat -c %%i out/a/b/again)"),
                                0);
        }
        assert_int_equal(count_threads(), 1);
        return 0;
}

static void test_round_trip(void **state _unused_) {
        in_fiber(round_trip);
}

/* Any bit of the bundle flipped, or any of it missing: refused. */
static int damaged(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(shell("mkdir tree && seq 300 >tree/f && ln -s f tree/l"), 0);
        info = pack_sample("tree", "1.0");
        read_bundle("tree.tar.zst", &data, &size);
        for (size_t i = 0; i < size; i += 7) {
                _cleanup_error_ Error e = ERROR_INIT, e2 = ERROR_INIT;

                data[i] ^= 1 << i % 8;
                assert_int_equal(extract_into("out", info, data, size, SIZE_MAX / 2, &e), -EBADMSG);
                assert_int_equal(e.class, ERROR_UNTRUSTED);
                data[i] ^= 1 << i % 8;
                assert_int_equal(extract_into("out", info, data, i, SIZE_MAX / 2, &e2), -EBADMSG);
        }
        assert_int_equal(extract_into("out", info, data, size, SIZE_MAX / 2, NULL), 0);
        return 0;
}

static void test_damaged(void **state _unused_) {
        in_fiber(damaged);
}

/* Signed facts that do not fit: each alone is enough. */
static int other_facts(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;

        make_sample("tree");
        info = pack_sample("tree", "1.0");
        read_bundle("tree.tar.zst", &data, &size);
        for (int i = 0; i < 8; i++) {
                BundleInfo other = *info;
                uint64_t *facts[] = {&other.tar_length, &other.entries, &other.unpacked};
                _cleanup_error_ Error e = ERROR_INIT;

                if (i < 6)
                        *facts[i / 2] += i % 2 ? 1 : -1;
                else
                        other.tar_digest.bytes[i == 6 ? 0 : 31] ^= 1;
                assert_int_equal(extract_into("out", &other, data, size, 4096, &e), -EBADMSG);
                assert_int_equal(e.class, ERROR_UNTRUSTED);
        }
        return 0;
}

static void test_other_facts(void **state _unused_) {
        in_fiber(other_facts);
}

/* A second frame, a skippable frame or plain bytes behind the stream. */
static int trailing(void *userdata _unused_) {
        static const char *const tails[] = {
                        "echo x", "cat tree.tar.zst", "printf 'P*M\\030\\004\\0\\0\\0abcd'"};
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;

        make_sample("tree");
        info = pack_sample("tree", "1.0");
        for (size_t i = 0; i < ELEMENTS_OF(tails); i++) {
                _cleanup_free_ char *data = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                size_t size;

                assert_int_equal(shell("{ cat tree.tar.zst; %s; } >long", tails[i]), 0);
                read_bundle("long", &data, &size);
                assert_int_equal(extract_into("out", info, data, size, SIZE_MAX / 2, &e), -EBADMSG);
                assert_non_null(strstr(e.message, "behind the end"));
        }
        return 0;
}

static void test_trailing(void **state _unused_) {
        in_fiber(trailing);
}

/* 300 MB of zeroes in a few KB, and a window that no host needs to have the memory for. */
static int bombs(void *userdata _unused_) {
        static const char *const makers[] = {
                        "{ zstd -dc tree.tar.zst; head -c 300000000 /dev/zero; } | zstd -q -c",
                        "zstd -q --ultra --long=27 -c tree/f"};
        static const char *const says[] = {"longer than", "too much memory"};
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;

        assert_int_equal(shell("mkdir tree && head -c 20000000 /dev/zero >tree/f"), 0);
        info = pack_sample("tree", "1.0");
        for (size_t i = 0; i < ELEMENTS_OF(makers); i++) {
                _cleanup_free_ char *data = NULL;
                _cleanup_error_ Error e = ERROR_INIT;
                size_t size;

                assert_int_equal(shell("%s >bomb", makers[i]), 0);
                read_bundle("bomb", &data, &size);
                assert_int_equal(extract_into("out", info, data, size, SIZE_MAX / 2, &e), -EBADMSG);
                if (!strstr(e.message, says[i]))
                        fail_msg("%s", e.message);
        }
        return 0;
}

static void test_bombs(void **state _unused_) {
        in_fiber(bombs);
}

/* Given up in the middle: the threads end, also while the queues are full. */
static int abandoned(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;

        assert_int_equal(shell("mkdir tree && head -c 3000000 /dev/urandom >tree/f"), 0);
        info = pack_sample("tree", "1.0");
        read_bundle("tree.tar.zst", &data, &size);
        for (size_t pushed = 0; pushed < size; pushed += 500000) {
                _cleanup_(extract_free_p) Extract *x = NULL;
                _cleanup_close_ int fd = -1;

                assert_int_equal(shell("rm -rf out && mkdir out"), 0);
                fd = open_tree("out");
                assert_int_equal(extract_begin(fd, info, &x, NULL), 0);
                assert_int_equal(extract_push(x, data, pushed, NULL), 0);
        }
        assert_int_equal(count_threads(), 1);
        return 0;
}

static void test_abandoned(void **state _unused_) {
        in_fiber(abandoned);
}

/* A failure is said again by every later call. */
static int failed_before(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_(extract_free_p) Extract *x = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_close_ int fd = -1;
        int r = 0;

        make_sample("tree");
        info = pack_sample("tree", "1.0");
        assert_int_equal(shell("mkdir out"), 0);
        fd = open_tree("out");
        assert_int_equal(extract_begin(fd, info, &x, NULL), 0);
        for (int i = 0; i < 1000 && r == 0; i++) {
                r = extract_push(x, "nonsense", 8, NULL);
                (void) fiber_sleep(1000);
        }
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(extract_push(x, "nonsense", 8, NULL), -EBADMSG);
        assert_int_equal(extract_finish(x, &e), -EBADMSG);
        assert_int_equal(e.class, ERROR_UNTRUSTED);
        return 0;
}

static void test_failed_before(void **state _unused_) {
        in_fiber(failed_before);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_round_trip),
                        T(test_damaged),
                        T(test_other_facts),
                        T(test_trailing),
                        T(test_bombs),
                        T(test_abandoned),
                        T(test_failed_before),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
