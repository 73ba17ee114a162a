/* Which way a release comes: decided from sizes and digests alone. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/text.h"
#include "deploy/route.h"

#define DIGEST(n) ((Digest){{n}})

static BundleInfo new_info = {.app = (char *) "shop", .version = (char *) "2.0", .tar_digest = {{2}}};
static OfferedBundle bundle = {.info = &new_info, .file = {.length = 1000, .blocks_length = 32}};

/* A patch from tree @from to tree @to, of @length bytes. */
static OfferedPatch patch(PatchInfo *info, uint8_t from, uint8_t to, uint64_t length) {
        *info = (PatchInfo){.from_digest = DIGEST(from), .tar_digest = DIGEST(to)};
        return (OfferedPatch){.info = info, .file = {.length = length, .blocks_length = 32}};
}

#define ROOM 5000

/* The routes as "copy OLD, patch OLD 42, bundle 1032", with releases "one" (tree 1), "two" (tree @two), "three" (3). */
static char *routes(OfferedPatch *patches, size_t n_patches, uint8_t two) {
        ReleaseInfo infos[] = {{.version = (char *) "one", .tar_digest = DIGEST(1)},
                        {.version = (char *) "two", .tar_digest = DIGEST(two)},
                        {.version = (char *) "three", .tar_digest = DIGEST(3)}};
        ReleaseInfo *here[] = {&infos[0], &infos[1], &infos[2]};
        OfferedBundle b = bundle;
        _cleanup_text_ Text t = TEXT_INIT;
        _cleanup_free_ Route *l = NULL;
        size_t n;

        b.patches = patches;
        b.n_patches = n_patches;
        assert_int_equal(route_list(&b, here, ELEMENTS_OF(here), ROOM, &l, &n), 0);
        assert_int_equal(l[n - 1].kind, ROUTE_BUNDLE);
        assert_ptr_equal(l[n - 1].file, &b.file);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(text_addf(&t, "%s%s%s%s %llu", i > 0 ? ", " : "", route_kind_name(l[i].kind),
                                                 l[i].from ? " " : "", l[i].from ?: "",
                                                 (unsigned long long) l[i].bytes),
                                0);
        return TAKE(t.data);
}

#define assert_routes(patches, n, two, expected)                                                             \
        do {                                                                                                 \
                _cleanup_free_ char *_routes = routes(patches, n, two);                                      \
                assert_string_equal(_routes, expected);                                                      \
        } while (0)

static void test_list(void **state _unused_) {
        PatchInfo infos[3];
        OfferedPatch patches[] = {
                        patch(&infos[0], 1, 2, 300), patch(&infos[1], 3, 2, 200), patch(&infos[2], 9, 2, 1)};

        assert_routes(NULL, 0, 1, "bundle 1032");
        /* the cheapest first; what starts from a tree that is not here, does not count */
        assert_routes(patches, 3, 7, "patch three 232, patch one 332, bundle 1032");
        /* any release with that tree will do */
        assert_routes(patches, 3, 1, "patch three 232, patch one 332, patch two 332, bundle 1032");
        /* nothing is cheaper than what is here already */
        assert_routes(patches, 3, 2, "copy two 0, patch three 232, patch one 332, bundle 1032");

        patches[0].file.length = 1000;   /* not cheaper than the bundle */
        infos[1].tar_digest = DIGEST(8); /* leads to another tree */
        assert_routes(patches, 3, 7, "bundle 1032");
}

/* Two patches, where that is cheaper, and where what is between has room. */
static void test_chain(void **state _unused_) {
        PatchInfo infos[5];
        OfferedPatch patches[] = {
                        patch(&infos[0], 9, 2, 100), /* from trees that are not here */
                        patch(&infos[1], 8, 2, 90),
                        patch(&infos[2], 1, 9, 200),
                        patch(&infos[3], 1, 8, 300),
                        patch(&infos[4], 3, 2, 500),
        };

        assert_routes(patches, 5, 7, "chain one 364, patch three 532, bundle 1032");
        infos[2].tar_length = ROOM;
        assert_routes(patches, 5, 7, "chain one 364, patch three 532, bundle 1032");
        infos[2].tar_length = ROOM + 1;
        assert_routes(patches, 5, 7, "chain one 454, patch three 532, bundle 1032");
        patches[3].file.length = 900; /* not cheaper than the bundle */
        assert_routes(patches, 5, 7, "patch three 532, bundle 1032");
        patches[3].file.length = 300;
        infos[4].from_digest = DIGEST(1); /* a patch that is smaller than both, and one that is not */
        patches[4].file.length = 390;
        assert_routes(patches, 5, 7, "patch one 422, bundle 1032");
        patches[4].file.length = 480;
        assert_routes(patches, 5, 7, "chain one 454, bundle 1032");
}

/* What is wrong with one way sends us to the next; what is wrong with this host, or with all ways, does not. */
static void test_may_go_on(void **state _unused_) {
        static const int on[] = {ESTALE, EBADMSG, ENOENT, EACCES, EIO, ELOOP},
                         off[] = {ECANCELED, ENOSPC, EDQUOT, ENOMEM, ETIMEDOUT, ECONNREFUSED};

        for (size_t i = 0; i < ELEMENTS_OF(on); i++)
                assert_true(route_may_go_on(-on[i]));
        for (size_t i = 0; i < ELEMENTS_OF(off); i++)
                assert_false(route_may_go_on(-off[i]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_list),
                        cmocka_unit_test(test_chain),
                        cmocka_unit_test(test_may_go_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
