#pragma once

/*
 * Releases: sealed directories
 *
 *    releases/<version>/                     the tree as published, 0444 or 0555, owned by whom we run as (root)
 *    releases/<version>/.releasemgr/
 *            manifest.mtree                  what the publisher packed, with the hashes: see manifest.h
 *            release.json                    what we know about it: ReleaseInfo
 *            shared/PATH                     what the bundle had at PATH, where PATH is now a link to the app's shared/PATH
 *    releases/.staging-<id>-<version>/       a release under way; not sealed, of no worth after a crash
 *
 * A release is sealed when its directory has its own name: the rename(2) comes after everything was synced.
 */

#include "base/error.h"
#include "base/json.h"
#include "trust/digest.h"

#define RELEASE_DIRECTORY ".releasemgr"
#define RELEASE_MANIFEST  ".releasemgr/manifest.mtree"
#define RELEASE_FACTS     ".releasemgr/release.json"
#define RELEASE_SHARED    ".releasemgr/shared"

typedef struct ReleaseInfo {
        char *app;
        char *version;
        char *commit; /* may be NULL */
        uint64_t tar_length;
        Digest tar_digest;    /* the tree digest: finds the same tree, and the patches that start here */
        Digest bundle_digest; /* SHA-256 of the bundle's target: what quarantine remembers */
        Digest manifest_digest;
        uint64_t entries;
        uint64_t unpacked; /* bytes in regular files */
        uint64_t sealed_usec;
        char **shared;  /* the paths that are links into shared/ */
        json_t *schema; /* as in BundleInfo; may be NULL */
} ReleaseInfo;

/* Reads .releasemgr/release.json below @dirfd, a sealed release. -ENOENT where there is none. */
int release_info_read(int dirfd, ReleaseInfo **ret, Error *e);

/* Writes it (not synced by itself: the seal is). */
int release_info_write(int dirfd, const ReleaseInfo *i, Error *e);

ReleaseInfo *release_info_free(ReleaseInfo *i);

DEFINE_CLEANUP(ReleaseInfo, release_info_free);

/* Of an array of n, with its members. Returns NULL. */
ReleaseInfo **release_info_free_many(ReleaseInfo **l, size_t n);

/* What a release takes on disk, at most: bytes in blocks of 4 KiB, and inodes. Of a sealed release, or of one that is
 * to come, by the facts of its bundle. */
void release_usage(uint64_t tar_length, uint64_t entries, uint64_t *ret_bytes, uint64_t *ret_inodes);
