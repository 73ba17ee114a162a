#include "store/diff.h"
#include "store/patch.h"
#include "store/patchmaker.h"
#include "tests/unit/store/release.h"

/* Bytes that look random, the same ones in every run. */
static uint32_t next_random(uint32_t *state) {
        *state = *state * 1664525 + 1013904223;
        return *state >> 8;
}

typedef struct Rebuilt {
        const uint8_t *old, *new;
        uint64_t at;
        uint64_t extra;
} Rebuilt;

static int on_piece(const DiffPiece *piece, void *userdata) {
        Rebuilt *r = userdata;

        assert_int_equal(piece->new_offset, r->at);
        r->at += piece->copy + piece->extra;
        r->extra += piece->extra;
        return 0;
}

/* The pieces are the new, one behind the other, inside both; and what was moved or slightly changed is found. */
static void test_diff(void **state _unused_) {
        enum {
                SIZE = 200000
        };
        _cleanup_free_ uint8_t *old = malloc(SIZE), *new = malloc(SIZE);
        Rebuilt r = {.old = old, .new = new};
        uint32_t random = 1;

        for (size_t i = 0; i < SIZE; i++)
                old[i] = next_random(&random);
        memcpy(new, old + SIZE / 2, SIZE / 2); /* the halves change places */
        memcpy(new + SIZE / 2, old, SIZE / 2);
        for (size_t i = 0; i < SIZE; i += 50) /* and a byte in fifty another value */
                new[i]++;
        assert_int_equal(diff_run(old, SIZE, new, SIZE, on_piece, &r), 0);
        assert_int_equal(r.at, SIZE);
        assert_true(r.extra < 100);

        /* nothing in common, one of them empty, and the same byte for ever */
        for (size_t i = 0; i < SIZE; i++)
                new[i] = old[i] = 'x';
        for (size_t old_size = 0; old_size <= SIZE; old_size += SIZE / 2)
                for (size_t new_size = 0; new_size <= SIZE; new_size += SIZE / 2) {
                        r.at = 0;
                        assert_int_equal(diff_run(old, old_size, new, new_size, on_piece, &r), 0);
                        assert_int_equal(r.at, new_size);
                }
}

static int push_all(Extract *x, const void *data, size_t size, Error *e) {
        int r = 0;

        for (size_t i = 0; i < size && r >= 0; i += 65536)
                r = extract_push(x, (const char *) data + i, MIN_OF((size_t) 65536, size - i), e);
        return r < 0 ? r : extract_finish(x, e);
}

/* From the sealed tree of @old to a release of @new. In a fiber. */
static int patch_install(Store *s, const BundleInfo *old, const BundleInfo *new, const void *data,
                size_t size, Error *e) {
        _cleanup_close_ int old_fd = store_open_release(s, old->version, e), fd = -1;
        _cleanup_(extract_free_p) Extract *x = NULL;
        Digest digest = {.bytes = {7}};
        int r;

        fd = staging_open(s, "id", new->version, e);
        assert_true(old_fd >= 0 && fd >= 0);
        r = extract_begin_patch(fd, new, old_fd, &x, e);
        if (r >= 0)
                r = push_all(x, data, size, e);
        return r < 0 ? r : staging_seal(s, "id", new, &digest, NULL, e);
}

