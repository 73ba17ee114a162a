#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"

/* A directory of its own for each test, removed by the very function under test. */
static int setup(void **state) {
        char template[] = "/tmp/releasemgr-fs-XXXXXX";
        int *fd = malloc(sizeof(int));

        assert_non_null(fd);
        assert_non_null(mkdtemp(template));
        *fd = fs_open_directory(AT_FDCWD, template);
        assert_true(*fd >= 0);
        *state = fd;
        return 0;
}

static int teardown(void **state) {
        int *fd = *state;
        _cleanup_free_ char *link = text_format("/proc/self/fd/%d", *fd), *path = NULL;

        assert_int_equal(fs_readlink(AT_FDCWD, link, &path), 0);
        assert_int_equal(fs_remove_tree(AT_FDCWD, path), 0);
        assert_false(fs_exists(AT_FDCWD, path));
        *fd = fd_close(*fd);
        free(fd);
        return 0;
}

static void assert_names(int fd, const char *path, const char *expected) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_text_ Text t = TEXT_INIT;

        assert_int_equal(fs_list_directory(fd, path, &names), 0);
        assert_int_equal(text_adds(&t, ""), 0);
        for (char **i = names; i && *i; i++)
                assert_int_equal(text_addf(&t, "%s%s", t.size > 0 ? " " : "", *i), 0);
        assert_string_equal(t.data, expected);
}

static void test_write_and_read(void **state) {
        static const size_t sizes[] = {0, 1, 16383, 16384, 16385, 100000};
        int dir = *(int *) *state;

        for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
                _cleanup_free_ char *data = malloc(sizes[i] + 1), *again = NULL;
                size_t size;

                memset(data, 'a' + (int) i, sizes[i]);
                assert_int_equal(fs_write_file_atomic(dir, "f", data, sizes[i], 0640), 0);
                assert_int_equal(fs_read_file(dir, "f", sizes[i], &again, &size), 0);
                assert_int_equal(size, sizes[i]);
                assert_memory_equal(again, data, size);
                assert_int_equal(again[size], 0);
                if (size > 0)
                        assert_int_equal(fs_read_file(dir, "f", size - 1, &again, NULL), -EFBIG);
        }
        assert_names(dir, ".", "f"); /* no temporary file is left */
}

