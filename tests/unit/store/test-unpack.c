#include "base/fd.h"
#include "store/manifest.h"
#include "store/release.h"
#include "store/tar.h"
#include "store/unpack.h"
#include "tests/unit/store/tree.h"

/* A tar in the making, good or bad: entries, and the manifest that claims to describe them. */
typedef struct Hostile {
        Text body;     /* headers and contents behind the manifest's */
        Text manifest; /* lines */
        BundleInfo info;
} Hostile;

static void pad(Text *t) {
        static const char zeroes[TAR_BLOCK] = {0};

        assert_int_equal(text_add(t, zeroes, tar_padding(t->size)), 0);
}

/* Adds an entry as pack.h would, to both. */
static void add(Hostile *h, EntryType type, const char *path, const char *text) {
        Entry entry = {.type = type, .path = (char *) path};

        if (type == ENTRY_FILE) {
                entry.size = strlen(text);
                assert_int_equal(digest_of(text, entry.size, &entry.digest), 0);
                h->info.unpacked += entry.size;
        } else
                entry.link = (char *) text;
        h->info.entries++;
        assert_int_equal(manifest_add(&h->manifest, &entry), 0);
        assert_int_equal(tar_add_header(&h->body, &entry), 0);
        if (type == ENTRY_FILE)
                assert_int_equal(text_adds(&h->body, text), 0);
        pad(&h->body);
}

