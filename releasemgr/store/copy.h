#pragma once

/*
 * Copy: a tree that stands here already, once more under another version
 *
 * Files are cloned where the file system can (reflink: the two share their blocks until one is written to), and copied in
 * the kernel elsewhere; never hard-linked, so that damage to one is none to the other. Then the copy is read as the tar
 * stream that it is and must have the signed SHA-256: what was cloned is what was hashed.
 */

#include "store/bundle.h"

/* Makes the tree that @expected describes in @staging_dirfd, an empty directory, from the sealed release @old_dirfd,
 * which has the same tree. -ESTALE where that turns out not to be so, -ENOSPC and -EDQUOT with ERROR_REFUSED. Suspends in
 * a fiber, blocks elsewhere; cancelled by fiber_cancel(). */
int copy_release(int staging_dirfd, const BundleInfo *expected, int old_dirfd, Error *e);
