#include <errno.h>
#include <limits.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "publish/listing.h"
#include "publish/repository-internal.h"

void repository_result_clear(RepositoryResult *result) {
        strv_free(result->pending);
        strv_free(result->finished);
        strv_free(result->made);
        *result = REPOSITORY_RESULT_INIT;
}

static int lock(Repository *r, Error *e) {
        _cleanup_close_ int fd = fs_open_directory(AT_FDCWD, r->path);

        if (fd < 0)
                return error_errno(e, fd, "cannot open the repository %s", r->path);
        if (flock(fd, LOCK_EX | LOCK_NB) >= 0) {
                r->fd = TAKE_FD(fd);
                return 0;
        }
        if (errno != EWOULDBLOCK)
                return error_errno(e, -errno, "cannot lock the repository %s", r->path);
        return error_set(
                        e, ERROR_LOCKED, -EBUSY, "another releasemgr repo command is at work in %s", r->path);
}

static int open_keys(Repository *r, Error *e) {
        _cleanup_free_ char *path =
                        r->options.keys ? strdup(r->options.keys) : text_format("%s.keys", r->path);

        if (!path)
                return -ENOMEM;
        return keyring_open(path, r->options.passphrase, r->options.userdata, &r->keys, e);
}

/* Throws away what a killed run was packing, and what it was about to put in the place of a file. */
static int sweep(Repository *r, Error *e) {
        static const char *const folders[] = {"metadata", "pending"};
        int k = fs_remove_tree(r->fd, REPOSITORY_STAGING);

        if (k < 0)
                return error_errno(e, k, "cannot remove %s/" REPOSITORY_STAGING, r->path);
        for (size_t i = 0; i < ELEMENTS_OF(folders); i++) {
                _cleanup_close_ int fd = fs_open_directory(r->fd, folders[i]);

                if (fd >= 0)
                        (void) fs_remove_temporaries(fd, NULL); /* who may only look leaves them */
        }
        return 0;
}

/* Locked and with its keyring, but nothing read yet. */
static int prepare(const RepositoryOptions *o, Repository **ret, Error *e) {
        _cleanup_(repository_free_p) Repository *r = calloc(1, sizeof(*r));
        int k;

        if (!r)
                return -ENOMEM;
        r->fd = -1;
        r->options = *o;
        r->now_usec = clock_now();
        if (r->options.root_expires_usec == 0)
                r->options.root_expires_usec = REPOSITORY_ROOT_EXPIRES;
        if (r->options.targets_expires_usec == 0)
                r->options.targets_expires_usec = REPOSITORY_ROOT_EXPIRES;
        if (r->options.online_expires_usec == 0)
                r->options.online_expires_usec = REPOSITORY_ONLINE_EXPIRES;
        r->path = realpath(o->path, NULL);
        if (!r->path && errno == ENOENT) {
                (void) error_set(e, ERROR_USAGE, -ENOENT, "there is no repository %s", o->path);
                return error_hint(e, -ENOENT, "releasemgr repo init --repo=DIR makes one");
        }
        if (!r->path)
                return error_errno(e, -errno, "cannot open the repository %s", o->path);
        k = lock(r, e);
        if (k >= 0)
                k = open_keys(r, e);
        if (k < 0)
                return k;
        *ret = TAKE(r);
        return 0;
}

int repository_open(const RepositoryOptions *o, Repository **ret, Error *e) {
        _cleanup_(repository_free_p) Repository *r = NULL;
        int k;

        k = prepare(o, &r, e);
        if (k < 0)
                return k;
        if (!fs_exists(r->fd, "metadata/1.root.json")) {
                (void) error_set(e, ERROR_USAGE, -ENOENT, "%s is not a repository", r->path);
                return error_hint(e, -ENOENT, "releasemgr repo init --repo=DIR makes one");
        }
        if ((k = sweep(r, e)) < 0 || (k = repository_load(r, e)) < 0)
                return k;
        if (!repository_targets(r)->metadata) {
                (void) error_set(e, ERROR_USAGE, -ENOENT, "the repository %s was not finished", r->path);
                return error_hint(e, -ENOENT, "run releasemgr repo init once more");
        }
        *ret = TAKE(r);
        return 0;
}

Repository *repository_free(Repository *r) {
        if (!r)
                return NULL;
        if (r->n_roots > 0) /* it is a repository, and locked: what was not finished must not fill the disk */
                (void) fs_remove_tree(r->fd, REPOSITORY_STAGING);
        repository_unload(r);
        keyring_free(r->keys);
        fd_close(r->fd);
        free(r->path);
        free(r);
        return NULL;
}

const char *repository_path(const Repository *r) {
        return r->path;
}

const char *repository_keys(const Repository *r) {
        return keyring_path(r->keys);
}

