#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "store/blocks.h"
#include "store/pack.h"
#include "tests/unit/store/tree.h"

/* Packs the tree @name into NAME.tar.zst and NAME.tar.zst.blocks. */
static BundleInfo pack(const char *name, const char *out) {
        _cleanup_(pack_free_p) Pack *p = NULL;
        _cleanup_close_ int fd = open_tree(".");
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *bundle = text_format("%s.tar.zst", out),
                            *blocks = text_format("%s.tar.zst.blocks", out);
        BundleInfo info = {0};

        if (pack_new(in_tree(name), &p, &e) < 0 || pack_describe(p, &info, &e) < 0 ||
                        pack_write(p, fd, bundle, blocks, &e) < 0)
                fail_msg("%s", e.message);
        return info;
}

/* GNU tar and bsdtar unpack the same tree, and find the length and digest that we state. */
static void test_referees(void **state _unused_) {
        char hex[DIGEST_TEXT_MAX];
        BundleInfo info;

        make_sample("tree");
        info = pack("tree", "x");
        assert_int_equal(shell("mkdir gnu bsd && tar -C gnu -xf x.tar.zst 2>log && test ! -s log && "
                               "bsdtar -C bsd -xf x.tar.zst && zstd -qt x.tar.zst"),
                        0);
        assert_int_equal(shell("for d in gnu bsd; do test -f $d/.releasemgr/manifest.mtree && rm -r "
                               "$d/.releasemgr && "
                               "diff -r --no-dereference tree $d || exit 1; done"),
                        0);
        assert_int_equal(shell("test $(stat -c %%i gnu/bin/run) = $(stat -c %%i gnu/a/b/again) && "
                               "test $(stat -c %%a gnu/bin/run) = 755 && test $(stat -c %%a gnu/a/b/one) = "
                               "644 && "
                               "test $(stat -c %%Y gnu/a/b/one) = 315532800"),
                        0);
        assert_int_equal(shell("zstd -dc x.tar.zst >x.tar && test $(stat -c %%s x.tar) = %llu && "
                               "echo '%s  x.tar' | sha256sum -c --quiet",
                                         (unsigned long long) info.tar_length,
                                         digest_to_text(&info.tar_digest, hex)),
                        0);
        assert_int_equal(shell("test $(find tree -mindepth 1 | wc -l) = %llu",
                                         (unsigned long long) info.entries),
                        0);
        assert_int_equal(shell("test $(find tree -type f -printf '%%i %%s\\n' | sort -u | awk '{s += $2} END "
                               "{print s}') = %llu",
                                         (unsigned long long) info.unpacked),
                        0);
        assert_int_equal(shell("zstd -lv x.tar.zst | grep -q 'Window Size: 4.00 MiB\\|Window Size: [0-9.]* "
                               "KiB'"),
                        0);
}

/* The manifest is the first entry, and all come in bytewise order. */
static void test_order(void **state _unused_) {
        make_sample("tree");
        (void) pack("tree", "x");
        assert_int_equal(shell("tar -tf x.tar.zst >names && head -1 names | grep -qx "
                               ".releasemgr/manifest.mtree && "
                               "tail -n +2 names | sed 's,/$,,' >rest && LC_ALL=C sort -c rest && grep -qx "
                               "a-b rest"),
                        0);
}

/* The same tree gives the same bytes, whatever its times, its owners and the order it was made in. */
static void test_reproducible(void **state _unused_) {
        BundleInfo a, b;

        make_sample("tree");
        assert_int_equal(
                        shell("cp -a tree other && find other -type d -exec chmod 700 {} + && chmod 600 "
                              "other/zero && "
                              "chmod 711 other/bin/run && touch other/a/b/one && chown -h 7:9 other/numbers"),
                        0);
        a = pack("tree", "x");
        b = pack("other", "y");
        assert_true(digest_equal(&a.tar_digest, &b.tar_digest));
        assert_int_equal(shell("cmp x.tar.zst y.tar.zst && cmp x.tar.zst.blocks y.tar.zst.blocks"), 0);
}

