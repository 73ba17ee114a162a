#pragma once

/* Patch maker: from two bundles to a patch. The publisher's side; blocks for as long as it computes, and needs about six
 * bytes of memory for each byte of the old tar stream and one for each of the new. */

#include "store/bundle.h"

/* Reads the bundles @old_bundle and @new_bundle, whose facts are @old and @new (-EBADMSG where they do not fit), and writes
 * the patch and its block list as new files, all below @dirfd. -EFBIG where the old release is larger than 2 GiB: then
 * there is no patch. Whether the patch saves enough to be published is the caller's to decide, by its size. */
int patch_make(int dirfd, const char *old_bundle, const BundleInfo *old, const char *new_bundle,
                const BundleInfo *new, const char *patch, const char *blocks, Error *e);
