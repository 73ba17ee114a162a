#pragma once

/*
 * Unpack: a tar stream becomes files below one directory
 *
 * The stream must be one that pack.h makes: the manifest first, then exactly the manifest's entries, in order. So a name
 * cannot come twice, and the sealed release can be made into the same stream again. Entries are held against the rules
 * of entry.h before anything is written; nothing is written through a symlink, and nothing outside the directory.
 */

#include "store/bundle.h"

/* Gives the next bytes of the stream: 1, 0 at its end, or a negative errno. They stay valid until the next call. */
typedef int (*UnpackSource)(void *userdata, const void **ret, size_t *ret_size);

/* Unpacks into the empty directory @dirfd. -EBADMSG with ERROR_UNTRUSTED where the stream is none of ours or exceeds
 * what @expected states; -ENOSPC, -EDQUOT with ERROR_REFUSED. */
int unpack_tar(int dirfd, const BundleInfo *expected, UnpackSource source, void *userdata, Error *e);
