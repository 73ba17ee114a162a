#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "publish/repository-internal.h"
#include "publish/review.h"
#include "publish/roles.h"

/* Every file that may be pending, root first. NULL behind the last. */
static RoleFile *file_at(Repository *r, size_t i) {
        if (i == 0)
                return &r->root;
        return i <= r->n_roles ? &r->roles[i - 1] : NULL;
}

int repository_review(Repository *r, char ***ret, Error *e _unused_) {
        _cleanup_strv_ char **sentences = NULL;
        RoleFile *f;
        int k;

        for (size_t i = 0; (f = file_at(r, i)); i++) {
                const Metadata *now = f == &r->root ? repository_root(r) : f->metadata;

                if (!f->pending)
                        continue;
                k = review_changes(f->role, now ? metadata_signed(now) : NULL, metadata_signed(f->pending),
                                &sentences);
                if (k < 0)
                        return k;
        }
        *ret = TAKE(sentences);
        return 0;
}

/* Whether @f is signed by too few, as who signs it now wants it or as who is to sign it will. */
static int lacks_signatures(const Repository *r, const RoleFile *f) {
        const Metadata *holders[] = {repository_holder(r, f->role),
                        f == &r->root ? f->pending : repository_pending_holder(r, f->role)};
        int k = 1;

        for (size_t i = 0; i < ELEMENTS_OF(holders) && k > 0; i++)
                if (holders[i] && draft_role(metadata_signed(holders[i]), f->role, NULL))
                        k = repository_is_signed(f->pending, holders[i], f->role);
        return k < 0 ? k : !k;
}

/* 1 where one of our keys signed. */
static int sign_pending(Repository *r, const RoleFile *f, Error *e) {
        const Metadata *holder = repository_holder(r, f->role),
                       *coming = f == &r->root ? f->pending : repository_pending_holder(r, f->role);
        _cleanup_json_ json_t *envelope = json_deep_copy(metadata_json(f->pending));
        _cleanup_free_ char *name = text_format("%s.json", f->role);
        int k;

        if (!envelope || !name)
                return -ENOMEM;
        k = repository_sign_envelope(r, f->role, envelope, holder ? metadata_signed(holder) : NULL,
                        coming ? metadata_signed(coming) : NULL, e);
        if (k <= 0)
                return k;
        k = repository_write(r, "pending", name, envelope, e);
        return k < 0 ? k : 1;
}

int repository_sign(Repository *r, char ***ret, RepositoryResult *result, Error *e) {
        _cleanup_strv_ char **signed_roles = NULL;
        bool pending = false;
        RoleFile *f;
        int k;

        k = repository_begin(r, result, e);
        if (k < 0)
                return k;
        for (size_t i = 0; (f = file_at(r, i)); i++) {
                k = f->pending ? lacks_signatures(r, f) : 0;
                pending |= k > 0;
                if (k > 0)
                        k = sign_pending(r, f, e);
                if (k > 0)
                        k = strv_add(&signed_roles, f->role);
                if (k < 0)
                        return k;
        }
        if (!signed_roles && pending)
                return error_set(e, ERROR_USAGE, -ENOKEY, "no key in %s may sign what is pending in %s",
                                repository_keys(r), r->path);
        if (signed_roles) {
                k = repository_load(r, e);
                if (k < 0)
                        return k;
                result->changed = true;
        }
        k = repository_settle(r, false, result, e);
        if (k < 0)
                return k;
        *ret = TAKE(signed_roles);
        return 0;
}