/* From the bundle @from to the bundle @to, by their names without ".tar.zst". */
static void make_patch(const char *from, const BundleInfo *old, const char *to, const BundleInfo *new,
                char **ret, size_t *ret_size) {
        _cleanup_free_ char *from_name = text_format("%s.tar.zst", from),
                            *to_name = text_format("%s.tar.zst", to);
        _cleanup_close_ int fd = open_tree(".");
        _cleanup_error_ Error e = ERROR_INIT;

        (void) shell("rm -f p p.blocks");
        if (patch_make(fd, from_name, old, to_name, new, "p", "p.blocks", &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(fs_read_file(AT_FDCWD, in_tree("p"), SIZE_MAX, ret, ret_size), 0);
}

/* Two releases with everything in common but a little: the patch is small, and makes exactly the new one, also from a
 * release that has links into shared/. */
static int round_trip(void *userdata _unused_) {
        const char *shared[] = {"a/b", "zero", NULL};
        _cleanup_(bundle_info_free_p) BundleInfo *old = NULL, *new = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_free_ char *data = NULL;
        size_t size;

        make_sample("old");
        assert_int_equal(shell("cp -a old new && cd new && sed -i s/77/seventyseven/ numbers && rm a-b && "
                               "echo new >added && "
                               "mv name* a/b/ && ln -sfn numbers bin/link"),
                        0);
        old = pack_sample("old", "1.0");
        new = pack_sample("new", "1.1");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(install(s, "old", old, (char **) shared, NULL), 0);
        assert_int_equal(shell("echo changed >opt/shared/a/b/one"), 0);
        make_patch("old", old, "new", new, &data, &size);
        assert_int_equal(shell("test $(stat -c %%s p) -lt $(($(stat -c %%s new.tar.zst) / 4))"), 0);
        if (patch_install(s, old, new, data, size, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("diff -r --no-dereference -x .releasemgr new opt/releases/1.1"), 0);
        return 0;
}

static void test_round_trip(void **state _unused_) {
        assert_int_equal(fiber_run(round_trip, NULL), 0);
}

/* One patch after the other, by way of @between, of which only the stream is made. In a fiber. */
static int chain_install(Store *s, const BundleInfo *old, const BundleInfo *between, const BundleInfo *new,
                char *const data[2], const size_t sizes[2], Error *e) {
        _cleanup_close_ int old_fd = store_open_release(s, old->version, e), fd = -1, tar = -1;
        const BundleInfo stream = {.tar_length = between->tar_length, .tar_digest = between->tar_digest};
        _cleanup_(extract_free_p) Extract *first = NULL, *second = NULL;
        Digest digest = {.bytes = {7}};
        int r;

        tar = staging_scratch(s, e);
        fd = staging_open(s, "id", new->version, e);
        assert_true(old_fd >= 0 && fd >= 0 && tar >= 0);
        r = extract_begin_first(tar, &stream, old_fd, &first, e);
        if (r >= 0)
                r = push_all(first, data[0], sizes[0], e);
        if (r >= 0)
                r = extract_begin_second(fd, new, tar, stream.tar_length, &second, e);
        if (r >= 0)
                r = push_all(second, data[1], sizes[1], e);
        return r < 0 ? r : staging_seal(s, "id", new, &digest, NULL, e);
}

/* Two patches make what one would. A wrong one makes nothing, wherever it stands, and leaves no file behind. */
static int chain(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *old = NULL, *between = NULL, *new = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        char *data[2], *swapped[2];
        size_t sizes[2];

        make_sample("old");
        assert_int_equal(shell("cp -a old between && echo more >>between/numbers && cp -a between new && "
                               "mv new/name* new/a/b/ && echo added >new/added"),
                        0);
        old = pack_sample("old", "1.0");
        between = pack_sample("between", "1.1");
        new = pack_sample("new", "1.2");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(install(s, "old", old, NULL, NULL), 0);
        make_patch("old", old, "between", between, &data[0], &sizes[0]);
        make_patch("between", between, "new", new, &data[1], &sizes[1]);
        if (chain_install(s, old, between, new, data, sizes, &e) < 0)
                fail_msg("%s", e.message);
        assert_int_equal(shell("diff -r --no-dereference -x .releasemgr new opt/releases/1.2 && "
                               "test \"$(ls -A opt/releases)\" = \"$(printf '1.0\\n1.2')\""),
                        0);

        free(new->version);
        new->version = strdup("1.3");
        swapped[0] = data[1];
        swapped[1] = data[0];
        assert_true(chain_install(s, old, between, new, swapped, (size_t[2]){sizes[1], sizes[0]}, &e) < 0);
        swapped[0] = data[0];
        assert_true(chain_install(s, old, between, new, swapped, (size_t[2]){sizes[0], sizes[0]}, &e) < 0);
        between->tar_digest.bytes[0] ^= 1;
        assert_int_equal(chain_install(s, old, between, new, data, sizes, &e), -ESTALE);
        assert_false(store_has(s, "1.3"));
        free(data[0]);
        free(data[1]);
        return 0;
}

static void test_chain(void **state _unused_) {
        assert_int_equal(fiber_run(chain, NULL), 0);
}

/* A damaged old tree is noticed, whatever was done to it, and never becomes a release. */
static int damaged_old(void *userdata _unused_) {
        static const char *const damages[] = {"chmod 644 numbers; sed -i s/5000/5O00/ numbers", "rm numbers",
                        "truncate -s 100 numbers", "rm numbers; ln -s zero numbers",
                        "rm -r .releasemgr/manifest.mtree", "echo >>.releasemgr/manifest.mtree",
                        "sed -i s/numbers/numbErs/ .releasemgr/manifest.mtree"};
        _cleanup_(bundle_info_free_p) BundleInfo *old = NULL, *new = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;

        make_sample("old");
        assert_int_equal(shell("cp -a old new && echo more >>new/numbers"), 0);
        old = pack_sample("old", "1.0");
        new = pack_sample("new", "1.1");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(install(s, "old", old, NULL, NULL), 0);
        make_patch("old", old, "new", new, &data, &size);
        assert_int_equal(shell("mv opt/releases/1.0 sealed"), 0);
        for (size_t i = 0; i < ELEMENTS_OF(damages); i++) {
                _cleanup_error_ Error e = ERROR_INIT;
                int r;

                assert_int_equal(shell("rm -rf opt/releases/1.0 && cp -a sealed opt/releases/1.0 && cd "
                                       "opt/releases/1.0 && %s",
                                                 damages[i]),
                                0);
                r = patch_install(s, old, new, data, size, &e);
                if (r != -ESTALE && !(i == 4 && r == -ENOENT))
                        fail_msg("%s: %d %s", damages[i], r, error_message(&e, r));
                assert_int_equal(e.class, ERROR_FAILED);
                assert_false(store_has(s, "1.1"));
        }
        return 0;
}

static void test_damaged_old(void **state _unused_) {
        assert_int_equal(fiber_run(damaged_old, NULL), 0);
}

/* The trees are the same, but for what is ours. */
static bool is_new(const char *version) {
        return shell("diff -r --no-dereference -x .releasemgr new opt/releases/%s", version) == 0;
}

/* A bit that is flipped in a patch, at any place, or in a file of the old tree: what is sealed is right, or nothing is. */
static int flipped(void *userdata _unused_) {
        _cleanup_(bundle_info_free_p) BundleInfo *old = NULL, *new = NULL;
        _cleanup_free_ char *data = NULL, *file = NULL;
        _cleanup_(store_free_p) Store *s = NULL;
        size_t size, file_size, used = 0;

        assert_int_equal(
                        shell("mkdir old && seq 150 >old/f && cp -a old new && sed -i s/77/seven/ new/f"), 0);
        old = pack_sample("old", "1.0");
        new = pack_sample("new", "1.1");
        assert_int_equal(store_open(in_tree("opt"), true, &s, NULL), 0);
        assert_int_equal(install(s, "old", old, NULL, NULL), 0);
        make_patch("old", old, "new", new, &data, &size);
        for (size_t i = 0; i < size; i++) {
                data[i] ^= 1 << i % 8;
                if (patch_install(s, old, new, data, size, NULL) >= 0) {
                        assert_true(is_new("1.1"));
                        assert_int_equal(store_remove(s, "1.1", NULL), 0);
                }
                data[i] ^= 1 << i % 8;
        }
        assert_int_equal(fs_read_file(AT_FDCWD, in_tree("old/f"), SIZE_MAX, &file, &file_size), 0);
        for (size_t i = 0; i < file_size; i++) {
                int fd = open(in_tree("opt/releases/1.0/f"), O_WRONLY | O_CLOEXEC);
                char flipped = file[i] ^ 1 << i % 8;

                assert_int_equal(pwrite(fd, &flipped, 1, i), 1);
                if (patch_install(s, old, new, data, size, NULL) >= 0) {
                        assert_true(is_new("1.1"));
                        assert_int_equal(store_remove(s, "1.1", NULL), 0);
                } else
                        used++;
                assert_int_equal(pwrite(fd, &file[i], 1, i), 1);
                close(fd);
        }
        assert_true(used > file_size / 2);
        assert_int_equal(patch_install(s, old, new, data, size, NULL), 0);
        assert_true(is_new("1.1"));
        return 0;
}

static void test_flipped(void **state _unused_) {
        assert_int_equal(fiber_run(flipped, NULL), 0);
}

static int read_zeroes(void *userdata _unused_, uint64_t offset, void *data, size_t size, Error *e _unused_) {
        assert_true(offset <= 100 && size <= 100 - offset);
        memset(data, 0, size);
        return 0;
}

static int collect(void *userdata, const void *data, size_t size, Error *e _unused_) {
        return text_add(userdata, data, size);
}

/* A patch from 100 zeroes, by hand: a header and one segment of the parts given. */
static int apply(const char *header, uint8_t new_length, const char *const parts[PATCH_PARTS],
                const size_t sizes[PATCH_PARTS], size_t step, Text *out) {
        _cleanup_(patcher_free_p) Patcher *p = NULL;
        _cleanup_text_ Text t = TEXT_INIT;
        Sink sink = {.write = collect, .userdata = out};
        _cleanup_error_ Error e = ERROR_INIT;
        uint8_t lengths[16] = {100, [8] = new_length};
        int r = 0;

        text_add(&t, header, 8);
        text_add(&t, lengths, 16);
        for (size_t i = 0; i < PATCH_PARTS; i++)
                text_add(&t, &(uint32_t){sizes[i]}, 4);
        for (size_t i = 0; i < PATCH_PARTS; i++)
                text_add(&t, parts[i], sizes[i]);
        assert_int_equal(patcher_new(100, new_length, read_zeroes, NULL, &p), 0);
        for (size_t i = 0; i < t.size && r >= 0; i += step)
                r = patcher_push(p, t.data + i, MIN_OF(step, t.size - i), &sink, &e);
        r = r < 0 ? r : patcher_finish(p, &e);
        assert_int_equal(r < 0, e.class == ERROR_UNTRUSTED);
        return r;
}

static void test_by_hand(void **state _unused_) {
        /* copy 5, 2 of text, seek 10; copy 1, no text, seek back 3: differences at 1, 2 and 5 */
        static const char *const parts[PATCH_PARTS] = {"\5\2\x14\1\0\5", "\x41\2", "", "c", "ab", "", "XY"};
        static const size_t sizes[PATCH_PARTS] = {6, 2, 0, 1, 2, 0, 2};
        static const struct {
                unsigned part, byte;
                char value;
        } changes[] = {
                        {0, 0, 101}, {0, 0, 4}, {0, 1, 3}, {0, 1, 1}, {0, 2, (char) 0xc8}, {0, 2, 0x13},
                        {0, 5, (char) 0xff}, {0, 5, 63},
                        {1, 0, 1},           /* a run of one: half of the pair is left over */
                        {1, 0, (char) 0x81}, /* three, which there are not */
                        {1, 0, 0x3f},        /* behind a number, which there is not */
                        {1, 0, (char) 0xc1}, /* as long as such a number says */
                        {1, 1, 4},           /* behind the end of the last copy */
        };

        for (size_t step = 1; step < 100; step += 7) {
                _cleanup_text_ Text out = TEXT_INIT;

                assert_int_equal(apply(PATCH_MAGIC, 8, parts, sizes, step, &out), 0);
                assert_int_equal(out.size, 8);
                assert_memory_equal(out.data, "\0ab\0\0XYc", 8);
        }
        for (size_t i = 0; i < ELEMENTS_OF(changes); i++) {
                _cleanup_free_ char *copy = malloc(16);
                const char *changed[PATCH_PARTS];
                _cleanup_text_ Text out = TEXT_INIT;

                memcpy(changed, parts, sizeof(parts));
                memcpy(copy, parts[changes[i].part], sizes[changes[i].part]);
                copy[changes[i].byte] = changes[i].value;
                changed[changes[i].part] = copy;
                if (apply(PATCH_MAGIC, 8, changed, sizes, 64, &out) != -EBADMSG)
                        fail_msg("change %zu was accepted", i);
                assert_true(out.size <= 8);
        }
        for (size_t i = 0; i < PATCH_PARTS; i++) {
                _cleanup_text_ Text out = TEXT_INIT;
                size_t less[PATCH_PARTS];

                if (sizes[i] == 0)
                        continue;
                memcpy(less, sizes, sizeof(sizes));
                less[i]--;
                assert_int_equal(apply(PATCH_MAGIC, 8, parts, less, 64, &out), -EBADMSG);
        }
        _cleanup_text_ Text out = TEXT_INIT;
        assert_int_equal(apply("RMPATCH2", 8, parts, sizes, 64, &out), -EBADMSG);
        assert_int_equal(apply(PATCH_MAGIC, 7, parts, sizes, 64, &out), -EBADMSG);
        assert_int_equal(apply(PATCH_MAGIC, 9, parts, sizes, 64, &out), -EBADMSG);

        /* a segment that is larger than any may be is refused by its header alone */
        _cleanup_free_ char *large = calloc(1, PATCH_SEGMENT_MAX);
        const char *much[PATCH_PARTS] = {parts[0], parts[1], "", parts[3], parts[4], "", large};
        assert_int_equal(
                        apply(PATCH_MAGIC, 8, much,
                                        (size_t[PATCH_PARTS]){6, 2, 0, 1, 2, 0, PATCH_SEGMENT_MAX}, 44, &out),
                        -EBADMSG);
}

/* What does not fit into a mark: 70 right bytes, then a run of nine. */
static void test_numbers(void **state _unused_) {
        static const char *const parts[PATCH_PARTS] = {"\x50\0\0", "\xff", "\7\5", "", "", "differing", ""};
        static const size_t sizes[PATCH_PARTS] = {3, 1, 2, 0, 0, 9, 0};
        static const struct {
                unsigned byte;
                char value;
        } changes[] = {{0, (char) 0xff}, {0, 9}, {1, 4}, {1, 6}, {1, (char) 0x85}};

        for (size_t i = 0; i <= ELEMENTS_OF(changes); i++) {
                const char *changed[PATCH_PARTS];
                _cleanup_text_ Text out = TEXT_INIT;
                char numbers[2];
                int r;

                memcpy(changed, parts, sizeof(parts));
                memcpy(numbers, parts[PATCH_NUMBERS], 2);
                changed[PATCH_NUMBERS] = numbers;
                if (i < ELEMENTS_OF(changes))
                        numbers[changes[i].byte] = changes[i].value;
                r = apply(PATCH_MAGIC, 80, changed, sizes, 64, &out);
                if (i < ELEMENTS_OF(changes)) {
                        assert_int_equal(r, -EBADMSG);
                        continue;
                }
                assert_int_equal(r, 0);
                assert_int_equal(out.size, 80);
                assert_memory_equal(out.data + 69, "\0differing\0", 11);
        }
}

#define T(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_diff),
                        T(test_round_trip),
                        T(test_chain),
                        T(test_damaged_old),
                        T(test_flipped),
                        cmocka_unit_test(test_by_hand),
                        cmocka_unit_test(test_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
