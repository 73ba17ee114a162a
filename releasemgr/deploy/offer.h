#pragma once

/* What the repository offers for one app, as far as its metadata is signed. */

#include "deploy/deploy.h"
#include "store/bundle.h"

typedef struct Offer Offer;

/* A large target and its block list, with where to fetch them. */
typedef struct OfferedFile {
        char *name; /* of the target, and where it is below the repository's address, quoted */
        char *url;
        uint64_t length;
        Digest digest; /* SHA-256 */
        char *blocks_name;
        char *blocks_url;
        uint64_t blocks_length;
        Hashes blocks_hashes;
} OfferedFile;

typedef struct OfferedPatch {
        PatchInfo *info;
        OfferedFile file;
} OfferedPatch;

/* A release: its bundle, the patches that lead to it, and those that lead to where these start. */
typedef struct OfferedBundle {
        BundleInfo *info;
        OfferedFile file;
        OfferedPatch *patches;
        size_t n_patches;
} OfferedBundle;

OfferedBundle *offered_bundle_free(OfferedBundle *b);

DEFINE_CLEANUP(OfferedBundle, offered_bundle_free);

/* Refreshes the metadata and opens it. @offline: looks at what was verified before, asks nobody, and lets expired
 * metadata pass. Suspends. */
int offer_open(const DeployOptions *o, bool offline, Offer **ret, Error *e);
Offer *offer_free(Offer *c);

DEFINE_CLEANUP(Offer, offer_free);

/* The version that a channel points at, owned by the caller. -ENOENT with class ERROR_FAILED. */
int offer_channel(Offer *c, const char *channel, char **ret, Error *e);

/* A release. -ENOENT with class ERROR_FAILED where the repository has none of that version. */
int offer_find(Offer *c, const char *version, OfferedBundle **ret, Error *e);

/* Every release, oldest version first, with its facts. Owned by the caller, as an array of @ret_n. */
int offer_list(Offer *c, BundleInfo ***ret, size_t *ret_n, Error *e);

/* When the first of the metadata in use expires (µs since 1970), and which role's. */
uint64_t offer_expires(const Offer *c, const char **ret_role);

/* That in words, where it comes within days or has come: "the repository's timestamp expires in 2d 3h". NULL (and 0)
 * where it does not. Owned by the caller. */
int offer_warning(const Offer *c, uint64_t now_usec, char **ret);
