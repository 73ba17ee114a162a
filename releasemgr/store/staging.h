#pragma once

/*
 * Staging: a release under way, releases/.staging-<id>-<version>/
 *
 * Named by the deployment's id and the version alone, so that recovery can finish or discard what a crash left:
 *
 *    staging_open -> extract_* into it -> staging_seal -> releases/<version>/
 *                                      -> staging_discard
 */

#include "store/bundle.h"
#include "store/store.h"

/* Makes the staging directory, empty (what an earlier try left there is removed), and opens it. The descriptor is the
 * caller's. Refuses (-EEXIST) a version that is sealed already. */
int staging_open(Store *s, const char *id, const char *version, Error *e);

/* Makes a sealed release of it: checks the Shared= paths, puts a link to the app's shared/PATH where each stands
 * (filling shared/PATH from the bundle's own content where nothing is there yet), writes release.json, takes the right
 * to write away, syncs the file system once, renames, and syncs the directory. @shared is an argv-style list of
 * relative paths (see shared.h), NULL for none. Suspends in a fiber, blocks elsewhere. */
int staging_seal(Store *s, const char *id, const BundleInfo *bundle, const Digest *bundle_digest,
                char *const *shared, Error *e);

/* Removes it; nothing to do where it is not there. Suspends in a fiber, blocks elsewhere. */
int staging_discard(Store *s, const char *id, const char *version, Error *e);

/* Makes an empty file that has no name any more, beside the releases: its bytes end with the descriptor, which is the
 * caller's. */
int staging_scratch(Store *s, Error *e);

/* For recovery: 1 the release is sealed under its name, 0 it is not. */
int staging_is_sealed(Store *s, const char *version);