/* Changes a field of the header added last (its offset by ustar) and corrects the checksum. */
static void forge(Hostile *h, size_t header, size_t offset, const char *value, size_t size) {
        unsigned char *p = (unsigned char *) h->body.data + header;
        unsigned sum = 0;

        memcpy(p + offset, value, size);
        memset(p + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
                sum += p[i];
        snprintf((char *) p + 148, 7, "%06o", sum);
        p[154] = 0;
}

/* The whole stream, with @end bytes of zero behind it. */
static void finish(Hostile *h, size_t end, Text *ret) {
        _cleanup_text_ Text manifest = TEXT_INIT;
        Entry entry = {.type = ENTRY_FILE, .path = (char *) RELEASE_MANIFEST};
        _cleanup_free_ char *zeroes = calloc(1, end + 1);

        assert_int_equal(text_adds(&manifest, MANIFEST_HEADER), 0);
        assert_int_equal(text_add(&manifest, h->manifest.data ?: "", h->manifest.size), 0);
        entry.size = manifest.size;
        assert_int_equal(tar_add_header(ret, &entry), 0);
        assert_int_equal(text_add(ret, manifest.data, manifest.size), 0);
        pad(ret);
        assert_int_equal(text_add(ret, h->body.data ?: "", h->body.size), 0);
        assert_int_equal(text_add(ret, zeroes, end), 0);
        h->info.tar_length = ret->size;
}

static void clear(Hostile *h) {
        text_clear(&h->body);
        text_clear(&h->manifest);
}

#define _cleanup_hostile_ _cleanup_(clear)

/* Gives @text in pieces of 1000 bytes. */
typedef struct Source {
        const Text *text;
        size_t done;
} Source;

static int next_piece(void *userdata, const void **ret, size_t *ret_size) {
        Source *s = userdata;

        *ret = s->text->data + s->done;
        *ret_size = MIN_OF((size_t) 1000, s->text->size - s->done);
        s->done += *ret_size;
        return *ret_size > 0;
}

static int unpack(const Text *tar, const BundleInfo *info, Error *e) {
        _cleanup_close_ int fd = -1;
        Source source = {.text = tar};

        assert_int_equal(shell("rm -rf stage && mkdir stage && mkdir -p outside && echo mine >outside/file"),
                        0);
        fd = open_tree("stage");
        return unpack_tar(fd, info, next_piece, &source, e);
}

static const char not_as_described[] = "is not in the tar stream as the manifest describes it";

/* It is refused as untrusted, for the reason that names @why, and nothing outside was touched. */
static void assert_refused(Hostile *h, const char *why) {
        _cleanup_text_ Text tar = TEXT_INIT;
        _cleanup_error_ Error e = ERROR_INIT;

        finish(h, TAR_END, &tar);
        assert_int_equal(unpack(&tar, &h->info, &e), -EBADMSG);
        assert_int_equal(e.class, ERROR_UNTRUSTED);
        if (!strstr(e.message, why))
                fail_msg("\"%s\" does not say \"%s\"", e.message, why);
        assert_int_equal(shell("test \"$(find . -path ./stage -prune -o -print | LC_ALL=C sort | tr '\\n' ' "
                               "')\" = "
                               "'. ./outside ./outside/file ' && grep -qx mine outside/file"),
                        0);
}

static void test_good(void **state _unused_) {
        _cleanup_hostile_ Hostile h = {0};
        _cleanup_text_ Text tar = TEXT_INIT;
        _cleanup_error_ Error e = ERROR_INIT;

        add(&h, ENTRY_DIRECTORY, "a", NULL);
        add(&h, ENTRY_FILE, "a/b", "hello");
        add(&h, ENTRY_HARDLINK, "a/c", "a/b");
        add(&h, ENTRY_SYMLINK, "d", "a/b");
        finish(&h, TAR_END, &tar);
        if (unpack(&tar, &h.info, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("cd stage && grep -qx hello d && test $(stat -c %%i a/b) = $(stat -c %%i a/c) "
                               "&& "
                               "test $(stat -c %%a a/b) = 444 && test $(find . -mindepth 1 | wc -l) = 6"),
                        0);
}

/* What entry.h refuses by name: the manifest cannot name these. */
static void test_names(void **state _unused_) {
        static const char *const cases[][2] = {{"../outside/x", ".. in it"}, {"/tmp/x", "is absolute"},
                        {"a/../../outside/x", ".. in it"}, {"./x", "simplest form"},
                        {".releasemgr/release.json", "keeps for itself"}, {"x\ny", "control character"}};

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                for (EntryType type = ENTRY_FILE; type <= ENTRY_HARDLINK; type++) {
                        _cleanup_hostile_ Hostile h = {0};

                        add(&h, ENTRY_FILE, "a", "");
                        add(&h, type, cases[i][0],
                                        type == ENTRY_FILE        ? "x"
                                        : type == ENTRY_DIRECTORY ? NULL
                                                                  : "a");
                        assert_refused(&h, cases[i][1]);
                }
}

static void test_links(void **state _unused_) {
        static const char *const targets[][2] = {{"/etc", "absolute"}, {"..", "outside"},
                        {"../outside", "outside"}, {"a/../..", ".. behind a name"}};

        for (size_t i = 0; i < ELEMENTS_OF(targets); i++) {
                _cleanup_hostile_ Hostile h = {0};

                add(&h, ENTRY_SYMLINK, "link", targets[i][0]);
                assert_refused(&h, targets[i][1]);
        }
        for (size_t i = 0; i < 3; i++) {
                static const char *const first[][2] = {{"../outside/file", ".. in it"},
                                {"/etc/passwd", "is absolute"}, {"nothing", "no file of the bundle"}};
                _cleanup_hostile_ Hostile h = {0};

                add(&h, ENTRY_HARDLINK, "z", first[i][0]);
                assert_refused(&h, first[i][1]);
        }
}

/* A directory that is a link: neither files, links nor directories are made through it. */
static void test_write_through(void **state _unused_) {
        for (EntryType type = ENTRY_FILE; type <= ENTRY_HARDLINK; type++) {
                _cleanup_hostile_ Hostile h = {0};

                add(&h, ENTRY_DIRECTORY, "a", NULL);
                add(&h, ENTRY_FILE, "a/f", "x");
                add(&h, ENTRY_SYMLINK, "link", "a");
                add(&h, type, "link/x", type == ENTRY_FILE ? "x" : type == ENTRY_DIRECTORY ? NULL : "a/f");
                assert_refused(&h, "does not stand in a directory");
                assert_int_equal(shell("test ! -e stage/a/x"), 0);
        }
}

/* A hard link to a symlink would be a way to write through it. */
static void test_hardlink_to_symlink(void **state _unused_) {
        _cleanup_hostile_ Hostile h = {0};

        add(&h, ENTRY_SYMLINK, "a", "b");
        add(&h, ENTRY_HARDLINK, "c", "a");
        assert_refused(&h, "no file of the bundle");
}

static void test_types_and_modes(void **state _unused_) {
        for (const char *type = "346"; *type; type++) { /* character device, block device, pipe */
                _cleanup_hostile_ Hostile h = {0};

                add(&h, ENTRY_FILE, "dev", "");
                forge(&h, 0, 156, type, 1);
                assert_refused(&h, not_as_described);
        }
        for (const char *mode = "1246"; *mode; mode++) {
                _cleanup_hostile_ Hostile h = {0};
                char text[8];

                add(&h, ENTRY_FILE, "f", "");
                snprintf(text, sizeof(text), "000%c755", *mode);
                forge(&h, 0, 100, text, 7);
                assert_refused(&h, not_as_described);
        }
}

/* The manifest and the stream must say the same. */
static void test_disagreement(void **state _unused_) {
        _cleanup_hostile_ Hostile twice = {0}, order = {0}, extra = {0}, fewer = {0}, size = {0}, mode = {0},
                                  link = {0};

        add(&twice, ENTRY_FILE, "f", "x");
        add(&twice, ENTRY_FILE, "f", "y");
        assert_refused(&twice, "out of order");
        add(&order, ENTRY_FILE, "g", "x");
        add(&order, ENTRY_FILE, "f", "y");
        assert_refused(&order, "out of order");

        add(&extra, ENTRY_FILE, "f", "x");
        add(&extra, ENTRY_FILE, "g", "x");
        text_clear(&extra.manifest);
        assert_int_equal(manifest_add(&extra.manifest, &(Entry){.path = (char *) "f", .size = 1}), 0);
        extra.info.entries = extra.info.unpacked = 1;
        assert_refused(&extra, "does not end behind the manifest");

        add(&fewer, ENTRY_FILE, "f", "x");
        assert_int_equal(manifest_add(&fewer.manifest, &(Entry){.path = (char *) "g", .size = 1}), 0);
        assert_refused(&fewer, "\"g\" is not in the tar stream as");

        add(&size, ENTRY_FILE, "f", "x");
        text_clear(&size.manifest);
        assert_int_equal(manifest_add(&size.manifest, &(Entry){.path = (char *) "f", .size = 2}), 0);
        assert_refused(&size, not_as_described);

        add(&mode, ENTRY_FILE, "f", "x");
        forge(&mode, 0, 100, "0000755", 7);
        assert_refused(&mode, not_as_described);

        add(&link, ENTRY_SYMLINK, "f", "x");
        forge(&link, 0, 157, "y", 1);
        assert_refused(&link, not_as_described);
}

/* More than the signed facts allow. */
static void test_limits(void **state _unused_) {
        _cleanup_hostile_ Hostile many = {0}, large = {0}, small = {0};

        add(&many, ENTRY_FILE, "a", "");
        add(&many, ENTRY_FILE, "b", "");
        many.info.entries = 1;
        assert_refused(&many, "one more than were signed");
        add(&large, ENTRY_FILE, "a", "12345");
        large.info.unpacked = 4;
        assert_refused(&large, "exceeds the size");
        add(&small, ENTRY_FILE, "a", "12345");
        small.info.unpacked = 6;
        assert_refused(&small, "less than was signed");
}

static void test_no_manifest(void **state _unused_) {
        _cleanup_hostile_ Hostile h = {0};
        _cleanup_text_ Text whole = TEXT_INIT, tar = TEXT_INIT;

        add(&h, ENTRY_FILE, "a", "x");
        finish(&h, TAR_END, &whole);
        assert_int_equal(text_add(&tar, h.body.data, h.body.size), 0);
        assert_int_equal(unpack(&tar, &h.info, NULL), -EBADMSG);
        tar.size = 0;
        assert_int_equal(unpack(&tar, &h.info, NULL), -EBADMSG);
}

/* Cut at every block boundary and inside; bytes behind the end. */
static void test_truncated_and_garbage(void **state _unused_) {
        _cleanup_hostile_ Hostile h = {0};
        _cleanup_text_ Text tar = TEXT_INIT;
        _cleanup_error_ Error e = ERROR_INIT;
        size_t whole;

        add(&h, ENTRY_DIRECTORY, "a", NULL);
        add(&h, ENTRY_FILE, "a/b", "hello");
        add(&h, ENTRY_FILE, "a/c", "again");
        finish(&h, TAR_END, &tar);
        whole = tar.size;
        for (tar.size = 0; tar.size <= whole - TAR_END - TAR_BLOCK; tar.size += 128)
                assert_int_equal(unpack(&tar, &h.info, NULL), -EBADMSG);
        tar.size = whole;
        assert_int_equal(unpack(&tar, &h.info, NULL), 0);
        assert_int_equal(text_adds(&tar, "x"), 0);
        assert_int_equal(unpack(&tar, &h.info, &e), -EBADMSG);
        assert_non_null(strstr(e.message, "does not end behind the manifest"));
}

/* A full disk is the host's matter, not the bundle's. */
static void test_full_disk(void **state _unused_) {
        _cleanup_hostile_ Hostile h = {0};
        _cleanup_text_ Text tar = TEXT_INIT;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *large = malloc(200001);
        _cleanup_close_ int fd = -1;
        Source source = {.text = &tar};
        int r;

        if (shell("mkdir small && mount -t tmpfs -o size=64k none small") != 0)
                skip(); /* mounting is root's */
        memset(large, 'x', 200000);
        large[200000] = 0;
        add(&h, ENTRY_FILE, "large", large);
        finish(&h, TAR_END, &tar);
        fd = open_tree("small");
        r = unpack_tar(fd, &h.info, next_piece, &source, &e);
        fd = fd_close(fd);
        assert_int_equal(shell("umount small"), 0);
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(e.class, ERROR_REFUSED);
        assert_non_null(strstr(e.message, "disk is full"));
        assert_non_null(e.hint);
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        T(test_good),
                        T(test_names),
                        T(test_links),
                        T(test_write_through),
                        T(test_hardlink_to_symlink),
                        T(test_types_and_modes),
                        T(test_disagreement),
                        T(test_limits),
                        T(test_no_manifest),
                        T(test_truncated_and_garbage),
                        T(test_full_disk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
