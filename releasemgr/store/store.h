#pragma once

/*
 * Store: one app's directory on the host
 *
 *    /opt/<app>/releases/        sealed releases, staging directories and what is being removed
 *    /opt/<app>/current          -> releases/<version>, replaced by rename(2), never removed
 *    /opt/<app>/shared/          what outlives a release
 *
 * Hidden names are ours and carry no meaning after a crash: .staging-*, .removing-*, .#*. Everything else in releases/
 * is a sealed release. The store does not lock: one deployment at a time is the caller's promise.
 */

#include "base/error.h"
#include "store/release.h"

typedef struct Store Store;

/* @path is /opt/<app> (below --root=). The directories are made (0755) where they are missing if @create is set;
 * otherwise a missing store is -ENOENT. */
int store_open(const char *path, bool create, Store **ret, Error *e);
Store *store_free(Store *s);

DEFINE_CLEANUP(Store, store_free);

/* releases/ and shared/ as descriptors, borrowed. */
int store_releases_dirfd(const Store *s);
int store_shared_dirfd(const Store *s);

/* The absolute path of a release as the service manager sees it (with no --root=), for messages and for proving
 * that a process runs from it: PATH/releases/VERSION. Owned by the caller, NULL when memory ran out. */
char *store_release_path(const Store *s, const char *version);

/* The version that current names. -ENOENT where there is no current; -EUCLEAN where it names something else than
 * releases/VERSION. That the release is there is another question: store_has(). */
int store_get_current(Store *s, char **ret, Error *e);

/* The sealed release that current names: 1 with its version, 0 with the sentence where there is no current, -EUCLEAN where
 * it names something else or what is not here, -EEXIST where what is there is no symlink: somebody else's. */
int store_find_current(Store *s, char **ret, Error *e);

/* Makes current name @version, durably, by one rename(2). -ENOENT where the release is not there. */
int store_set_current(Store *s, const char *version, Error *e);

/* Removes current, durably: for a host whose very first release did not prove itself. 0 where there is none. */
int store_unset_current(Store *s, Error *e);

/* Whether @version is a sealed release here. */
bool store_has(Store *s, const char *version);

/* What is known about a sealed release. -ENOENT with a message where it is not here. */
int store_load(Store *s, const char *version, ReleaseInfo **ret, Error *e);

/* Opens a sealed release. The descriptor is the caller's. -ENOENT as above. */
int store_open_release(Store *s, const char *version, Error *e);

/* All sealed releases, oldest version first (version_compare()). A directory that has no readable release.json is not
 * one: its name goes to @ret_strange (may be NULL). Where nothing could be read for want of memory or descriptors, that is an
 * error: nobody shall decide by half a list. */
int store_list(Store *s, ReleaseInfo ***ret, size_t *ret_n, char ***ret_strange, Error *e);

/* Takes a release away: renames it to a hidden name first, so that no half release is ever seen. -EBUSY where current
 * names it. Suspends in a fiber, blocks elsewhere. */
int store_remove(Store *s, const char *version, Error *e);

/* Removes the leftovers of crashes, but for the staging directory of the deployment @keep_id (NULL: none). Suspends
 * in a fiber, blocks elsewhere. */
int store_clean(Store *s, const char *keep_id, Error *e);

/* Free bytes and inodes for us on the releases' file system; inodes are UINT64_MAX where it has no such limit. */
int store_get_space(Store *s, uint64_t *ret_bytes, uint64_t *ret_inodes, Error *e);
