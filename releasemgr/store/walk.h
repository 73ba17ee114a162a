#pragma once

/*
 * Walk: every name below a directory, in the order of the tar stream
 *
 * The order is bytewise by whole path, which a plain recursive walk does not give: "a", "a-b", "a/c". In memory stands
 * one directory's list of names for each level.
 */

#include <sys/stat.h>

#include "base/error.h"

/* @dirfd holds @name, @path is the whole path from where the walk began; all borrowed. A negative return ends the walk
 * and is passed on. */
typedef int (*WalkVisit)(int dirfd, const char *name, const char *path, const struct stat *st, void *userdata,
                Error *e);

/* Does not follow symlinks, does not cross into other file systems (-EXDEV). .releasemgr at the top is not visited where
 * @skip_own is set. */
int walk_tree(int dirfd, bool skip_own, WalkVisit visit, void *userdata, Error *e);
