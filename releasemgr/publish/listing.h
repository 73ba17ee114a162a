#pragma once

/* Listings: the releases and channels that a targets file lists, changed as JSON. Pure: no I/O. @targets is the
 * member "targets" of the signed part, an object by target name. */

#include "store/bundle.h"
#include "trust/digest.h"

/* Puts a target into the listing; @facts (custom.releasemgr, an object that stays the caller's) may be NULL. */
int listing_put(json_t *targets, const char *name, uint64_t length, const Digest *digest,
                const json_t *facts);

/* What a target's entry says. listing_facts() is NULL where it has none; borrowed. */
json_t *listing_facts(const json_t *targets, const char *name);
int listing_file(const json_t *targets, const char *name, uint64_t *ret_length, Digest *ret);

/* The release, owned by the caller. -ENOENT with ERROR_USAGE, naming the versions there are. */
int listing_release(const json_t *targets, const char *app, const char *version, BundleInfo **ret, Error *e);

/* The releases of @app but @version that hosts are likely to have, @max at most: the one that @first names (NULL: none),
 * then those published last. Owned by the caller, as an array of @ret_n. */
int listing_recent(const json_t *targets, const char *app, const char *version, const char *first, size_t max,
                BundleInfo ***ret, size_t *ret_n, Error *e);

/* The version that a channel points at, owned by the caller; -ENOENT where there is no such channel. */
int listing_channel(const json_t *targets, const char *app, const char *channel, char **ret);

/* The channels that point at @version, sorted; NULL where there is none. */
int listing_channels_at(const json_t *targets, const char *app, const char *version, char ***ret);

/* The apps that have a target, sorted. */
int listing_apps(const json_t *targets, char ***ret);

/* Moves every target of @app from one listing to another. Returns how many. */
int listing_move(json_t *from, json_t *to, const char *app);

/* The path of a target's file below targets/ of a consistent repository: its SHA-256 before the last part. Owned by the
 * caller; NULL when memory ran out. */
char *listing_path(const char *name, const Digest *digest);