static void test_block_list(void **state _unused_) {
        _cleanup_(blocks_free_p) Blocks *b = NULL;
        _cleanup_free_ char *data = NULL, *list = NULL;
        size_t size, list_size;

        assert_int_equal(shell("mkdir tree && head -c 700000 /dev/urandom >tree/noise"), 0);
        (void) pack("tree", "x");
        assert_int_equal(fs_read_file(AT_FDCWD, in_tree("x.tar.zst"), SIZE_MAX, &data, &size), 0);
        assert_int_equal(fs_read_file(AT_FDCWD, in_tree("x.tar.zst.blocks"), SIZE_MAX, &list, &list_size), 0);
        assert_int_equal(blocks_parse(list, list_size, size, &b, NULL), 0);
        assert_int_equal(blocks_count(b), 3);
        for (size_t i = 0; i < blocks_count(b); i++)
                assert_int_equal(blocks_verify(b, i, data + i * BLOCK_SIZE, blocks_size(b, i), NULL), 0);
}

static void assert_refused(const char *what) {
        _cleanup_error_ Error e = ERROR_INIT;
        Pack *p = NULL;

        assert_int_equal(pack_new(in_tree("tree"), &p, &e), -EINVAL);
        assert_null(p);
        if (!strstr(e.message, what))
                fail_msg("\"%s\" does not say \"%s\"", e.message, what);
}

static void test_refusals(void **state _unused_) {
        static const char *const cases[][2] = {
                        {"mkfifo tree/p", "pipe"},
                        {"mknod tree/null c 1 3", "device"},
                        {"touch tree/s; chmod 4755 tree/s", "set-user-ID"},
                        {"touch tree/s; chmod 2755 tree/s", "set-group-ID"},
                        {"ln -s /etc/passwd tree/l", "absolute"},
                        {"mkdir tree/a; ln -s ../../x tree/a/l", "outside"},
                        {"mkdir tree/.releasemgr", "keeps for itself"},
                        {"touch \"tree/$(printf 'a\\nb')\"", "control character"},
                        {"touch \"tree/$(printf 'a\\377b')\"", "not UTF-8"},
                        {"true", "empty"},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                assert_int_equal(shell("rm -rf tree && mkdir tree"), 0);
                if (shell("%s", cases[i][0]) != 0)
                        continue; /* no right to make it, or no extended attributes on this file system */
                assert_refused(cases[i][1]);
        }
}

static void test_socket(void **state _unused_) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(shell("mkdir tree"), 0);
        snprintf(a.sun_path, sizeof(a.sun_path), "%s", in_tree("tree/sock"));
        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_refused("socket");
}

static void test_attributes(void **state _unused_) {
        assert_int_equal(shell("mkdir tree && touch tree/x"), 0);
        if (setxattr(in_tree("tree/x"), "user.colour", "red", 3, 0) < 0)
                skip(); /* not on this file system */
        assert_refused("user.colour");
}

static void test_changed_meanwhile(void **state _unused_) {
        static const char *const changes[] = {"echo longer >>tree/f", "rm tree/f", "echo aNother >tree/f"};

        for (size_t i = 0; i < ELEMENTS_OF(changes); i++) {
                _cleanup_(pack_free_p) Pack *p = NULL;
                _cleanup_close_ int fd = open_tree(".");
                _cleanup_error_ Error e = ERROR_INIT;
                BundleInfo info;

                assert_int_equal(shell("rm -rf tree && mkdir tree && echo another >tree/f"), 0);
                assert_int_equal(pack_new(in_tree("tree"), &p, NULL), 0);
                assert_int_equal(pack_describe(p, &info, NULL), 0);
                assert_int_equal(shell("%s", changes[i]), 0);
                assert_int_equal(pack_write(p, fd, "x.tar.zst", "x.blocks", &e), -ESTALE);
                assert_non_null(strstr(e.message, "changed while it was packed"));
                assert_int_equal(shell("test ! -e x.tar.zst && test ! -e x.blocks"), 0);
        }
}

static void test_existing_output(void **state _unused_) {
        _cleanup_(pack_free_p) Pack *p = NULL;
        _cleanup_close_ int fd = open_tree(".");

        assert_int_equal(shell("mkdir tree && echo a >tree/f && echo mine >x"), 0);
        assert_int_equal(pack_new(in_tree("tree"), &p, NULL), 0);
        assert_int_equal(pack_write(p, fd, "x", "y", NULL), -EEXIST);
        assert_int_equal(shell("grep -qx mine x && test ! -e y"), 0);
        assert_int_equal(pack_write(p, fd, "y", "x", NULL), -EEXIST);
        assert_int_equal(shell("grep -qx mine x && test ! -e y"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_referees),
                        T(test_order),
                        T(test_reproducible),
                        T(test_block_list),
                        T(test_attributes),
                        T(test_refusals),
                        T(test_socket),
                        T(test_changed_meanwhile),
                        T(test_existing_output),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
