#pragma once

/*
 * Extract: verified bytes become a tree
 *
 *        fiber                 thread "decode"                   threads "hash" and "unpack"
 *    extract_push() --queue--> decompress, (apply patch) --queue--> SHA-256 of the tar; write its files
 *
 * Of the first patch of a chain of two, the tar stream is written to a file as it is instead of being unpacked.
 *
 * Both queues are short and bounded, so that memory is too, whatever the sizes. Whoever pushes has verified the bytes
 * (blocks_verify()); here the tar stream as a whole must have the signed length and SHA-256, and what it unpacks to
 * must be what its manifest and the signed facts say. Nothing is written outside the staging directory, whatever the
 * stream says: every path is walked from its descriptor with O_NOFOLLOW.
 *
 * Durability is not ours: staging_seal() syncs once for all files.
 *
 * Classes of errors: ERROR_UNTRUSTED where the stream is not what was signed, ERROR_REFUSED where the disk is full
 * (-ENOSPC, -EDQUOT), ERROR_FAILED otherwise. After a failure every call returns it again.
 */

#include "base/error.h"
#include "store/bundle.h"

typedef struct Extract Extract;

/* Begins to unpack the bundle that @expected (borrowed until extract_free()) describes into @staging_dirfd (borrowed as
 * well), an empty directory. */
int extract_begin(int staging_dirfd, const BundleInfo *expected, Extract **ret, Error *e);

/* The same from a patch: @old_dirfd (borrowed as well) is the sealed release that it starts from. -ESTALE, here or in a
 * later call, where that tree turns out not to be what was sealed: then fetch the bundle instead. */
int extract_begin_patch(
                int staging_dirfd, const BundleInfo *expected, int old_dirfd, Extract **ret, Error *e);

/* A chain of two patches, for the release between them is not here: the first makes that one's tar stream in the empty
 * file @tar_fd (borrowed as well), and of @expected only the length and SHA-256 of that stream count. The second starts
 * from what is in that file then. */
int extract_begin_first(int tar_fd, const BundleInfo *expected, int old_dirfd, Extract **ret, Error *e);
int extract_begin_second(int staging_dirfd, const BundleInfo *expected, int tar_fd, uint64_t tar_length,
                Extract **ret, Error *e);

/* Hands over the next bytes (copied), in a fiber. Suspends while the queue is full. */
int extract_push(Extract *x, const void *data, size_t size, Error *e);

/* Says that all bytes were pushed. Suspends until everything is unpacked and checked. */
int extract_finish(Extract *x, Error *e);

/* Ends the threads, wherever they are, and frees. What was unpacked stays for staging_discard(). Blocks for the rest
 * of one write(2) at most. Returns NULL. */
Extract *extract_free(Extract *x);

DEFINE_CLEANUP(Extract, extract_free);
