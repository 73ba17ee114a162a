#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/version.h"
#include "store/store.h"
#include "store/work.h"

#define RELEASES "releases"
#define SHARED   "shared"
#define CURRENT  "current"

#define LET_IT_BE_MENDED                                                                                     \
        "releasemgr rollback goes to the last release that proved itself; activate VERSION to another"

struct Store {
        char *path;
        int fd, releases, shared;
};

static int open_below(Store *s, const char *name, bool create, int *ret, Error *e) {
        int r = 0;

        if (create)
                r = fs_mkdir_parents(s->fd, name, 0755);
        if (r >= 0)
                r = fs_open_directory(s->fd, name);
        if (r < 0)
                return error_errno(e, r, "Cannot open the directory %s/%s", s->path, name);
        *ret = r;
        return 0;
}

int store_open(const char *path, bool create, Store **ret, Error *e) {
        _cleanup_(store_free_p) Store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (Store){.path = strdup(path), .fd = -1, .releases = -1, .shared = -1};
        if (!s->path)
                return -ENOMEM;
        r = create ? fs_mkdir_parents(AT_FDCWD, path, 0755) : 0;
        if (r >= 0)
                r = s->fd = fs_open_directory(AT_FDCWD, path);
        if (r < 0)
                return error_errno(e, r, "Cannot open the directory %s", path);
        if ((r = open_below(s, RELEASES, create, &s->releases, e)) < 0 ||
                        (r = open_below(s, SHARED, create, &s->shared, e)) < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

Store *store_free(Store *s) {
        if (!s)
                return NULL;
        fd_close(s->fd);
        fd_close(s->releases);
        fd_close(s->shared);
        free(s->path);
        free(s);
        return NULL;
}

int store_releases_dirfd(const Store *s) {
        return s->releases;
}

int store_shared_dirfd(const Store *s) {
        return s->shared;
}

char *store_release_path(const Store *s, const char *version) {
        return text_format("%s/%s/%s", s->path, RELEASES, version);
}

/* The version in the target of the link, which may be written as people write it: with the whole path, or a slash at its
 * end. NULL where it is none; owned by the caller. */
static char *version_of_target(const Store *s, char *target) {
        const char *version = target;
        size_t n = strlen(target);

        while (n > 0 && target[n - 1] == '/')
                target[--n] = 0;
        if (startswith(target, s->path) && target[strlen(s->path)] == '/')
                version = target + strlen(s->path) + 1;
        version = startswith(version, RELEASES "/");
        return version && version_is_valid(version) ? strdup(version) : NULL;
}

int store_get_current(Store *s, char **ret, Error *e) {
        _cleanup_free_ char *target = NULL, *version = NULL;
        int r = fs_readlink(s->fd, CURRENT, &target);

        if (r == -ENOENT)
                return error_set(e, ERROR_FAILED, r, "%s/%s is not there: no release is active", s->path,
                                CURRENT);
        if (r == -EINVAL) {
                error_set(e, ERROR_FAILED, -EEXIST, "%s/%s is not a symlink: it is not releasemgr's", s->path,
                                CURRENT);
                return error_hint(e, -EEXIST, "move it away; then releasemgr rollback makes the link anew");
        }
        if (r < 0)
                return error_errno(e, r, "Cannot read the link %s/%s", s->path, CURRENT);
        version = version_of_target(s, target);
        if (!version) {
                error_set(e, ERROR_FAILED, -EUCLEAN, "%s/%s points to %s, which is no release", s->path,
                                CURRENT, target);
                return error_hint(e, -EUCLEAN, "%s", LET_IT_BE_MENDED);
        }
        *ret = TAKE(version);
        return 0;
}

int store_find_current(Store *s, char **ret, Error *e) {
        _cleanup_free_ char *version = NULL;
        int r = store_get_current(s, &version, e);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        if (!store_has(s, version)) {
                error_set(e, ERROR_FAILED, -EUCLEAN, "%s/%s names release %s, which is not on this host",
                                s->path, CURRENT, version);
                return error_hint(e, -EUCLEAN, "%s", LET_IT_BE_MENDED);
        }
        *ret = TAKE(version);
        return 1;
}

static int not_here(const Store *s, const char *version, Error *e) {
        return error_set(e, ERROR_FAILED, -ENOENT, "%s/%s/%s is not a sealed release", s->path, RELEASES,
                        version);
}

int store_set_current(Store *s, const char *version, Error *e) {
        _cleanup_free_ char *target = text_format("%s/%s", RELEASES, version);
        int r;

        if (!target)
                return -ENOMEM;
        if (!store_has(s, version))
                return not_here(s, version, e);
        r = fs_symlink_atomic(s->fd, target, CURRENT);
        return r < 0 ? error_errno(e, r, "Cannot make %s/%s point to %s", s->path, CURRENT, target) : 0;
}

int store_unset_current(Store *s, Error *e) {
        int r = fs_unlink_durable(s->fd, CURRENT);

        return r < 0 && r != -ENOENT ? error_errno(e, r, "Cannot remove %s/%s", s->path, CURRENT) : 0;
}

bool store_has(Store *s, const char *version) {
        _cleanup_free_ char *facts = text_format("%s/%s", version, RELEASE_FACTS);
        struct stat st;

        return facts && version_is_valid(version) &&
               fstatat(s->releases, facts, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISREG(st.st_mode);
}

int store_open_release(Store *s, const char *version, Error *e) {
        int fd;

        if (!store_has(s, version))
                return not_here(s, version, e);
        fd = fs_open_directory(s->releases, version);
        return fd < 0 ? error_errno(e, fd, "Cannot open the directory %s/%s/%s", s->path, RELEASES, version)
                      : fd;
}

int store_load(Store *s, const char *version, ReleaseInfo **ret, Error *e) {
        _cleanup_close_ int fd = store_open_release(s, version, e);
        int r;

        if (fd < 0)
                return fd;
        r = release_info_read(fd, ret, e);
        return r < 0 ? error_prefix(e, r, "%s/%s/%s: ", s->path, RELEASES, version) : 0;
}

static int compare_infos(const void *a, const void *b) {
        const ReleaseInfo *const *x = a, *const *y = b;

        return version_compare((*x)->version, (*y)->version);
}

/* Whether it is not the release that is strange, but this process that is short of something. */
static bool is_shortage(int r) {
        return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EINTR;
}

int store_list(Store *s, ReleaseInfo ***ret, size_t *ret_n, char ***ret_strange, Error *e) {
        _cleanup_strv_ char **names = NULL, **strange = NULL;
        _cleanup_error_ Error error = ERROR_INIT;
        ReleaseInfo **l;
        size_t n = 0;
        int r = fs_list_directory(s->releases, ".", &names);

        if (r < 0)
                return error_errno(e, r, "Cannot list %s/%s", s->path, RELEASES);
        l = calloc(strv_length(names) + 1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        for (char **i = names; r >= 0 && i && *i; i++) {
                if (**i == '.')
                        continue;
                r = store_load(s, *i, &l[n], &error);
                if (r >= 0)
                        n++;
                else if (is_shortage(r))
                        error_move(e, &error);
                else
                        r = strv_add(&strange, *i);
        }
        if (r < 0) {
                release_info_free_many(l, n);
                return r;
        }
        qsort(l, n, sizeof(*l), compare_infos);
        *ret = l;
        *ret_n = n;
        if (ret_strange)
                *ret_strange = TAKE(strange);
        return 0;
}

/* Removes what stands in releases/ under the names of a list. */
typedef struct Removal {
        Store *store;
        char **names;
} Removal;

static int remove_names(Work *w _unused_, void *userdata, Error *e) {
        Removal *removal = userdata;

        for (char **i = removal->names; i && *i; i++) {
                int r = fs_remove_tree(removal->store->releases, *i);

                if (r < 0)
                        return error_errno(
                                        e, r, "Cannot remove %s/%s/%s", removal->store->path, RELEASES, *i);
        }
        return 0;
}

int store_remove(Store *s, const char *version, Error *e) {
        _cleanup_free_ char *hidden = text_format(".removing-%s", version), *current = NULL;
        char *names[] = {hidden, NULL};
        Removal removal = {.store = s, .names = names};
        int r;

        if (!hidden)
                return -ENOMEM;
        if (!version_is_valid(version) || !fs_exists(s->releases, version))
                return not_here(s, version, e);
        r = store_get_current(s, &current, e);
        if (r < 0 && r != -ENOENT && r != -EUCLEAN)
                return r;
        if (streq_ptr(current, version))
                return error_set(e, ERROR_FAILED, -EBUSY, "%s is the current release", version);
        r = work_run(remove_names, &removal, e); /* what a crash left of an earlier try */
        if (r >= 0) {
                r = fs_rename_durable(s->releases, version, s->releases, hidden);
                if (r < 0)
                        return error_errno(e, r, "Cannot rename %s/%s/%s", s->path, RELEASES, version);
                r = work_run(remove_names, &removal, e);
        }
        return r;
}

static bool is_leftover(const char *name, const char *keep) {
        if (keep && startswith(name, keep))
                return false;
        return startswith(name, ".staging-") || startswith(name, ".removing-") || startswith(name, ".#");
}

int store_clean(Store *s, const char *keep_id, Error *e) {
        _cleanup_strv_ char **names = NULL, **leftovers = NULL;
        _cleanup_free_ char *keep = keep_id ? text_format(".staging-%s-", keep_id) : NULL;
        Removal removal = {.store = s};
        int r;

        if (keep_id && !keep)
                return -ENOMEM;
        r = fs_list_directory(s->releases, ".", &names);
        if (r < 0)
                return error_errno(e, r, "Cannot list %s/%s", s->path, RELEASES);
        for (char **i = names; i && *i; i++)
                if (is_leftover(*i, keep) && strv_add(&leftovers, *i) < 0)
                        return -ENOMEM;
        removal.names = leftovers;
        return leftovers ? work_run(remove_names, &removal, e) : 0;
}

int store_get_space(Store *s, uint64_t *ret_bytes, uint64_t *ret_inodes, Error *e) {
        struct statvfs v;

        if (fstatvfs(s->releases, &v) < 0)
                return error_errno(e, -errno, "Cannot see how much is free in %s/%s", s->path, RELEASES);
        *ret_bytes = (uint64_t) v.f_bavail * v.f_frsize;
        *ret_inodes = v.f_files > 0 ? v.f_favail : UINT64_MAX; /* btrfs has no such limit and says 0 */
        return 0;
}
