#include "store/tar.h"
#include "tests/unit/store/tree.h"

/* GNU tar reads of a header alone what we wrote into it. @expect is a basic regular expression for a line of tar -tv. */
static void assert_listed(const Entry *entry, const char *expect) {
        _cleanup_text_ Text t = TEXT_INIT;

        assert_int_equal(tar_add_header(&t, entry), 0);
        assert_int_equal(t.size % TAR_BLOCK, 0);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, in_tree("h.tar"), t.data, t.size, 0644), 0);
        if (shell("tar --numeric-owner -tvf h.tar 2>log | tee list | grep -q -- '%s'", expect) != 0)
                fail_msg("not listed: %s", expect);
        assert_int_equal(shell("bsdtar -tf h.tar 2>/dev/null | wc -l | grep -qx 1"), 0);
}

static void test_sizes(void **state _unused_) {
        Entry entry = {.type = ENTRY_FILE, .path = (char *) "huge"};

        entry.size = UINT64_C(077777777777); /* the last that ustar holds */
        assert_listed(&entry, "^-rw-r--r-- 0/0 *8589934591 1980-01-01 .* huge$");
        entry.size++;
        assert_listed(&entry, "^-rw-r--r-- 0/0 *8589934592 1980-01-01 .* huge$");
        entry.executable = true;
        entry.size = 0;
        assert_listed(&entry, "^-rwxr-xr-x 0/0 *0 1980-01-01 .* huge$");
}

/* Paths of every length around the places where ustar splits, and where it ends. */
static void test_paths(void **state _unused_) {
        static const size_t lengths[] = {99, 100, 101, 155, 156, 157, 254, 255, 256, 257, 258, 300};

        for (size_t i = 0; i < ELEMENTS_OF(lengths); i++)
                for (size_t slash = 0; slash < 2; slash++) {
                        char path[400], expect[410];
                        Entry entry = {.type = ENTRY_DIRECTORY, .path = path};

                        memset(path, 'a', lengths[i]);
                        path[lengths[i]] = 0;
                        for (size_t k = slash ? 150 : 60; k < lengths[i] - 1; k += slash ? 10 : 70)
                                path[k] = '/';
                        snprintf(expect, sizeof(expect), " %s/$", path);
                        assert_listed(&entry, expect);
                }
}

static void test_links(void **state _unused_) {
        char target[200];
        Entry entry = {.type = ENTRY_SYMLINK, .path = (char *) "l", .link = target};
        char expect[260];

        for (size_t n = 99; n <= 102; n++) {
                memset(target, 'b', n);
                target[n] = 0;
                entry.type = ENTRY_SYMLINK;
                snprintf(expect, sizeof(expect), "^lrwxrwxrwx .* l -> %s$", target);
                assert_listed(&entry, expect);
                entry.type = ENTRY_HARDLINK;
                snprintf(expect, sizeof(expect), "^hrw-r--r-- .* l link to %s$", target);
                assert_listed(&entry, expect);
        }
}

/* Record lengths count their own digits: 9 and 10, 99 and 100 characters are where that bites. */
static void test_records(void **state _unused_) {
        for (size_t n = 101; n < 1100; n += n < 110 || (n > 980 && n < 1005) ? 1 : 90) {
                char path[1200];
                Entry entry = {.type = ENTRY_FILE, .path = path};
                _cleanup_text_ Text t = TEXT_INIT;
                unsigned long length;

                memset(path, 'c', n);
                path[n] = 0;
                for (size_t k = 120; k < n - 1; k += 120)
                        path[k] = '/';
                assert_int_equal(tar_add_header(&t, &entry), 0);
                if (t.size == TAR_BLOCK)
                        continue; /* it fitted into prefix and name */
                length = strtoul(t.data + TAR_BLOCK, NULL, 10);
                assert_int_equal(t.data[TAR_BLOCK + length - 1], '\n');
                assert_int_equal(t.data[TAR_BLOCK + length], 0);
        }
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_sizes),
                        T(test_paths),
                        T(test_links),
                        T(test_records),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
