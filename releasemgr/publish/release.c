#include <errno.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/version.h"
#include "publish/listing.h"
#include "publish/patches.h"
#include "publish/release.h"
#include "publish/repository-internal.h"
#include "store/hooks.h"
#include "store/pack.h"

#define STAGED_BUNDLE  REPOSITORY_STAGING "/bundle"
#define STAGED_BLOCKS  REPOSITORY_STAGING "/blocks"
#define STAGED_CHANNEL REPOSITORY_STAGING "/channel"

void published_release_clear(PublishedRelease *p) {
        bundle_info_free(p->info);
        free(p->channel_from);
        json_decref(p->patches);
        *p = (PublishedRelease){0};
}

static int check_name(const char *what, const char *name, Error *e) {
        if (name && version_is_valid(name))
                return 0;
        return error_set(e, ERROR_USAGE, -EINVAL,
                        "\"%s\" cannot be %s: expected at most %d letters, digits, . - + _, the first one a "
                        "letter or digit",
                        name ?: "", what, VERSION_MAX);
}

static int check_names(const char *app, const char *version, const char *channel, Error *e) {
        static const char *const taken[] = {"root", "targets", "snapshot", "timestamp", "mirrors", "online"};
        int k;

        if ((k = check_name("the name of an app", app, e)) < 0 ||
                        (k = check_name("a version", version, e)) < 0 ||
                        (channel && (k = check_name("the name of a channel", channel, e)) < 0))
                return k;
        for (size_t i = 0; i < ELEMENTS_OF(taken); i++)
                if (streq(app, taken[i]))
                        return error_set(e, ERROR_USAGE, -EINVAL,
                                        "an app cannot be called %s: that is a role", app);
        if (streq(version, "channels") || streq(version, "latest") || streq(version, "current"))
                return error_set(e, ERROR_USAGE, -EINVAL, "a version cannot be called %s", version);
        return 0;
}

static int prepare_staging(Repository *r, Error *e) {
        int k = fs_mkdir_parents(r->fd, REPOSITORY_STAGING, 0700);

        return k < 0 ? error_errno(e, k, "cannot make %s/%s", r->path, REPOSITORY_STAGING) : 0;
}

static int add_release(Repository *r, json_t *targets, Pack *p, const BundleInfo *info, uint64_t *ret_size,
                Error *e) {
        _cleanup_free_ char *bundle = target_bundle(info->app, info->version),
                            *blocks = bundle ? target_blocks(bundle) : NULL;
        _cleanup_json_ json_t *facts = NULL;
        int k;

        if (!blocks)
                return -ENOMEM;
        if ((k = prepare_staging(r, e)) < 0 ||
                        (k = pack_write(p, r->fd, STAGED_BUNDLE, STAGED_BLOCKS, e)) < 0 ||
                        (k = bundle_info_to_json(info, &facts)) < 0 ||
                        (k = repository_add_file(r, targets, STAGED_BLOCKS, blocks, NULL, NULL, e)) < 0 ||
                        (k = repository_add_file(r, targets, STAGED_BUNDLE, bundle, facts, ret_size, e)) < 0)
                return k;
        return 0;
}

/* Where the channel points before it is moved. */
static int find_channel(const json_t *targets, const PublishOptions *o, char **ret) {
        int k = o->channel ? listing_channel(targets, o->app, o->channel, ret) : 0;

        return k == -ENOENT ? 0 : k;
}

/* The bundle, and the patches that lead to it. */
static int add_new(Repository *r, json_t *targets, Pack *p, const PublishOptions *o, PublishedRelease *ret,
                Error *e) {
        _cleanup_free_ char *from = NULL;
        int k;

        ret->info->published_usec = r->now_usec;
        if ((k = find_channel(targets, o, &from)) < 0 ||
                        (k = add_release(r, targets, p, ret->info, &ret->size, e)) < 0 ||
                        (k = patches_add(r, targets, ret->info, from, o->patches, &ret->patches, e)) < 0)
                return k;
        return 0;
}

