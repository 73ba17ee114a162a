#pragma once

/*
 * What the signed metadata says about a bundle, a patch and a channel, and what their targets are called
 *
 *    APP/VERSION/APP-VERSION.tar.zst            kind "bundle"      and ...tar.zst.blocks
 *    APP/VERSION/APP-OLD..VERSION.patch         kind "patch"       and ....patch.blocks
 *    APP/channels/NAME.json                     kind "channel"
 *
 * The facts stand in the TUF target's custom.releasemgr, an object whose member "kind" says which it is. Readers take
 * that object, refuse what is missing or of the wrong type (-EBADMSG, ERROR_UNTRUSTED: the publisher signed nonsense)
 * and ignore members that they do not know.
 */

#include <jansson.h>

#include "base/error.h"
#include "trust/digest.h"

/* A release as published. */
typedef struct BundleInfo {
        char *app;
        char *version;
        char *commit; /* NULL where it was not said */
        uint64_t published_usec;
        uint64_t tar_length; /* bytes of the tar stream */
        Digest tar_digest; /* its SHA-256, the "tree digest": the same tree has the same, however it is compressed */
        uint64_t entries; /* files, directories and links, the manifest not counted */
        uint64_t unpacked; /* bytes in regular files, a hard-linked one counted once, the manifest not counted */
        json_t *schema; /* what the release says about the database; opaque to store/; NULL where it says nothing */
        unsigned hooks; /* that it brings, as a set: see store/hooks.h */
        char *yanked;   /* the reason; NULL where it was not withdrawn */
} BundleInfo;

int bundle_info_from_json(const json_t *object, BundleInfo **ret, Error *e);
int bundle_info_to_json(const BundleInfo *i, json_t **ret);
BundleInfo *bundle_info_free(BundleInfo *i);

DEFINE_CLEANUP(BundleInfo, bundle_info_free);

/* What makes the tar stream of one release from that of another. */
typedef struct PatchInfo {
        char *app;
        char *from;
        char *version;
        Digest from_digest; /* the tree digests of both ends */
        Digest tar_digest;
        uint64_t tar_length; /* of the new tar stream */
} PatchInfo;

int patch_info_from_json(const json_t *object, PatchInfo **ret, Error *e);
int patch_info_to_json(const PatchInfo *i, json_t **ret);
PatchInfo *patch_info_free(PatchInfo *i);

DEFINE_CLEANUP(PatchInfo, patch_info_free);

typedef struct ChannelInfo {
        char *channel;
        char *version;
} ChannelInfo;

int channel_info_from_json(const json_t *object, ChannelInfo **ret, Error *e);
int channel_info_to_json(const ChannelInfo *i, json_t **ret);
ChannelInfo *channel_info_free(ChannelInfo *i);

DEFINE_CLEANUP(ChannelInfo, channel_info_free);

/* The kind of a target's custom.releasemgr: "bundle", "patch", "channel", or NULL. Borrowed. */
const char *target_kind(const json_t *object);

/* The member releasemgr of a target's custom, which may be NULL. Borrowed. */
const json_t *target_facts(const json_t *custom);

/* Names of targets, owned by the caller; NULL when memory ran out. */
char *target_bundle(const char *app, const char *version);
char *target_patch(const char *app, const char *from, const char *version);
char *target_channel(const char *app, const char *channel);
char *target_blocks(const char *target);

/* The version in the name of @app's bundle target, owned by the caller: -ENOENT where @target is something else. */
int target_bundle_version(const char *target, const char *app, char **ret);
