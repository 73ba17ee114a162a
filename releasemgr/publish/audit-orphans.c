#include <errno.h>

#include "base/fs.h"
#include "base/text.h"
#include "publish/audit-internal.h"

#define DEPTH_MAX 8

static int walk_targets(Audit *a, const char *folder, unsigned depth, Error *e) {
        _cleanup_strv_ char **names = NULL;
        int k;

        k = fs_list_directory(a->repository->fd, folder, &names);
        if (k < 0)
                return error_errno(e, k, "cannot read %s/%s", a->repository->path, folder);
        for (char **i = names; i && *i && k >= 0; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", folder, *i);
                struct stat st;

                if (!path)
                        return -ENOMEM;
                if (fstatat(a->repository->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return error_errno(e, -errno, "cannot look at %s/%s", a->repository->path, path);
                if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
                        k = walk_targets(a, path, depth + 1, e);
                else if (!json_object_get(a->known, path))
                        k = audit_add(a, ERROR_NONE, false, path, "is listed by no metadata in force");
        }
        return k;
}

/* The number and the role in "N.ROLE.json". */
static bool split_name(const char *name, int64_t *ret_version, char **ret_role) {
        size_t digits = strspn(name, "0123456789"), n = strlen(name);
        _cleanup_free_ char *number = strndup(name, digits);
        uint64_t version;

        if (!number || digits == 0 || name[digits] != '.' || n < digits + strlen("..json") ||
                        !endswith(name, ".json") || parse_u64(number, INT64_MAX, &version) < 0)
                return false;
        *ret_version = (int64_t) version;
        *ret_role = strndup(name + digits + 1, n - digits - 1 - strlen(".json"));
        return *ret_role;
}

/* The version of @role's file that is in use; 0 where there is none of that name. */
static int64_t version_in_use(Repository *r, const char *role) {
        const RoleFile *f = repository_role(r, role);

        if (streq(role, "root"))
                return (int64_t) r->n_roots;
        if (streq(role, "snapshot"))
                return r->snapshot ? metadata_version(r->snapshot) : 0;
        return f && f->metadata ? metadata_version(f->metadata) : 0;
}

static int check_name(Audit *a, const char *name) {
        _cleanup_free_ char *path = text_format("metadata/%s", name), *role = NULL;
        int64_t version, used;

        if (!path)
                return -ENOMEM;
        if (streq(name, "timestamp.json"))
                return 0;
        if (!split_name(name, &version, &role))
                return audit_add(a, ERROR_NONE, true, path, "is no metadata file of ours");
        used = version_in_use(a->repository, role);
        if (used == 0)
                return audit_add(a, ERROR_NONE, true, path, "is of a role that does not exist");
        if (version > used)
                return audit_add(a, ERROR_NONE, true, path,
                                "is newer than version %lld, which is in use, and not signed as it should be",
                                (long long) used);
        return 0; /* of what was in use before, copies may be under way */
}

int audit_orphans(Audit *a, Error *e) {
        int k = 0;

        for (char **i = a->repository->names; i && *i && k >= 0; i++)
                k = check_name(a, *i);
        return k < 0 || !a->listed ? k : walk_targets(a, "targets", 0, e);
}
