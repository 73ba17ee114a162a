#include <errno.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "publish/listing.h"
#include "publish/repository-internal.h"
#include "publish/roles.h"

#define PUBLIC_KEY_MAX 65536

int repository_make_key(const RepositoryOptions *o, const char *name, char **ret_public, Error *e) {
        _cleanup_(keyring_free_p) Keyring *keys = NULL;
        _cleanup_free_ char *path = NULL, *real = NULL, *directory = NULL;
        _cleanup_json_ json_t *public = NULL;
        const PrivateKey *key;
        int k, was_there;

        if (!version_is_valid(name))
                return error_set(e, ERROR_USAGE, -EINVAL, "\"%s\" is not the name of a role", name);
        real = realpath(o->path, NULL);
        directory = o->keys ? strdup(o->keys) : text_format("%s.keys", real ?: o->path);
        path = directory ? text_format("%s/%s.pub", directory, name) : NULL;
        if (!path)
                return -ENOMEM;
        k = keyring_open(directory, o->passphrase, o->userdata, &keys, e);
        if (k < 0)
                return k;
        was_there = keyring_make(keys, name, o->scheme, o->new_passphrase, &key, e);
        if (was_there < 0 || (k = private_key_public(key, &public, e)) < 0)
                return MIN_OF(was_there, k);
        k = json_write_file(AT_FDCWD, path, public, 0644);
        if (k < 0)
                return error_errno(e, k, "cannot write %s", path);
        *ret_public = TAKE(path);
        return was_there;
}

/* A public key that is to sign: it must be one that we can check. */
static int read_public(const char *path, json_t **ret, Error *e) {
        _cleanup_(public_key_free_p) PublicKey *key = NULL;
        _cleanup_json_ json_t *object = NULL;
        char id[DIGEST_TEXT_MAX];
        int k;

        k = json_read_file(AT_FDCWD, path, PUBLIC_KEY_MAX, &object, NULL);
        if (k < 0 && k != -EINVAL)
                return error_errno(e, k, "cannot read %s", path);
        if (!json_is_object(object) || (k = key_id_of(object, id)) < 0 ||
                        (k = public_key_from_json(id, object, &key, NULL)) < 0 ||
                        !public_key_is_usable(key)) {
                (void) error_set(e, ERROR_USAGE, -EINVAL, "%s is not a public key", path);
                return error_hint(e, -EINVAL, "releasemgr repo key NAME makes one");
        }
        *ret = TAKE(object);
        return 0;
}

/* The top-level roles that one key name stands for, or the app's. */
static const char *const *roles_of(const char *name) {
        static const char *const root[] = {"root", NULL}, *const targets[] = {"targets", NULL},
                                 *const online[] = {"snapshot", "timestamp", NULL};

        return streq(name, "root")      ? root
               : streq(name, "targets") ? targets
               : streq(name, "online")  ? online
                                        : NULL;
}

static int add_key(json_t *draft, const char *name, json_t *key) {
        const char *const *roles = roles_of(name);
        int k = 0;

        if (!roles)
                return draft_add_delegation(draft, name, key);
        for (; *roles && k >= 0; roles++)
                k = draft_add_root_key(draft, *roles, key);
        return k;
}

static int remove_key(json_t *draft, const char *name, const char *keyid, Error *e) {
        const char *const *roles = roles_of(name);
        int k = 0;

        if (!roles)
                return draft_remove_key(draft, name, keyid, e);
        for (; *roles && k >= 0; roles++)
                k = draft_remove_key(draft, *roles, keyid, e);
        return k;
}

/* Sets the threshold; 0: looks that there are keys enough for the one it has. */
static int set_threshold(json_t *draft, const char *name, unsigned threshold, Error *e) {
        const char *const only[] = {name, NULL}, *const *roles = roles_of(name) ?: only;
        int k = 0;

        for (; *roles && k >= 0; roles++) {
                const json_t *entry = draft_role(draft, *roles, NULL);
                unsigned now = (unsigned) json_get_integer(entry, "threshold", 1);

                k = draft_set_threshold(draft, *roles, threshold > 0 ? threshold : now, e);
        }
        return k;
}

/* Whether @name's roles list the key. */
static bool lists(const json_t *draft, const char *name, const PrivateKey *key) {
        const char *const *roles = roles_of(name);
        const json_t *keyids = json_object_get(draft_role(draft, roles ? *roles : name, NULL), "keyids"), *id;
        size_t i;

        json_array_foreach(keyids, i, id)
                if (streq_ptr(json_string_value(id), private_key_id(key)))
                        return true;
        return false;
}

/* Our key gives way to NAME.next.pem. 0 where an earlier run did that, and it is pending. */
static int replace_key(Repository *r, json_t *draft, const char *name, RepositoryResult *result, Error *e) {
        _cleanup_free_ char *next = text_format("%s.next", name), *path = NULL;
        _cleanup_json_ json_t *public = NULL;
        const PrivateKey *old, *new;
        int k;

        if (!next)
                return -ENOMEM;
        k = keyring_get(r->keys, name, &old, e);
        if (k < 0)
                return k;
        if (k == 0) {
                (void) error_set(e, ERROR_USAGE, -ENOKEY, "the key to be replaced, %s/%s.pem, is not there",
                                repository_keys(r), name);
                return error_hint(e, -ENOKEY,
                                "where it is lost, make another with releasemgr repo key %s, and name both "
                                "with --add=FILE --remove=KEYID",
                                name);
        }
        k = keyring_make(r->keys, next, r->options.scheme, r->options.new_passphrase, &new, e);
        if (k < 0)
                return k;
        if (lists(draft, name, new) && !lists(draft, name, old))
                return 0;
        path = text_format("%s/%s.pem", repository_keys(r), name);
        if (!path || (k == 0 && strv_add(&result->made, path) < 0))
                return -ENOMEM;
        if ((k = private_key_public(new, &public, e)) < 0 ||
                        (k = remove_key(draft, name, private_key_id(old), e)) < 0 ||
                        (k = add_key(draft, name, public)) < 0)
                return k;
        return 1;
}

