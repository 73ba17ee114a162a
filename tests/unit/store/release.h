#pragma once

/* For the tests of store/: a tree on its way through pack and extract into a sealed release. */

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "store/extract.h"
#include "store/pack.h"
#include "store/staging.h"
#include "tests/unit/store/tree.h"

/* Packs the tree @name into NAME.tar.zst and its block list; the facts as they would be signed for @version. Owned by
 * the caller. */
static inline BundleInfo *pack_sample(const char *name, const char *version) {
        _cleanup_(pack_free_p) Pack *p = NULL;
        _cleanup_close_ int fd = open_tree(".");
        _cleanup_free_ char *bundle = text_format("%s.tar.zst", name),
                            *blocks = text_format("%s.blocks", name);
        _cleanup_error_ Error e = ERROR_INIT;
        BundleInfo *info = calloc(1, sizeof(*info));

        *info = (BundleInfo){.app = strdup("shop"), .version = strdup(version)};
        if (pack_new(in_tree(name), &p, &e) < 0 || pack_describe(p, info, &e) < 0 ||
                        pack_write(p, fd, bundle, blocks, &e) < 0)
                fail_msg("%s", e.message);
        return info;
}

/* Pushes @data through the pipeline into @dirfd, @step bytes at a time. In a fiber. */
static inline int extract_bytes(
                int dirfd, const BundleInfo *info, const void *data, size_t size, size_t step, Error *e) {
        _cleanup_(extract_free_p) Extract *x = NULL;
        int r = extract_begin(dirfd, info, &x, e);

        for (size_t i = 0; i < size && r >= 0; i += step)
                r = extract_push(x, (const char *) data + i, MIN_OF(step, size - i), e);
        return r < 0 ? r : extract_finish(x, e);
}

/* From NAME.tar.zst to a sealed release. In a fiber. */
static inline int install(Store *s, const char *name, const BundleInfo *info, char *const *shared, Error *e) {
        _cleanup_close_ int fd = staging_open(s, "id", info->version, e);
        _cleanup_free_ char *data = NULL, *bundle = text_format("%s.tar.zst", name);
        Digest digest = {.bytes = {7}};
        size_t size;
        int r;

        if (fd < 0)
                return fd;
        assert_int_equal(fs_read_file(AT_FDCWD, in_tree(bundle), SIZE_MAX, &data, &size), 0);
        r = extract_bytes(fd, info, data, size, 256 * KIB, e);
        return r < 0 ? r : staging_seal(s, "id", info, &digest, shared, e);
}
