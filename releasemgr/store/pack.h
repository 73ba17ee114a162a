#pragma once

/*
 * Pack: a directory becomes a bundle
 *
 * pack_new() walks and hashes the tree, and refuses what a release cannot hold: sockets, pipes and devices, set-uid and
 * set-gid files, file capabilities and other extended attributes that tar would lose, links that leave the tree, names
 * that are not clean UTF-8, and a .releasemgr of its own. From then on the tar stream is fixed: a file that changes
 * while it is packed is an error.
 *
 * The publisher's side: these functions read whole trees and compress at level 19, and block all that time.
 */

#include "base/error.h"
#include "store/bundle.h"

typedef struct Pack Pack;

/* @path is the directory whose content becomes the release. */
int pack_new(const char *path, Pack **ret, Error *e);

/* The length, SHA-256, entries and unpacked size of the tar stream, put into @info (whose other members are left
 * alone). Reads the tree once more, and remembers the answer. */
int pack_describe(Pack *p, BundleInfo *info, Error *e);

/* Writes the bundle and its block list as new files (0644, synced; -EEXIST where one is there, none is left behind on
 * failure), below @dirfd. */
int pack_write(Pack *p, int dirfd, const char *bundle, const char *blocks, Error *e);

Pack *pack_free(Pack *p);

DEFINE_CLEANUP(Pack, pack_free);
