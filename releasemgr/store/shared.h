#pragma once

/*
 * Shared: what outlives a release
 *
 * Shared=storage/uploads makes storage/uploads in each release a link to the app's shared/storage/uploads. What the
 * bundle itself had there moves to .releasemgr/shared/storage/uploads, so that the sealed release still is what was
 * signed; and it is copied to shared/ where nothing stands there yet. A path that ends in '/' is a directory, which is
 * made where neither side has one.
 */

#include "base/error.h"

/* What is wrong with a path of Shared=, as the end of a sentence; NULL where nothing is. */
const char *shared_path_problem(const char *path);

/* The target of the link at @path (without a slash at its end), relative, so that it holds in an image too:
 * "../../../shared/PATH". Owned by the caller, NULL when memory ran out. */
char *shared_link_target(const char *path);

/* Puts the links of @shared (argv style) into the unpacked release below @release_dirfd, whose app's shared/ is
 * @shared_dirfd. What is made in shared/ belongs to whom shared/ itself belongs. Not synced. The paths as linked, without
 * slashes at their ends and sorted, go to @ret. */
int shared_link(int release_dirfd, int shared_dirfd, char *const *shared, char ***ret, Error *e);

/* Whether @path is one of @shared or below one (1), above one (-1: a directory on the way to it), or neither (0). */
int shared_relation(char *const *shared, const char *path);

/* Where the entry @path of the bundle stands in a release that has links at @shared: there, or below .releasemgr/shared.
 * Owned by the caller, NULL when memory ran out. */
char *shared_place(char *const *shared, const char *path);