static int change_keys(json_t *draft, const RoleChange *c, Error *e) {
        int k = 0;

        for (char *const *i = c->add; i && *i && k >= 0; i++) {
                _cleanup_json_ json_t *public = NULL;

                k = read_public(*i, &public, e);
                if (k >= 0)
                        k = add_key(draft, c->role, public);
        }
        for (char *const *i = c->remove; i && *i && k >= 0; i++)
                k = remove_key(draft, c->role, *i, e);
        return k < 0 ? k : 1;
}

/* What the role signs is signed anew, by the old and the new keys, where we have any of them. (Of snapshot and timestamp
 * settle.c takes care.) Where we have none, who has must do it: releasemgr repo refresh --role=ROLE. */
static int sign_again(Repository *r, const char *role, Error *e) {
        RoleFile *f = repository_role(r, role);
        json_t *draft;
        int k;

        if (streq(role, "root") || streq(role, "online") || !f || (!f->metadata && !f->pending))
                return 0;
        k = repository_need_key(r, role, NULL);
        if (k < 0)
                return k == -ENOKEY ? 0 : k;
        return repository_edit(r, f, &draft, e);
}

int repository_rotate(Repository *r, const RoleChange *c, RepositoryResult *result, Error *e) {
        const char *holder = roles_of(c->role) ? "root" : "targets";
        json_t *draft;
        int k;

        if ((k = repository_begin(r, result, e)) < 0 || (k = repository_need_key(r, holder, e)) < 0)
                return k;
        k = repository_edit(r, repository_role(r, holder), &draft, e);
        if (k < 0)
                return k;
        if (!roles_of(c->role) && !draft_role(draft, c->role, NULL)) {
                (void) error_set(e, ERROR_USAGE, -EINVAL, "there is no role %s in %s", c->role, r->path);
                return error_hint(e, -EINVAL,
                                "there are root, targets and online, and what releasemgr repo delegate made");
        }
        if (!c->add && !c->remove && c->threshold == 0)
                k = replace_key(r, draft, c->role, result, e);
        else
                k = change_keys(draft, c, e);
        if (k == 0)
                return repository_settle(r, false, result, e);
        if (k < 0 || (k = set_threshold(draft, c->role, c->threshold, e)) < 0 ||
                        (k = sign_again(r, c->role, e)) < 0)
                return k;
        return repository_commit(r, result, e);
}

/* Gives the app the keys that are in files, or our own. */
static int add_app_keys(Repository *r, json_t *draft, const char *app, char *const *keys,
                RepositoryResult *result, Error *e) {
        RoleChange c = {.role = app, .add = keys};
        _cleanup_json_ json_t *public = NULL;
        _cleanup_free_ char *path = NULL;
        const PrivateKey *key;
        int k;

        if (keys)
                return change_keys(draft, &c, e);
        k = keyring_make(r->keys, app, r->options.scheme, r->options.new_passphrase, &key, e);
        if (k < 0)
                return k;
        path = text_format("%s/%s.pem", repository_keys(r), app);
        if (!path || (k == 0 && strv_add(&result->made, path) < 0))
                return -ENOMEM;
        k = private_key_public(key, &public, e);
        return k < 0 ? k : add_key(draft, app, public);
}

/* Moves what there is of the app to its role. Where there is nothing, and the role's key is not here, its first file is
 * its team's to make. */
static int hand_over(Repository *r, json_t *targets_draft, const char *app, Error *e) {
        _cleanup_json_ json_t *moved = json_object();
        json_t *draft;
        RoleFile *f;
        int k, n;

        if (!moved)
                return -ENOMEM;
        n = listing_move(json_object_get(targets_draft, "targets"), moved, app);
        if (n < 0 || (k = repository_add_role(r, app)) < 0)
                return MIN_OF(n, -ENOMEM);
        f = repository_role(r, app);
        k = repository_need_key(r, app, NULL);
        if (k < 0 && (k != -ENOKEY || n == 0))
                return k == -ENOKEY ? 0 : k;
        k = repository_edit(r, f, &draft, e);
        return k < 0 ? k : json_object_update(json_object_get(draft, "targets"), moved) < 0 ? -ENOMEM : 0;
}

int repository_delegate(Repository *r, const char *app, char *const *keys, unsigned threshold,
                RepositoryResult *result, Error *e) {
        json_t *draft;
        int k;

        if (!version_is_valid(app) || roles_of(app) || streq(app, "snapshot") || streq(app, "timestamp"))
                return error_set(e, ERROR_USAGE, -EINVAL, "\"%s\" cannot be the name of an app", app);
        if ((k = repository_begin(r, result, e)) < 0 || (k = repository_need_key(r, "targets", e)) < 0 ||
                        (k = repository_edit(r, repository_targets(r), &draft, e)) < 0)
                return k;
        if (draft_role(draft, app, NULL)) {
                (void) error_set(e, ERROR_USAGE, -EEXIST, "%s has a role of its own already", app);
                return error_hint(e, -EEXIST, "releasemgr repo rotate %s changes its keys", app);
        }
        if ((k = add_app_keys(r, draft, app, keys, result, e)) < 0 ||
                        (k = set_threshold(draft, app, threshold, e)) < 0 ||
                        (k = hand_over(r, draft, app, e)) < 0)
                return k;
        return repository_commit(r, result, e);
}