/* Makes the channel's file and lists it. */
static int add_channel(Repository *r, json_t *targets, const char *name, const ChannelInfo *info, Error *e) {
        _cleanup_json_ json_t *facts = NULL;
        _cleanup_free_ char *data = NULL;
        size_t size;
        int k;

        if ((k = channel_info_to_json(info, &facts)) < 0 || (k = metadata_write(facts, &data, &size)) < 0 ||
                        (k = prepare_staging(r, e)) < 0)
                return k;
        k = fs_write_file_atomic(r->fd, STAGED_CHANNEL, data, size, 0644);
        if (k < 0)
                return error_errno(e, k, "cannot write %s/" STAGED_CHANNEL, r->path);
        return repository_add_file(r, targets, STAGED_CHANNEL, name, facts, NULL, e);
}

/* 1 where the channel was moved, 0 where it pointed there already. */
static int move_channel(Repository *r, json_t *targets, const char *app, const char *channel,
                const char *version, char **ret_from, Error *e) {
        ChannelInfo info = {.channel = (char *) channel, .version = (char *) version};
        _cleanup_free_ char *name = target_channel(app, channel), *from = NULL;
        int k;

        if (!name)
                return -ENOMEM;
        k = listing_channel(targets, app, channel, &from);
        if (k < 0 && k != -ENOENT)
                return k;
        if (streq_ptr(from, version))
                k = 0;
        else if ((k = add_channel(r, targets, name, &info, e)) >= 0)
                k = 1;
        if (k >= 0)
                *ret_from = TAKE(from);
        return k;
}

static int refuse_yanked(const BundleInfo *info, const char *channel, Error *e) {
        (void) error_set(e, ERROR_REFUSED, -EPERM,
                        "%s %s was withdrawn (%s), so channel %s cannot point at it", info->app,
                        info->version, info->yanked, channel);
        return error_hint(e, -EPERM, "publish the repaired tree under a new version");
}

static int find_hooks(const PublishOptions *o, BundleInfo *info, Error *e) {
        _cleanup_close_ int fd = fs_open_directory(AT_FDCWD, o->directory);

        if (fd < 0)
                return error_errno(e, fd, "cannot open %s", o->directory);
        return hooks_find(fd, &info->hooks, e);
}

/* What is to be published, and whether it is there: 1 the same tree is, 0 it is not. */
static int compare(const json_t *targets, const PublishOptions *o, Pack *p, PublishedRelease *ret, Error *e) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = calloc(1, sizeof(*info)), *there = NULL;
        _cleanup_free_ char *name = target_bundle(o->app, o->version);
        Digest digest;
        int k;

        if (!info || !name || !(info->app = strdup(o->app)) || !(info->version = strdup(o->version)) ||
                        (o->commit && !(info->commit = strdup(o->commit))))
                return -ENOMEM;
        info->schema = json_incref(o->schema);
        k = find_hooks(o, info, e);
        if (k >= 0)
                k = pack_describe(p, info, e);
        if (k < 0)
                return k;
        if (!json_object_get(targets, name)) {
                ret->info = TAKE(info);
                return 0;
        }
        if ((k = listing_release(targets, o->app, o->version, &there, e)) < 0 ||
                        (k = listing_file(targets, name, &ret->size, &digest)) < 0)
                return k;
        if (!digest_equal(&there->tar_digest, &info->tar_digest)) {
                (void) error_set(e, ERROR_REFUSED, -EEXIST, "%s %s is published already, with other content",
                                o->app, o->version);
                return error_hint(e, -EEXIST, "give %s a new version", o->directory);
        }
        if (there->yanked && o->channel)
                return refuse_yanked(there, o->channel, e);
        ret->info = TAKE(there);
        return 1;
}

static int publish(Repository *r, json_t *targets, const PublishOptions *o, PublishedRelease *ret, Error *e) {
        _cleanup_(pack_free_p) Pack *p = NULL;
        int k;

        k = pack_new(o->directory, &p, e);
        if (k >= 0)
                k = compare(targets, o, p, ret, e);
        if (k < 0)
                return k;
        ret->already = k > 0;
        if (!ret->already) {
                k = add_new(r, targets, p, o, ret, e);
                if (k < 0)
                        return k;
        }
        if (!o->channel)
                return 0;
        k = move_channel(r, targets, o->app, o->channel, o->version, &ret->channel_from, e);
        ret->channel_moved = k > 0;
        return MIN_OF(k, 0);
}

