#include <errno.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "publish/repository-internal.h"

#define ROOT_FILE_MAX (512 * 1000) /* what a client takes: trust/updater.h */

int repository_edit(Repository *r, RoleFile *f, json_t **ret, Error *e) {
        const Metadata *now = f == &r->root ? repository_root(r) : f->metadata;
        const Metadata *from = f->pending ?: now;
        int k = 0;

        if (!f->draft && from) {
                f->draft = json_deep_copy(metadata_signed(from));
                if (!f->draft)
                        return -ENOMEM;
        } else if (!f->draft)
                k = draft_new(role_type(f->role), &f->draft);
        if (k < 0)
                return k;
        if (f != &r->root && !json_is_object(json_object_get(f->draft, "targets")))
                return error_set(e, ERROR_UNTRUSTED, -EINVAL, "%s/metadata: role %s lists no targets",
                                r->path, f->role);
        *ret = f->draft;
        return 0;
}

static bool lists_key(const json_t *holder, const char *role, const PrivateKey *key) {
        const json_t *keyids = holder ? json_object_get(draft_role(holder, role, NULL), "keyids") : NULL, *id;
        size_t i;

        json_array_foreach(keyids, i, id)
                if (streq_ptr(json_string_value(id), private_key_id(key)))
                        return true;
        return false;
}

int repository_sign_envelope(Repository *r, const char *role, json_t *envelope, const json_t *holder,
                const json_t *other_holder, Error *e) {
        const PrivateKey *keys[KEYRING_SIGNERS_MAX];
        int n, k, signed_by = 0;

        n = keyring_signers(r->keys, draft_key_name(role), keys, e);
        for (int i = 0; i < n; i++) {
                if (!lists_key(holder, role, keys[i]) && !lists_key(other_holder, role, keys[i]))
                        continue;
                k = metadata_sign(envelope, keys[i], e);
                if (k < 0)
                        return k;
                signed_by++;
        }
        return n < 0 ? n : signed_by;
}

static const json_t *signed_of(const Metadata *m) {
        return m ? metadata_signed(m) : NULL;
}

/* What will say who signs @role: the draft of its holder, or what of it is pending. */
static const json_t *coming_holder(const Repository *r, const char *role) {
        bool top = streq(role, "root") || streq(role, "targets");
        const json_t *draft = top ? r->root.draft : r->roles[0].draft;

        return draft ?: signed_of(repository_pending_holder(r, role));
}

static int missing_key(Repository *r, const char *role, Error *e) {
        const PrivateKey *keys[KEYRING_SIGNERS_MAX];
        const char *name = draft_key_name(role), *directory = keyring_path(r->keys);
        int n = keyring_signers(r->keys, name, keys, e);

        if (n < 0)
                return n;
        if (n > 0) {
                (void) error_set(e, ERROR_USAGE, -ENOKEY, "%s/%s.pem is not a key of role %s in %s",
                                directory, name, role, r->path);
                return error_hint(e, -ENOKEY, "see with --keys=DIR that it is this repository's keyring");
        }
        (void) error_set(e, ERROR_USAGE, -ENOKEY, "the key of role %s is needed, and there is no %s/%s.pem",
                        role, directory, name);
        return error_hint(e, -ENOKEY, "say with --keys=DIR where the keys are");
}

int repository_need_key(Repository *r, const char *role, Error *e) {
        const json_t *holder = signed_of(repository_holder(r, role)), *coming = coming_holder(r, role);
        const PrivateKey *keys[KEYRING_SIGNERS_MAX];
        int n = keyring_signers(r->keys, draft_key_name(role), keys, e);

        for (int i = 0; i < n; i++)
                if (lists_key(holder, role, keys[i]) || lists_key(coming, role, keys[i]))
                        return 0;
        return n < 0 ? n : missing_key(r, role, e);
}

int repository_write(Repository *r, const char *folder, const char *name, const json_t *envelope, Error *e) {
        _cleanup_free_ char *path = text_format("%s/%s", folder, name), *data = NULL;
        size_t size, max = endswith(name, "root.json") ? ROOT_FILE_MAX : REPOSITORY_FILE_MAX;
        int k;

        if (!path)
                return -ENOMEM;
        k = metadata_write(envelope, &data, &size);
        if (k < 0)
                return k;
        if (size > max) {
                (void) error_set(e, ERROR_REFUSED, -EFBIG,
                                "%s would have %zu bytes, and no host takes more than %zu", name, size, max);
                return error_hint(e, -EFBIG, "give apps roles of their own with releasemgr repo delegate");
        }
        k = fs_mkdir_parents(r->fd, folder, 0755);
        if (k >= 0)
                k = fs_write_file_atomic(r->fd, path, data, size, 0644);
        return k < 0 ? error_errno(e, k, "cannot write %s/%s", r->path, path) : 0;
}

/* Signs one role's draft with what keys we have, and puts it into pending/. */
static int write_draft(Repository *r, RoleFile *f, Error *e) {
        _cleanup_free_ char *name = text_format("%s.json", f->role);
        _cleanup_json_ json_t *envelope = NULL;
        uint64_t span = f == &r->root ? r->options.root_expires_usec : r->options.targets_expires_usec;
        int k;

        if (!name)
                return -ENOMEM;
        k = draft_stamp(f->draft, f->highest + 1, r->now_usec + span);
        if (k >= 0)
                k = metadata_envelope(f->draft, &envelope);
        if (k >= 0)
                k = repository_sign_envelope(r, f->role, envelope, signed_of(repository_holder(r, f->role)),
                                coming_holder(r, f->role), e);
        if (k == 0 && f != &r->root && f != repository_targets(r) && !f->metadata)
                k = repository_sign_envelope(r, "targets", envelope, signed_of(repository_root(r)),
                                coming_holder(r, "targets"), e); /* see is_vouched_for() in state.c */
        if (k == 0)
                return missing_key(r, f->role, e);
        return k < 0 ? k : repository_write(r, "pending", name, envelope, e);
}

/* The apps first, then targets, then root: what is named in another file is there before it. */
int repository_write_drafts(Repository *r, Error *e) {
        int k = 0;

        for (size_t i = r->n_roles; i-- > 0 && k >= 0;)
                if (r->roles[i].draft)
                        k = write_draft(r, &r->roles[i], e);
        if (k >= 0 && r->root.draft)
                k = write_draft(r, &r->root, e);
        return k < 0 ? k : repository_load(r, e);
}
