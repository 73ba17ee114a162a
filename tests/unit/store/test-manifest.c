#include <sys/mman.h>

#include "base/fd.h"
#include "store/manifest.h"
#include "tests/unit/store/tree.h"

static int manifest_of(const char *text, size_t size, Manifest **ret, Error *e) {
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_int_equal(fd_write_all(fd, text, size), 0);
        return manifest_new(fd, ret, e);
}

static Entry sample(EntryType type, const char *path, const char *link) {
        return (Entry){.type = type,
                        .path = (char *) path,
                        .link = (char *) link,
                        .size = 12,
                        .digest.bytes = {1, 2, 3}};
}

static void test_round_trip(void **state _unused_) {
        Entry entries[] = {
                        sample(ENTRY_DIRECTORY, "a b", NULL),
                        sample(ENTRY_FILE, "a b/#[]*?=\\", NULL),
                        sample(ENTRY_HARDLINK, "a b/x", "a b/#[]*?=\\"),
                        sample(ENTRY_SYMLINK, "c", "a b/x"),
                        sample(ENTRY_FILE, "ü", NULL),
        };
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_(manifest_free_p) Manifest *m = NULL;
        _cleanup_entry_ Entry entry = ENTRY_INIT;
        uint64_t third = 0;

        entries[1].executable = true;
        entries[2].executable = true;
        assert_int_equal(text_adds(&t, MANIFEST_HEADER), 0);
        for (size_t i = 0; i < ELEMENTS_OF(entries); i++)
                assert_int_equal(manifest_add(&t, &entries[i]), 0);
        assert_int_equal(manifest_of(t.data, t.size, &m, NULL), 0);
        for (int round = 0; round < 2; round++) {
                for (size_t i = round == 0 ? 0 : 2; i < ELEMENTS_OF(entries); i++) {
                        if (i == 2)
                                third = manifest_tell(m);
                        assert_int_equal(manifest_next(m, &entry, NULL), 1);
                        assert_int_equal(entry.type, entries[i].type);
                        assert_string_equal(entry.path, entries[i].path);
                        assert_true(streq_ptr(entry.link, entries[i].link));
                        assert_int_equal(entry.executable, entries[i].executable);
                        if (entry.type == ENTRY_FILE || entry.type == ENTRY_HARDLINK) {
                                assert_int_equal(entry.size, 12);
                                assert_true(digest_equal(&entry.digest, &entries[i].digest));
                        }
                }
                assert_int_equal(manifest_next(m, &entry, NULL), 0);
                manifest_seek(m, third);
        }
}

/* Others read it: bsdtar lists the same names. */
static void test_bsdtar(void **state _unused_) {
        Entry entries[] = {sample(ENTRY_DIRECTORY, "a", NULL), sample(ENTRY_FILE, "a/b #c=\\", NULL),
                        sample(ENTRY_HARDLINK, "a/d", "a/b #c=\\"), sample(ENTRY_SYMLINK, "e", "a/d")};
        _cleanup_text_ Text t = TEXT_INIT;

        assert_int_equal(text_adds(&t, MANIFEST_HEADER), 0);
        for (size_t i = 0; i < ELEMENTS_OF(entries); i++)
                assert_int_equal(manifest_add(&t, &entries[i]), 0);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, in_tree("m.mtree"), t.data, t.size, 0644), 0);
        assert_int_equal(shell("bsdtar -tf m.mtree >names && printf './a\\n./a/b "
                               "#c=\\\\\\\\\\n./a/d\\n./e\\n' | diff - names"),
                        0);
}

static void test_malformed(void **state _unused_) {
#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        static const char *const bad[] = {
                        "./a type=dir mode=0755",                                 /* no end of line */
                        "a type=dir mode=0755\n",                                 /* no ./ */
                        "./a type=dir mode=0700\n",                               /* another mode */
                        "./a type=dir mode=0755 uid=0\n",                         /* another keyword */
                        "./a type=char mode=0644\n",                              /* a device */
                        "./a type=file mode=0644 size=-1 sha256digest=" H64 "\n", /* sizes */
                        "./a type=file mode=0644 size= sha256digest=" H64 "\n",   /* */
                        "./a type=file mode=0644 size=99999999999999999999 sha256digest=" H64 "\n",
                        "./a type=file mode=0644 size=1 sha256digest=0123\n",     /* digests */
                        "./a type=file mode=0644 size=1\n",                       /* */
                        "./a type=file mode=04755 size=1 sha256digest=" H64 "\n", /* set-uid */
                        "./a type=file mode=0644 size=1 sha256digest=" H64
                        " link=./b\n",                         /* to what comes later */
                        "./../a type=dir mode=0755\n",         /* leaves */
                        "./\\057a type=dir mode=0755\n",       /* an escape that we do not write */
                        "./\\012a type=dir mode=0755\n",       /* a newline */
                        "./\\400a type=dir mode=0755\n",       /* no byte */
                        "./a\\ type=dir mode=0755\n",          /* */
                        "./.releasemgr type=dir mode=0755\n",  /* ours */
                        "./a type=link mode=0777 link=/etc\n", /* leaves */
                        "./b type=dir mode=0755\n./a type=dir mode=0755\n", /* order */
                        "./b type=dir mode=0755\n./b type=dir mode=0755\n", /* twice */
                        "\n",
        };

        for (size_t i = 0; i < ELEMENTS_OF(bad); i++) {
                _cleanup_free_ char *text = text_format("%s%s", MANIFEST_HEADER, bad[i]);
                _cleanup_(manifest_free_p) Manifest *m = NULL;
                _cleanup_entry_ Entry entry = ENTRY_INIT;
                _cleanup_error_ Error e = ERROR_INIT;
                int r;

                assert_int_equal(manifest_of(text, strlen(text), &m, NULL), 0);
                while ((r = manifest_next(m, &entry, &e)) > 0)
                        ;
                if (r != -EBADMSG)
                        fail_msg("accepted: %s", bad[i]);
                assert_int_equal(e.class, ERROR_UNTRUSTED);
        }
        Manifest *m = NULL;
        assert_int_equal(manifest_of("#mtreex", 7, &m, NULL), -EBADMSG);
        assert_int_equal(manifest_of("", 0, &m, NULL), -EBADMSG);
}

/* Lines of every length across the reader's window. */
static void test_window(void **state _unused_) {
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_(manifest_free_p) Manifest *m = NULL;
        _cleanup_entry_ Entry entry = ENTRY_INIT;

        assert_int_equal(text_adds(&t, MANIFEST_HEADER), 0);
        for (int i = 0; i < 3000; i++) {
                char path[300];
                Entry e = sample(ENTRY_DIRECTORY, path, NULL);

                snprintf(path, sizeof(path), "%05d%.*s", i, i % 250,
                                "                                                  "
                                "                                                                            "
                                "                          "
                                "                                                                            "
                                "                         ");
                assert_int_equal(manifest_add(&t, &e), 0);
        }
        assert_int_equal(manifest_of(t.data, t.size, &m, NULL), 0);
        for (int i = 0; i < 3000; i++) {
                assert_int_equal(manifest_next(m, &entry, NULL), 1);
                assert_int_equal(atoi(entry.path), i);
                assert_int_equal(strlen(entry.path), 5 + i % 250);
        }
        assert_int_equal(manifest_next(m, &entry, NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_round_trip),
                        cmocka_unit_test_setup_teardown(test_bsdtar, tree_setup, tree_teardown),
                        cmocka_unit_test(test_malformed),
                        cmocka_unit_test(test_window),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
