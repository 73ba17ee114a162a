#pragma once

/*
 * Patches in a repository: made while a release is published or promoted, removed when nobody needs them any more
 *
 * A host that has one of the releases before the new one fetches the difference alone. There is one patch from each of
 * the last few: from what the channel pointed at, and from those published last. One is kept only where it saves a
 * quarter of the bundle: a host that is served a patch must also read the whole old release.
 */

#include "publish/repository.h"

#define PATCHES_DEFAULT 3
#define PATCHES_MAX     20

/* Makes the patches to @new, whose bundle is in its place, that are not there yet, and lists them. @first is what the channel pointed at (NULL:
 * nothing). @ret (owned by the caller) tells them: [{"from", "size"}]; where one could not be made, or was not worth it,
 * [{"from", "why"}]: that keeps no release from being published. */
int patches_add(Repository *r, json_t *targets, const BundleInfo *new, const char *first, unsigned n,
                json_t **ret, Error *e);

/* Withdraws the patches of @app but those that lead to its @keep newest releases, or to where a channel points; then
 * removes every file of a patch or channel that is not listed. What was signed but is not yet in force keeps its files until the next time.
 * Returns how many files went. */
int repository_prune_patches(
                Repository *r, const char *app, unsigned keep, RepositoryResult *result, Error *e);
