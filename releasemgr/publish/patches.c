#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "publish/listing.h"
#include "publish/patches.h"
#include "publish/repository-internal.h"
#include "store/patchmaker.h"

#define STAGED_PATCH  REPOSITORY_STAGING "/patch"
#define STAGED_BLOCKS REPOSITORY_STAGING "/patch.blocks"

/* Where the bundle of @info stands below the repository. */
static int find_bundle(const json_t *targets, const BundleInfo *info, char **ret, uint64_t *ret_length) {
        _cleanup_free_ char *name = target_bundle(info->app, info->version), *path = NULL;
        Digest digest;
        int k;

        if (!name)
                return -ENOMEM;
        k = listing_file(targets, name, ret_length, &digest);
        if (k < 0)
                return k;
        path = listing_path(name, &digest);
        *ret = path ? text_format("targets/%s", path) : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int remove_staged(Repository *r) {
        return (unlinkat(r->fd, STAGED_PATCH, 0) < 0 && errno != ENOENT) ||
                                               (unlinkat(r->fd, STAGED_BLOCKS, 0) < 0 && errno != ENOENT)
                               ? -errno
                               : 0;
}

/* The staged patch goes to its place. */
static int keep_patch(
                Repository *r, json_t *targets, const BundleInfo *old, const BundleInfo *new, Error *e) {
        PatchInfo info = {.app = new->app,
                        .from = old->version,
                        .version = new->version,
                        .from_digest = old->tar_digest,
                        .tar_digest = new->tar_digest,
                        .tar_length = new->tar_length};
        _cleanup_free_ char *patch = target_patch(new->app, old->version, new->version),
                            *blocks = patch ? target_blocks(patch) : NULL;
        _cleanup_json_ json_t *facts = NULL;
        int k;

        if (!blocks)
                return -ENOMEM;
        if ((k = patch_info_to_json(&info, &facts)) < 0 ||
                        (k = repository_add_file(r, targets, STAGED_BLOCKS, blocks, NULL, NULL, e)) < 0)
                return k;
        return repository_add_file(r, targets, STAGED_PATCH, patch, facts, NULL, e);
}

/* Makes one patch, and keeps it where it is worth it. @ret_size is set to its size, 0 where it was dropped. */
static int make_one(Repository *r, json_t *targets, const BundleInfo *old, const BundleInfo *new,
                uint64_t *ret_size, Error *e) {
        _cleanup_free_ char *old_bundle = NULL, *new_bundle = NULL;
        uint64_t length, size;
        struct stat st;
        int k;

        if ((k = find_bundle(targets, old, &old_bundle, &length)) < 0 ||
                        (k = find_bundle(targets, new, &new_bundle, &length)) < 0)
                return k;
        k = patch_make(r->fd, old_bundle, old, new_bundle, new, STAGED_PATCH, STAGED_BLOCKS, e);
        if (k < 0)
                return k;
        if (fstatat(r->fd, STAGED_PATCH, &st, 0) < 0)
                return error_errno(e, -errno, "cannot look at %s/%s", r->path, STAGED_PATCH);
        size = (uint64_t) st.st_size;
        *ret_size = size > length / 4 * 3 ? 0 : size;
        if (*ret_size > 0)
                return keep_patch(r, targets, old, new, e);
        k = remove_staged(r);
        return k < 0 ? error_errno(e, k, "cannot remove %s/%s", r->path, STAGED_PATCH) : 0;
}

/* What is the matter with the old bundle, or its size, is no reason not to publish the new one. */
static bool is_no_obstacle(int k) {
        return k == -ENOENT || k == -EBADMSG || k == -EFBIG || k == -EIO;
}

static int add_one(Repository *r, json_t *targets, const BundleInfo *old, const BundleInfo *new, json_t *told,
                Error *e) {
        _cleanup_error_ Error why = ERROR_INIT;
        _cleanup_free_ char *name = NULL;
        uint64_t size = 0;
        json_t *entry;
        int k;

        if (digest_equal(&old->tar_digest, &new->tar_digest))
                return 0; /* a host copies it */
        name = target_patch(new->app, old->version, new->version);
        if (!name)
                return -ENOMEM;
        if (json_object_get(targets, name))
                return 0; /* made already */
        k = make_one(r, targets, old, new, &size, &why);
        if (k < 0 && !is_no_obstacle(k)) {
                error_move(e, &why);
                return k;
        }
        if (k < 0)
                entry = json_pack("{ss ss}", "from", old->version, "why", error_message(&why, k));
        else if (size == 0)
                entry = json_pack("{ss ss}", "from", old->version, "why", "it would save too little");
        else
                entry = json_pack("{ss sI}", "from", old->version, "size", (json_int_t) size);
        return json_array_append_new(told, entry) < 0 ? -ENOMEM : 0;
}

int patches_add(Repository *r, json_t *targets, const BundleInfo *new, const char *first, unsigned n,
                json_t **ret, Error *e) {
        _cleanup_json_ json_t *told = json_array();
        BundleInfo **recent = NULL;
        size_t n_recent = 0;
        int k;

        if (!told)
                return -ENOMEM;
        k = listing_recent(targets, new->app, new->version, first, n, &recent, &n_recent, e);
        for (size_t i = 0; i < n_recent && k >= 0; i++)
                k = add_one(r, targets, recent[i], new, told, e);
        while (n_recent > 0)
                bundle_info_free(recent[--n_recent]);
        free(recent);
        if (k < 0)
                return k;
        *ret = TAKE(told);
        return 0;
}

/* The versions that patches may lead to. */
static int versions_to_keep(const json_t *targets, const char *app, unsigned keep, char ***ret, Error *e) {
        _cleanup_strv_ char **versions = NULL;
        BundleInfo **recent = NULL;
        size_t n = 0;
        int k = listing_recent(targets, app, "", NULL, SIZE_MAX, &recent, &n, e);

        for (size_t i = 0; i < n && k >= 0; i++) {
                _cleanup_strv_ char **channels = NULL;

                k = listing_channels_at(targets, app, recent[i]->version, &channels);
                if (k >= 0 && (i < keep || channels))
                        k = strv_add(&versions, recent[i]->version);
        }
        while (n > 0)
                bundle_info_free(recent[--n]);
        free(recent);
        if (k >= 0)
                *ret = TAKE(versions);
        return MIN_OF(k, 0);
}

/* Takes the patches to other versions, and their block lists, out of the listing. Returns how many patches. */
static int withdraw(json_t *targets, const char *app, char *const *versions, Error *e) {
        _cleanup_strv_ char **gone = NULL;
        const char *name;
        json_t *entry;
        int n = 0;

        json_object_foreach(targets, name, entry) {
                _cleanup_(patch_info_free_p) PatchInfo *info = NULL;
                _cleanup_free_ char *blocks = NULL;
                const json_t *facts = listing_facts(targets, name);
                int k;

                if (!streq_ptr(target_kind(facts), "patch"))
                        continue;
                k = patch_info_from_json(facts, &info, e);
                if (k < 0)
                        return k;
                if (!streq(info->app, app) || strv_contains(versions, info->version))
                        continue;
                blocks = target_blocks(name);
                if (!blocks || strv_add(&gone, blocks) < 0 || strv_add(&gone, name) < 0)
                        return -ENOMEM;
                n++;
        }
        for (char **i = gone; i && *i; i++)
                (void) json_object_del(targets, *i);
        return n;
}

/* The files of the targets that @targets lists, as an object by their path below targets/. */
static int files_listed(const json_t *targets, json_t *files) {
        const char *name;
        json_t *entry;

        json_object_foreach((json_t *) targets, name, entry) {
                _cleanup_free_ char *path = NULL;
                uint64_t length;
                Digest digest;
                int k = listing_file(targets, name, &length, &digest);

                if (k < 0)
                        return k;
                path = listing_path(name, &digest);
                if (!path || json_object_set_new(files, path, json_true()) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* A bundle that is not listed may be one that somebody publishes again; patches and what a channel pointed at before are
 * only in the way. */
static bool may_go(const char *folder, const char *name) {
        return endswith(folder, "/channels") ? endswith(name, ".json")
                                             : endswith(name, ".patch") || endswith(name, ".patch.blocks");
}

static int remove_in_folder(Repository *r, const char *folder, const json_t *listed, Error *e) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_free_ char *full = text_format("targets/%s", folder);
        int n = 0, k = full ? fs_list_directory(r->fd, full, &names) : -ENOMEM;

        if (k < 0)
                return error_errno(e, k, "cannot read %s/targets/%s", r->path, folder);
        for (char **i = names; i && *i; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", folder, *i), *file = NULL;

                if (!path || !(file = text_format("targets/%s", path)))
                        return -ENOMEM;
                if (!may_go(folder, *i) || json_object_get(listed, path))
                        continue;
                if (unlinkat(r->fd, file, 0) < 0)
                        return error_errno(e, -errno, "cannot remove %s/%s", r->path, file);
                n++;
        }
        return n;
}

/* Removes the files of patches and channels that the metadata in force does not list. */
static int remove_files(Repository *r, const char *app, const RoleFile *f, Error *e) {
        _cleanup_free_ char *folder = text_format("targets/%s", app);
        _cleanup_json_ json_t *listed = json_object();
        _cleanup_strv_ char **versions = NULL;
        int n = 0, k;

        if (!folder || !listed)
                return -ENOMEM;
        k = files_listed(json_object_get(metadata_signed(f->metadata), "targets"), listed);
        if (k < 0)
                return k;
        k = fs_list_directory(r->fd, folder, &versions);
        if (k < 0)
                return k == -ENOENT ? 0 : error_errno(e, k, "cannot read %s/%s", r->path, folder);
        for (char **i = versions; i && *i; i++) {
                _cleanup_free_ char *below = text_format("%s/%s", app, *i);

                k = below ? remove_in_folder(r, below, listed, e) : -ENOMEM;
                if (k < 0)
                        return k;
                n += k;
        }
        return n;
}

int repository_prune_patches(
                Repository *r, const char *app, unsigned keep, RepositoryResult *result, Error *e) {
        _cleanup_strv_ char **versions = NULL;
        json_t *targets;
        RoleFile *f;
        int k;

        if ((k = repository_begin(r, result, e)) < 0 ||
                        (k = repository_edit_listing(r, app, &f, &targets, e)) < 0)
                return k;
        k = versions_to_keep(targets, app, keep, &versions, e);
        if (k >= 0)
                k = withdraw(targets, app, versions, e);
        if (k <= 0)
                repository_drop_draft(f);
        if (k >= 0)
                k = f->draft ? repository_commit(r, result, e) : repository_settle(r, false, result, e);
        if (k < 0)
                return k;
        f = repository_role(r, app) ?: repository_targets(r);
        if (result->invisible || f->pending || !f->metadata)
                return 0;
        return remove_files(r, app, f, e);
}
