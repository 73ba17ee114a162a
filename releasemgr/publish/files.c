#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "publish/listing.h"
#include "publish/repository-internal.h"

int repository_edit_listing(Repository *r, const char *app, RoleFile **ret, json_t **ret_targets, Error *e) {
        RoleFile *f = repository_role(r, app) ?: repository_targets(r);
        json_t *draft;
        int k;

        if ((k = repository_need_key(r, f->role, e)) < 0 || (k = repository_edit(r, f, &draft, e)) < 0)
                return k;
        *ret = f;
        *ret_targets = json_object_get(draft, "targets");
        return 0;
}

void repository_drop_draft(RoleFile *f) {
        json_decref(f->draft);
        f->draft = NULL;
}

static int hash_file(Repository *r, const char *path, uint64_t *ret_length, Digest *ret, Error *e) {
        _cleanup_(hasher_free_p) Hasher *h = NULL;
        _cleanup_close_ int fd = fd_openat(r->fd, path, O_RDONLY | O_CLOEXEC);
        char buffer[65536];
        uint64_t length = 0;
        ssize_t n;
        int k;

        if (fd < 0)
                return error_errno(e, -errno, "cannot read %s/%s", r->path, path);
        k = hasher_new(&h);
        while (k >= 0 && (n = fd_read_full(fd, buffer, sizeof(buffer))) != 0) {
                if (n < 0)
                        return error_errno(e, (int) n, "cannot read %s/%s", r->path, path);
                length += (uint64_t) n;
                k = hasher_add(h, buffer, (size_t) n);
        }
        if (k >= 0)
                k = hasher_finish(h, ret);
        *ret_length = length;
        return k;
}

/* Makes the folder of a target's file. @ret is the file's path below the repository, owned by the caller. */
static int make_place(Repository *r, const char *name, const Digest *digest, char **ret, Error *e) {
        _cleanup_free_ char *path = listing_path(name, digest), *full = NULL, *folder = NULL;
        int k;

        full = path ? text_format("targets/%s", path) : NULL;
        folder = full ? strndup(full, (size_t) (strrchr(full, '/') - full)) : NULL;
        if (!folder)
                return -ENOMEM;
        k = fs_mkdir_parents(r->fd, folder, 0755);
        if (k < 0)
                return error_errno(e, k, "cannot make %s/%s", r->path, folder);
        *ret = TAKE(full);
        return 0;
}

int repository_add_file(Repository *r, json_t *targets, const char *staged, const char *name,
                const json_t *facts, uint64_t *ret_length, Error *e) {
        _cleanup_free_ char *place = NULL;
        uint64_t length;
        Digest digest;
        int k;

        if ((k = hash_file(r, staged, &length, &digest, e)) < 0 ||
                        (k = make_place(r, name, &digest, &place, e)) < 0)
                return k;
        k = fs_rename_durable(r->fd, staged, r->fd, place);
        if (k < 0)
                return error_errno(e, k, "cannot put %s/%s in its place", r->path, place);
        if (ret_length)
                *ret_length = length;
        return listing_put(targets, name, length, &digest, facts);
}