int repository_publish(Repository *r, const PublishOptions *o, PublishedRelease *ret,
                RepositoryResult *result, Error *e) {
        __attribute__((cleanup(published_release_clear))) PublishedRelease published = {0};
        json_t *targets;
        RoleFile *f;
        int k;

        if ((k = check_names(o->app, o->version, o->channel, e)) < 0 ||
                        (k = repository_begin(r, result, e)) < 0 ||
                        (k = repository_edit_listing(r, o->app, &f, &targets, e)) < 0)
                return k;
        k = publish(r, targets, o, &published, e);
        if (k < 0 || (published.already && !published.channel_moved))
                repository_drop_draft(f);
        if (k >= 0)
                k = f->draft ? repository_commit(r, result, e) : repository_settle(r, false, result, e);
        if (k < 0)
                return k;
        *ret = TAKE(published);
        return 0;
}

/* Patches for those that come from where the channel pointed, then the channel. 1 where it was moved. */
static int promote(Repository *r, json_t *targets, const BundleInfo *info, const char *channel,
                unsigned patches, char **ret_from, json_t **ret_patches, Error *e) {
        _cleanup_free_ char *from = NULL;
        int k;

        k = listing_channel(targets, info->app, channel, &from);
        if (k < 0 && k != -ENOENT)
                return k;
        k = streq_ptr(from, info->version) ? 0 : prepare_staging(r, e);
        if (k >= 0 && !streq_ptr(from, info->version))
                k = patches_add(r, targets, info, from, patches, ret_patches, e);
        return k < 0 ? k : move_channel(r, targets, info->app, channel, info->version, ret_from, e);
}

int repository_promote(Repository *r, const char *app, const char *version, const char *channel,
                unsigned patches, char **ret_from, json_t **ret_patches, RepositoryResult *result, Error *e) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_json_ json_t *told = NULL;
        _cleanup_free_ char *from = NULL;
        json_t *targets;
        RoleFile *f;
        int k;

        if ((k = check_names(app, version, channel, e)) < 0 || (k = repository_begin(r, result, e)) < 0 ||
                        (k = repository_edit_listing(r, app, &f, &targets, e)) < 0)
                return k;
        k = listing_release(targets, app, version, &info, e);
        if (k >= 0 && info->yanked)
                k = refuse_yanked(info, channel, e);
        if (k >= 0)
                k = promote(r, targets, info, channel, patches, &from, &told, e);
        if (k <= 0)
                repository_drop_draft(f);
        if (k >= 0)
                k = f->draft ? repository_commit(r, result, e) : repository_settle(r, false, result, e);
        if (k < 0)
                return k;
        *ret_from = TAKE(from);
        *ret_patches = TAKE(told);
        return 0;
}

/* Writes the reason into the release's facts. 1; 0 where it stands there already. */
static int yank(json_t *targets, const char *app, const char *version, const char *reason, Error *e) {
        _cleanup_(bundle_info_free_p) BundleInfo *info = NULL;
        _cleanup_strv_ char **channels = NULL;
        _cleanup_free_ char *name = target_bundle(app, version);
        int k;

        if (!name)
                return -ENOMEM;
        if ((k = listing_release(targets, app, version, &info, e)) < 0 ||
                        (k = listing_channels_at(targets, app, version, &channels)) < 0)
                return k;
        if (channels) {
                (void) error_set(e, ERROR_REFUSED, -EBUSY, "channel %s points at %s %s", channels[0], app,
                                version);
                return error_hint(e, -EBUSY,
                                "first let it point at another: releasemgr repo promote VERSION --channel=%s",
                                channels[0]);
        }
        if (streq_ptr(info->yanked, reason))
                return 0;
        return json_object_set_new(listing_facts(targets, name), "yanked", json_string(reason)) < 0 ? -ENOMEM
                                                                                                    : 1;
}

int repository_yank(Repository *r, const char *app, const char *version, const char *reason,
                RepositoryResult *result, Error *e) {
        json_t *targets;
        RoleFile *f;
        int k;

        if (isempty(reason) || !utf8_is_valid(reason, strlen(reason)))
                return error_set(e, ERROR_USAGE, -EINVAL, "the reason must be a text");
        if ((k = check_names(app, version, NULL, e)) < 0 || (k = repository_begin(r, result, e)) < 0 ||
                        (k = repository_edit_listing(r, app, &f, &targets, e)) < 0)
                return k;
        k = yank(targets, app, version, reason, e);
        if (k <= 0)
                repository_drop_draft(f);
        if (k >= 0)
                k = f->draft ? repository_commit(r, result, e) : repository_settle(r, false, result, e);
        return k;
}
