#pragma once

/* Releases in a repository: publishing, the channels that point at them, and withdrawing one. Needs the release key (or
 * the app's own, where it was given one), and the online key for the world to see it. */

#include "publish/repository.h"

typedef struct PublishOptions {
        const char *app;
        const char *version;
        const char *directory;
        const char *channel; /* that is to point at it; NULL: none */
        const char *commit;  /* may be NULL */
        unsigned patches;    /* against how many earlier releases, see patches.h */
        json_t *schema;      /* what the release says about the database, for BundleInfo; may be NULL */
} PublishOptions;

typedef struct PublishedRelease {
        BundleInfo *info;
        uint64_t size; /* bytes of the bundle */
        bool already;  /* the same tree was there under this version */
        bool channel_moved;
        json_t *patches;    /* as patches_add() says; NULL where nothing was published */
        char *channel_from; /* what the channel pointed at; NULL: nothing, or no channel */
} PublishedRelease;

void published_release_clear(PublishedRelease *p);

/* Publishing a tree again under its version changes nothing (but the channel, where that points elsewhere). Another
 * tree under a version that is there is -EEXIST with ERROR_REFUSED. */
int repository_publish(Repository *r, const PublishOptions *o, PublishedRelease *ret,
                RepositoryResult *result, Error *e);

/* Lets a channel point at a release, and makes the patches that lead to it from @patches releases before it, as far as
 * there are none yet. @ret_from (owned by the caller) is what it pointed at, or NULL; @ret_patches as patches_add() tells.
 * A withdrawn release is refused. */
int repository_promote(Repository *r, const char *app, const char *version, const char *channel,
                unsigned patches, char **ret_from, json_t **ret_patches, RepositoryResult *result, Error *e);

/* Withdraws a release: it stays there, but no host installs it any more. ERROR_REFUSED while a channel points at it. */
int repository_yank(Repository *r, const char *app, const char *version, const char *reason,
                RepositoryResult *result, Error *e);
