#pragma once

/*
 * Tar stream: the bytes of the tar that a tree and its manifest are, at any offset
 *
 * The publisher reads it once from beginning to end, to compress it; a host reads pieces of an old release's, to apply
 * a patch. So no tar is stored, but that of the release between two patches while it is needed. In memory stand two
 * numbers an entry.
 */

#include "base/error.h"
#include "store/manifest.h"

typedef struct TarStream TarStream;

/* Of the tree below @dirfd (borrowed) with the manifest in @manifest_fd (taken over, on failure too). @moved (argv
 * style, borrowed, may be NULL) are the paths of a sealed release whose content stands below .releasemgr/shared. */
int tar_stream_new(int dirfd, int manifest_fd, char *const *moved, TarStream **ret, Error *e);
TarStream *tar_stream_free(TarStream *s);

DEFINE_CLEANUP(TarStream, tar_stream_free);

uint64_t tar_stream_length(const TarStream *s);

/* Entries and bytes of regular files, as in BundleInfo. */
uint64_t tar_stream_entries(const TarStream *s);
uint64_t tar_stream_unpacked(const TarStream *s);

/* Reads the @size bytes at @offset, which must be inside the stream. -ESTALE where the tree is not what the manifest
 * says: a file missing, or of another length; wrong content is for the reader of the bytes to find. */
int tar_stream_read(TarStream *s, uint64_t offset, void *data, size_t size, Error *e);
