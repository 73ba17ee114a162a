#include <errno.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "publish/repository-internal.h"

/* An app's file is ready by the targets in force, or by those that are about to be. */
static int app_is_ready(Repository *r, const RoleFile *f) {
        const RoleFile *targets = repository_targets(r);
        int k;

        k = repository_is_signed(f->pending, targets->metadata, f->role);
        if (k == 0 && targets->pending) {
                k = repository_is_signed(targets->pending, repository_root(r), "targets");
                if (k > 0)
                        k = repository_is_signed(f->pending, targets->pending, f->role);
        }
        return k;
}

/* A new targets file must not leave a team's file behind that its keys did not sign. And where a new root asks for other
 * signatures, it waits for those, so that whoever may give them finds it. */
static int targets_are_ready(Repository *r) {
        const Metadata *pending = repository_targets(r)->pending;
        int k = repository_is_signed(pending, repository_root(r), "targets");

        if (k > 0 && r->root.pending)
                k = repository_is_signed(pending, r->root.pending, "targets");

        for (size_t i = 1; i < r->n_roles && k > 0; i++) {
                const RoleFile *f = &r->roles[i];
                const Metadata *m = f->pending ?: f->metadata;

                if (!m || !draft_role(metadata_signed(pending), f->role, NULL))
                        continue;
                k = repository_is_signed(m, pending, f->role);
                if (k == 0 && f->metadata)
                        k = repository_is_signed(f->metadata, pending, f->role);
        }
        return k;
}

/* Whether we have the keys to sign snapshot and timestamp as @root wants. */
static int can_sign_online(Repository *r, const Metadata *root, Error *e) {
        static const char *const roles[] = {"snapshot", "timestamp"};

        for (size_t i = 0; i < ELEMENTS_OF(roles); i++) {
                const json_t *entry = draft_role(metadata_signed(root), roles[i], NULL);
                _cleanup_json_ json_t *envelope = json_pack("{s:{}, s:[]}", "signed", "signatures");
                int n;

                if (!envelope)
                        return -ENOMEM;
                n = repository_sign_envelope(r, roles[i], envelope, metadata_signed(root), NULL, e);
                if (n < 0 || n < json_get_integer(entry, "threshold", 1))
                        return MIN_OF(n, 0);
        }
        return 1;
}

static int root_is_signed(Repository *r) {
        int k = repository_is_signed(r->root.pending, repository_root(r), "root");

        return k > 0 ? repository_is_signed(r->root.pending, r->root.pending, "root") : k;
}

/* A new root comes into force only when what stands below it is good by its keys as well, or will be at once. */
static int root_is_ready(Repository *r, Error *e) {
        const RoleFile *targets = repository_targets(r);
        int k = root_is_signed(r);

        if (k <= 0)
                return k;
        k = repository_is_signed(targets->metadata, r->root.pending, "targets");
        if (k == 0)
                k = repository_is_signed(targets->pending, r->root.pending, "targets");
        if (k <= 0)
                return k;
        k = repository_online_is_current(r);
        if (k > 0)
                k = repository_online_is_signed(r, r->root.pending);
        return k == 0 ? can_sign_online(r, r->root.pending, e) : k;
}

/* ROLE.next.pem takes over where the file in force lists it, and does not list ROLE.pem any more. */
static int advance_key(Repository *r, const char *role, Error *e) {
        const Metadata *holder = repository_holder(r, role);
        const char *name = draft_key_name(role);
        _cleanup_free_ char *next = text_format("%s.next", name);
        const json_t *keyids = json_object_get(draft_role(metadata_signed(holder), role, NULL), "keyids"),
                     *id;
        const PrivateKey *key, *old;
        bool lists_next = false, lists_old = false;
        size_t i;
        int k, had;

        if (!next)
                return -ENOMEM;
        k = keyring_get(r->keys, next, &key, e);
        if (k <= 0)
                return k;
        had = keyring_get(r->keys, name, &old, e);
        if (had < 0)
                return had;
        json_array_foreach(keyids, i, id) {
                lists_next |= streq_ptr(json_string_value(id), private_key_id(key));
                lists_old |= had && streq_ptr(json_string_value(id), private_key_id(old));
        }
        return lists_next && !lists_old ? keyring_advance(r->keys, name, e) : 0;
}

static int advance_keys(Repository *r, Error *e) {
        static const char *const roles[] = {"root", "timestamp"};
        int k = 0;

        for (size_t i = 0; i < ELEMENTS_OF(roles) && k >= 0; i++)
                k = advance_key(r, roles[i], e);
        for (size_t i = 0; i < r->n_roles && k >= 0; i++)
                if (i == 0 || r->roles[0].metadata)
                        k = advance_key(r, r->roles[i].role, e);
        return k;
}

/* From pending/ to its place. The rename is the moment in which the file is published. */
static int move(Repository *r, const RoleFile *f, char ***moved, Error *e) {
        _cleanup_free_ char *from = text_format("pending/%s.json", f->role), *to = NULL;
        int k;

        to = text_format("metadata/%lld.%s.json", (long long) metadata_version(f->pending), f->role);
        if (!from || !to)
                return -ENOMEM;
        k = fs_rename_durable(r->fd, from, r->fd, to);
        if (k < 0)
                return error_errno(e, k, "cannot put %s/%s in its place", r->path, to);
        k = strv_add(moved, to);
        return k < 0 ? k : repository_load(r, e);
}