/* The key of @name, made where it is not there, and its public half. */
static int make_key(Repository *r, const char *name, json_t **ret, RepositoryResult *result, Error *e) {
        const PrivateKey *key;
        int k;

        k = keyring_make(r->keys, name, r->options.scheme, r->options.new_passphrase, &key, e);
        if (k < 0)
                return k;
        if (k == 0) {
                _cleanup_free_ char *path = text_format("%s/%s.pem", keyring_path(r->keys), name);

                if (!path || strv_add(&result->made, path) < 0)
                        return -ENOMEM;
        }
        return private_key_public(key, ret, e);
}

static int make_root(Repository *r, RepositoryResult *result, Error *e) {
        static const struct {
                const char *role, *key;
        } roles[] = {{"root", "root"}, {"targets", "targets"}, {"snapshot", "online"},
                        {"timestamp", "online"}};
        _cleanup_json_ json_t *draft = NULL, *envelope = NULL;
        int k;

        k = draft_new(METADATA_ROOT, &draft);
        for (size_t i = 0; i < ELEMENTS_OF(roles) && k >= 0; i++) {
                _cleanup_json_ json_t *key = NULL;

                k = make_key(r, roles[i].key, &key, result, e);
                if (k >= 0)
                        k = draft_add_root_key(draft, roles[i].role, key);
        }
        if (k < 0 || (k = draft_stamp(draft, 1, r->now_usec + r->options.root_expires_usec)) < 0 ||
                        (k = metadata_envelope(draft, &envelope)) < 0 ||
                        (k = repository_sign_envelope(r, "root", envelope, draft, NULL, e)) < 0)
                return k;
        return repository_write(r, "metadata", "1.root.json", envelope, e);
}

static int make_directories(const char *path, Error *e) {
        static const char *const folders[] = {"metadata", "targets"};
        int k = fs_mkdir_parents(AT_FDCWD, path, 0755);

        for (size_t i = 0; i < ELEMENTS_OF(folders) && k >= 0; i++) {
                _cleanup_free_ char *folder = text_format("%s/%s", path, folders[i]);

                k = folder ? fs_mkdir_parents(AT_FDCWD, folder, 0755) : -ENOMEM;
        }
        return k < 0 ? error_errno(e, k, "cannot make the repository %s", path) : 0;
}

int repository_init(const RepositoryOptions *o, Repository **ret, RepositoryResult *result, Error *e) {
        _cleanup_(repository_free_p) Repository *r = NULL;
        json_t *draft;
        int k;

        if ((k = make_directories(o->path, e)) < 0 || (k = prepare(o, &r, e)) < 0)
                return k;
        if (fs_exists(r->fd, "metadata/timestamp.json"))
                return error_set(e, ERROR_USAGE, -EEXIST, "there is a repository in %s", r->path);
        if (!fs_exists(r->fd, "metadata/1.root.json") && (k = make_root(r, result, e)) < 0)
                return k;
        if ((k = repository_load(r, e)) < 0)
                return k;
        if (!repository_targets(r)->metadata && !repository_targets(r)->pending &&
                        (k = repository_edit(r, repository_targets(r), &draft, e)) < 0)
                return k;
        k = repository_commit(r, result, e);
        if (k < 0)
                return k;
        *ret = TAKE(r);
        return 0;
}

int repository_refresh(Repository *r, const char *role, RepositoryResult *result, Error *e) {
        RoleFile *f = role ? repository_role(r, role) : NULL;
        json_t *draft;
        int k;

        if (role && !f)
                return error_set(e, ERROR_USAGE, -EINVAL, "there is no role %s in %s", role, r->path);
        if ((k = repository_begin(r, result, e)) < 0 || (k = repository_need_key(r, "timestamp", e)) < 0)
                return k;
        if (role) {
                f = repository_role(r, role);
                if ((k = repository_need_key(r, role, e)) < 0 || (k = repository_edit(r, f, &draft, e)) < 0 ||
                                (k = repository_write_drafts(r, e)) < 0)
                        return k;
        }
        result->changed = true;
        return repository_settle(r, true, result, e);
}

int repository_only_app(const Repository *r, char **ret, Error *e) {
        _cleanup_strv_ char **apps = NULL;
        int k;

        k = listing_apps(json_object_get(metadata_signed(r->roles[0].metadata), "targets"), &apps);
        for (size_t i = 1; i < r->n_roles && k >= 0; i++)
                if (!strv_contains(apps, r->roles[i].role))
                        k = strv_add(&apps, r->roles[i].role);
        if (k < 0)
                return k;
        if (strv_length(apps) == 1) {
                *ret = strdup(apps[0]);
                return *ret ? 0 : -ENOMEM;
        }
        if (!apps) {
                (void) error_set(e, ERROR_USAGE, -ENOENT, "there is no app in %s yet", r->path);
                return error_hint(e, -ENOENT, "say with --app=APP what its name is to be");
        }
        (void) error_set(e, ERROR_USAGE, -ENOTUNIQ, "there is more than one app in %s", r->path);
        return error_hint(e, -ENOTUNIQ, "say which with --app=%s or another", apps[0]);
}