static void test_mode_is_what_was_asked(void **state) {
        int dir = *(int *) *state;
        mode_t mask = umask(077);
        struct stat st;

        assert_int_equal(fs_write_file_atomic(dir, "f", "x", 1, 0644), 0);
        (void) umask(mask);
        assert_int_equal(fstatat(dir, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
}

static void test_atomic_write_replaces_a_link_not_its_target(void **state) {
        int dir = *(int *) *state;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(fs_write_file_atomic(dir, "target", "kept", 4, 0600), 0);
        assert_int_equal(symlinkat("target", dir, "f"), 0);
        assert_int_equal(fs_write_file_atomic(dir, "f", "new", 3, 0600), 0);
        assert_int_equal(fs_read_file(dir, "target", 100, &text, NULL), 0);
        assert_string_equal(text, "kept");
        assert_names(dir, ".", "f target");
}

static void test_failures_leave_nothing(void **state) {
        int dir = *(int *) *state;
        char *text;

        assert_int_equal(fs_write_file_atomic(dir, "missing/f", "x", 1, 0600), -ENOENT);
        assert_int_equal(mkdirat(dir, "d", 0755), 0);
        assert_int_equal(fs_write_file_atomic(dir, "d", "x", 1, 0600), -EISDIR);
        assert_int_equal(fs_symlink_atomic(dir, "x", "d"), -EEXIST);
        assert_int_equal(fs_read_file(dir, "missing", 10, &text, NULL), -ENOENT);
        assert_int_equal(fs_read_file(dir, "d", 10, &text, NULL), -EISDIR);
        assert_int_equal(fs_unlink_durable(dir, "missing"), -ENOENT);
        assert_int_equal(fs_readlink(dir, "d", &text), -EINVAL);
        assert_names(dir, ".", "d");
}

static void test_symlink_is_replaced(void **state) {
        int dir = *(int *) *state;

        for (int i = 0; i < 3; i++) {
                _cleanup_free_ char *target = text_format("releases/1.%d.0", i), *read = NULL;

                assert_int_equal(fs_symlink_atomic(dir, target, "current"), 0);
                assert_int_equal(fs_readlink(dir, "current", &read), 0);
                assert_string_equal(read, target);
        }
        assert_names(dir, ".", ".current-before current");
        assert_true(fs_exists(dir, "current")); /* dangling, and there */
        assert_int_equal(fs_unlink_durable(dir, "current"), 0);
        assert_false(fs_exists(dir, "current"));
}

static void test_mkdir_parents(void **state) {
        int dir = *(int *) *state;
        struct stat st;

        assert_int_equal(fs_mkdir_parents(dir, "a/b/c", 0700), 0);
        assert_int_equal(fs_mkdir_parents(dir, "a/b/c", 0755), 0);
        assert_int_equal(fs_mkdir_parents(dir, "a//b/d/", 0700), 0);
        assert_int_equal(fs_mkdir_parents(AT_FDCWD, "/", 0700), 0);
        assert_int_equal(fs_mkdir_parents(dir, "", 0700), -ENOENT);
        assert_int_equal(fstatat(dir, "a/b", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_names(dir, "a/b", "c d");
        assert_int_equal(fs_write_file_atomic(dir, "a/file", "", 0, 0600), 0);
        assert_int_equal(fs_mkdir_parents(dir, "a/file", 0700), -ENOTDIR);
        assert_int_equal(fs_mkdir_parents(dir, "a/file/x", 0700), -ENOTDIR);
}

static void test_rename(void **state) {
        int dir = *(int *) *state;

        assert_int_equal(fs_mkdir_parents(dir, "a", 0755), 0);
        assert_int_equal(fs_mkdir_parents(dir, "b", 0755), 0);
        assert_int_equal(fs_write_file_atomic(dir, "a/f", "1", 1, 0600), 0);
        assert_int_equal(fs_rename_durable(dir, "a/f", dir, "b/g"), 0);
        assert_int_equal(fs_rename_durable(dir, "b/g", dir, "b/h"), 0);
        assert_int_equal(fs_rename_durable(dir, "b/g", dir, "b/i"), -ENOENT);
        assert_names(dir, "a", "");
        assert_names(dir, "b", "h");
}

static void test_remove_tree(void **state) {
        int dir = *(int *) *state;
        _cleanup_free_ char *kept = NULL;

        assert_int_equal(fs_remove_tree(dir, "missing"), 0);
        assert_int_equal(fs_mkdir_parents(dir, "t/deep/er/and/deeper", 0755), 0);
        assert_int_equal(fs_mkdir_parents(dir, "outside", 0755), 0);
        assert_int_equal(fs_write_file_atomic(dir, "outside/kept", "k", 1, 0600), 0);
        assert_int_equal(fs_write_file_atomic(dir, "t/deep/f", "f", 1, 0400), 0);
        assert_int_equal(symlinkat("../../outside", dir, "t/deep/link"), 0);
        assert_int_equal(symlinkat("nowhere", dir, "t/dangling"), 0);
        if (geteuid() == 0)
                assert_int_equal(fchmodat(dir, "t/deep", 0555, 0), 0);
        assert_int_equal(fs_remove_tree(dir, "t"), 0);
        assert_false(fs_exists(dir, "t"));
        assert_int_equal(fs_read_file(dir, "outside/kept", 1, &kept, NULL), 0);
        assert_int_equal(fs_remove_tree(dir, "outside/kept"), 0);
        assert_names(dir, "outside", "");
}

static void test_list_many(void **state) {
        int dir = *(int *) *state;
        _cleanup_strv_ char **names = NULL;

        for (int i = 99; i >= 0; i--) {
                char name[16];

                (void) snprintf(name, sizeof(name), "%02d", i);
                assert_int_equal(mkdirat(dir, name, 0755), 0);
        }
        assert_int_equal(fs_list_directory(dir, ".", &names), 0);
        assert_int_equal(strv_length(names), 100);
        for (int i = 0; i < 100; i++)
                assert_int_equal(atoi(names[i]), i);
        assert_int_equal(fs_list_directory(dir, "missing", &names), -ENOENT);
}

static void test_remove_temporaries(void **state) {
        int dir = *(int *) *state;

        for (int i = 0; i < 2; i++) {
                assert_int_equal(mkdirat(dir, "sub", 0755) < 0 && i == 0, 0);
                assert_int_equal(symlinkat("x", dir, "sub/.#file.0000000000000001"), 0);
                assert_int_equal(symlinkat("x", dir, "sub/.#file"), i == 0 ? 0 : -1);
                assert_int_equal(fs_remove_temporaries(dir, "sub/file"), 0);
                assert_false(fs_exists(dir, "sub/.#file.0000000000000001"));
                assert_true(fs_exists(dir, "sub/.#file"));
        }
        assert_int_equal(fs_remove_temporaries(dir, "nowhere/file"), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_write_and_read, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_mode_is_what_was_asked, setup, teardown),
                        cmocka_unit_test_setup_teardown(
                                        test_atomic_write_replaces_a_link_not_its_target, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_failures_leave_nothing, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_symlink_is_replaced, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_mkdir_parents, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_remove_tree, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_list_many, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_remove_temporaries, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