/* Moves one file that is ready below root. 1 where there was one. */
static int move_targets(Repository *r, char ***moved, Error *e) {
        RoleFile *targets = repository_targets(r);
        int k;

        for (size_t i = 1; i < r->n_roles; i++) {
                if (!r->roles[i].pending)
                        continue;
                k = app_is_ready(r, &r->roles[i]);
                if (k != 0)
                        return k < 0 ? k : (k = move(r, &r->roles[i], moved, e)) < 0 ? k : 1;
        }
        if (!targets->pending)
                return 0;
        k = targets_are_ready(r);
        return k <= 0 ? k : (k = move(r, targets, moved, e)) < 0 ? k : 1;
}

/* Whether snapshot and timestamp must be signed again, for the files in force or for a root that waits for them. */
static int wants_online(Repository *r) {
        int k;

        if (!repository_targets(r)->metadata)
                return 0;
        k = repository_online_is_current(r);
        if (k <= 0)
                return k < 0 ? k : 1;
        if (!r->root.pending)
                return 0;
        k = repository_online_is_signed(r, r->root.pending);
        return k < 0 ? k : !k;
}

static int settle_online(Repository *r, bool *online, char ***moved, Error *e) {
        int k = *online ? 1 : wants_online(r);

        if (k <= 0)
                return k;
        *online = false;
        k = repository_sign_online(r, e);
        if (k <= 0)
                return k;
        k = strv_add(moved, "metadata/timestamp.json");
        if (k >= 0)
                k = repository_load(r, e);
        return k < 0 ? k : repository_remove_superseded(r, e);
}

static int describe_pending(Repository *r, const RoleFile *f, RepositoryResult *result) {
        const Metadata *holder = repository_holder(r, f->role);
        _cleanup_free_ char *text = NULL;
        const json_t *entry;
        int64_t threshold;
        unsigned n = 0;
        int k;

        if (!holder || !(entry = draft_role(metadata_signed(holder), f->role, NULL))) {
                holder = repository_pending_holder(r, f->role);
                entry = holder ? draft_role(metadata_signed(holder), f->role, NULL) : NULL;
        }
        if (!entry)
                return 0;
        threshold = json_get_integer(entry, "threshold", 1);
        k = draft_count_signatures(f->pending, metadata_signed(holder), f->role, &n);
        if (k < 0)
                return k;
        text = text_format("%s has %u of %lld signatures%s", f->role, n, (long long) threshold,
                        n < threshold ? "; who holds another of its keys adds one with releasemgr repo sign"
                                      : ", and waits for those of the files and keys that it names");
        return text ? strv_add(&result->pending, text) : -ENOMEM;
}

static uint64_t first_expiry(Repository *r) {
        const Metadata *online[] = {r->timestamp, r->snapshot, repository_root(r)};
        uint64_t first = UINT64_MAX;

        for (size_t i = 0; i < ELEMENTS_OF(online); i++)
                if (online[i])
                        first = MIN_OF(first, metadata_expires(online[i]));
        for (size_t i = 0; i < r->n_roles; i++)
                if (r->roles[i].metadata)
                        first = MIN_OF(first, metadata_expires(r->roles[i].metadata));
        return first;
}

static int describe(Repository *r, RepositoryResult *result) {
        int k = 0;

        result->expires_usec = first_expiry(r);

        if (r->root.pending)
                k = describe_pending(r, &r->root, result);
        for (size_t i = 0; i < r->n_roles && k >= 0; i++)
                if (r->roles[i].pending)
                        k = describe_pending(r, &r->roles[i], result);
        if (k < 0)
                return k;
        k = repository_online_is_current(r);
        result->invisible = k == 0;
        return MIN_OF(k, 0);
}

static int settle(Repository *r, bool online, char ***moved, Error *e) {
        int k;

        k = advance_keys(r, e);
        while (k >= 0) {
                k = move_targets(r, moved, e);
                if (k != 0)
                        continue;
                k = settle_online(r, &online, moved, e);
                if (k < 0 || !r->root.pending)
                        break;
                k = root_is_ready(r, e);
                if (k <= 0)
                        break;
                k = move(r, &r->root, moved, e);
        }
        return k < 0 ? k : advance_keys(r, e);
}

int repository_settle(Repository *r, bool online, RepositoryResult *result, Error *e) {
        _cleanup_strv_ char **moved = NULL;
        int k;

        k = settle(r, online, &moved, e);
        if (k >= 0) {
                result->pending = strv_free(result->pending);
                k = describe(r, result);
        }
        return k;
}

int repository_begin(Repository *r, RepositoryResult *result, Error *e) {
        return settle(r, false, &result->finished, e);
}

int repository_commit(Repository *r, RepositoryResult *result, Error *e) {
        int k = repository_write_drafts(r, e);

        if (k < 0)
                return k;
        result->changed = true;
        return repository_settle(r, false, result, e);
}
