#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "store/beneath.h"
#include "store/entry.h"
#include "store/release.h"
#include "store/shared.h"
#include "store/walk.h"

/* The copy under way in shared/, before it gets its name: no half skeleton is ever linked to. */
#define COPYING ".#copying"

static char *without_slash(const char *path) {
        size_t n = strlen(path);

        return strndup(path, n - (n > 1 && path[n - 1] == '/'));
}

const char *shared_path_problem(const char *path) {
        _cleanup_free_ char *plain = without_slash(path);

        return plain ? entry_path_problem(plain) : "cannot be looked at for lack of memory";
}

char *shared_link_target(const char *path) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r = text_adds(&t, "../../"); /* out of VERSION and releases */

        for (const char *p = path; *p && r >= 0; p++)
                if (*p == '/')
                        r = text_adds(&t, "../");
        if (r < 0 || text_addf(&t, "shared/%s", path) < 0)
                return NULL;
        return text_take(&t);
}

static bool is_below(const char *path, const char *top) {
        const char *rest = startswith(path, top);

        return rest && *rest == '/';
}

int shared_relation(char *const *shared, const char *path) {
        int relation = 0;

        for (char *const *i = shared; i && *i; i++) {
                if (streq(path, *i) || is_below(path, *i))
                        return 1;
                if (is_below(*i, path))
                        relation = -1;
        }
        return relation;
}

char *shared_place(char *const *shared, const char *path) {
        return text_format("%s%s", shared_relation(shared, path) > 0 ? RELEASE_SHARED "/" : "", path);
}

/* Makes the directories above @path, as far as they are missing, never through a link: for @owner, or as a release has
 * them. */
static int make_parents(int dirfd, const char *path, const struct stat *owner, Error *e) {
        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                _cleanup_free_ char *parent = strndup(path, slash - path);
                _cleanup_close_ int fd = -1;

                if (!parent)
                        return -ENOMEM;
                fd = beneath_open(dirfd, parent, O_RDONLY | O_DIRECTORY, 0);
                if (fd >= 0)
                        continue;
                if (fd != -ENOENT)
                        return error_errno(e, fd,
                                        "Cannot open the directory %s, in which a Shared= path stands",
                                        parent);
                if (mkdirat(dirfd, parent, owner ? 0755 : 0555) < 0 ||
                                (owner && fchownat(dirfd, parent, owner->st_uid, owner->st_gid,
                                                          AT_SYMLINK_NOFOLLOW) < 0))
                        return error_errno(e, -errno, "Cannot make the directory %s", parent);
        }
        return 0;
}

/* Copies a tree into the directory @to, entry by entry. */
typedef struct Copy {
        int to;
        const struct stat *owner;
} Copy;

static int copy_content(int from, int to, const char *path, Error *e) {
        char buffer[65536];
        ssize_t n;
        int r;

        do {
                n = fd_read_full(from, buffer, sizeof(buffer));
                r = n < 0 ? (int) n : fd_write_all(to, buffer, n);
        } while (r >= 0 && n == sizeof(buffer));
        return r < 0 ? error_errno(e, r, "Cannot copy %s to the shared directory", path) : 0;
}

static int copy_file(
                int dirfd, const char *name, const char *path, const struct stat *st, Copy *c, Error *e) {
        _cleanup_close_ int from = fd_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to = -1;

        if (from < 0)
                return error_errno(e, -errno, "Cannot open %s", path);
        to = fd_openat(c->to, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0 || fchmod(to, st->st_mode & 0100 ? 0755 : 0644) < 0 ||
                        fchown(to, c->owner->st_uid, c->owner->st_gid) < 0)
                return error_errno(e, -errno, "Cannot make %s in the shared directory", path);
        return copy_content(from, to, path, e);
}

static int copy_link(int dirfd, const char *name, const char *path, Copy *c, Error *e) {
        _cleanup_free_ char *target = NULL;
        int r = fs_readlink(dirfd, name, &target);

        if (r >= 0)
                r = symlinkat(target, c->to, path) < 0 ||
                                                    fchownat(c->to, path, c->owner->st_uid, c->owner->st_gid,
                                                                    AT_SYMLINK_NOFOLLOW) < 0
                                    ? -errno
                                    : 0;
        return r < 0 ? error_errno(e, r, "Cannot copy the link %s to the shared directory", path) : 0;
}

static int copy_entry(int dirfd, const char *name, const char *path, const struct stat *st, void *userdata,
                Error *e) {
        Copy *c = userdata;

        if (S_ISREG(st->st_mode))
                return copy_file(dirfd, name, path, st, c, e);
        if (S_ISLNK(st->st_mode))
                return copy_link(dirfd, name, path, c, e);
        if (mkdirat(c->to, path, 0755) < 0 ||
                        fchownat(c->to, path, c->owner->st_uid, c->owner->st_gid, 0) < 0)
                return error_errno(e, -errno, "Cannot make %s in the shared directory", path);
        return 0;
}

/* Makes COPYING what the release has at @kept; a directory where it has nothing. */
static int make_copy(int release_dirfd, const char *kept, Copy *c, int shared_dirfd, Error *e) {
        _cleanup_close_ int from = -1, to = -1;
        struct stat st;

        if (fstatat(release_dirfd, kept, &st, AT_SYMLINK_NOFOLLOW) >= 0 && !S_ISDIR(st.st_mode)) {
                c->to = shared_dirfd;
                return S_ISLNK(st.st_mode) ? copy_link(release_dirfd, kept, COPYING, c, e)
                                           : copy_file(release_dirfd, kept, COPYING, &st, c, e);
        }
        if (mkdirat(shared_dirfd, COPYING, 0755) < 0 ||
                        (to = c->to = fs_open_directory(shared_dirfd, COPYING)) < 0 ||
                        fchown(to, c->owner->st_uid, c->owner->st_gid) < 0)
                return error_errno(e, -errno, "Cannot make a directory in the shared directory");
        from = fs_open_directory(release_dirfd, kept);
        if (from == -ENOENT)
                return 0;
        return from < 0 ? error_errno(e, from, "Cannot open %s", kept)
                        : walk_tree(from, false, copy_entry, c, e);
}

/* Fills shared/@path where nothing is there. */
static int fill(int release_dirfd, int shared_dirfd, const char *path, const char *kept, bool directory,
                Error *e) {
        struct stat owner;
        Copy c = {.owner = &owner};
        int r;

        if (fs_exists(shared_dirfd, path))
                return 0;
        if (!directory && !fs_exists(release_dirfd, kept)) {
                r = error_set(e, ERROR_REFUSED, -ENOENT,
                                "Shared=%s is neither in the release nor in the shared directory", path);
                return error_hint(e, r,
                                "Make shared/%s, or write Shared=%s/ for a directory that may begin empty",
                                path, path);
        }
        if (fstat(shared_dirfd, &owner) < 0)
                return error_errno(e, -errno, "Cannot look at the shared directory");
        r = fs_remove_tree(shared_dirfd, COPYING);
        if (r < 0)
                return error_errno(e, r, "Cannot remove %s from the shared directory", COPYING);
        if ((r = make_parents(shared_dirfd, path, &owner, e)) < 0 ||
                        (r = make_copy(release_dirfd, kept, &c, shared_dirfd, e)) < 0)
                return r;
        if (renameat(shared_dirfd, COPYING, shared_dirfd, path) < 0)
                return error_errno(e, -errno, "Cannot make %s in the shared directory", path);
        return 0;
}

/* One path: moves the bundle's own content away, fills shared/, makes the link. */
static int link_one(int release_dirfd, int shared_dirfd, const char *path, bool directory, Error *e) {
        _cleanup_free_ char *kept = text_format("%s/%s", RELEASE_SHARED, path),
                            *target = shared_link_target(path);
        int r;

        if (!kept || !target)
                return -ENOMEM;
        r = make_parents(release_dirfd, path, NULL, e);
        if (r >= 0 && fs_exists(release_dirfd, path)) {
                r = make_parents(release_dirfd, kept, NULL, e);
                if (r >= 0 && renameat(release_dirfd, path, release_dirfd, kept) < 0)
                        r = error_errno(e, -errno, "Cannot move %s to %s", path, kept);
        }
        if (r >= 0)
                r = fill(release_dirfd, shared_dirfd, path, kept, directory, e);
        if (r >= 0 && symlinkat(target, release_dirfd, path) < 0)
                r = error_errno(e, -errno, "Cannot make the link %s", path);
        return r;
}

/* Good paths, none inside another. */
static int check_paths(char *const *shared, Error *e) {
        for (char *const *i = shared; i && *i; i++) {
                const char *problem = shared_path_problem(*i);

                if (problem)
                        return error_set(e, ERROR_USAGE, -EINVAL, "Shared=%s %s", *i, problem);
                for (char *const *k = shared; *k; k++) {
                        _cleanup_free_ char *a = without_slash(*i), *b = without_slash(*k);

                        if (!a || !b)
                                return -ENOMEM;
                        if (i != k && (streq(a, b) || is_below(a, b)))
                                return error_set(e, ERROR_USAGE, -EINVAL, "Shared=%s lies inside Shared=%s",
                                                *i, *k);
                }
        }
        return 0;
}

int shared_link(int release_dirfd, int shared_dirfd, char *const *shared, char ***ret, Error *e) {
        _cleanup_strv_ char **linked = NULL;
        int r = check_paths(shared, e);

        for (char *const *i = shared; r >= 0 && i && *i; i++) {
                _cleanup_free_ char *path = without_slash(*i);

                if (!path || strv_add(&linked, path) < 0)
                        return -ENOMEM;
                r = link_one(release_dirfd, shared_dirfd, path, endswith(*i, "/"), e);
        }
        if (r < 0)
                return r;
        if (linked)
                strv_sort(linked);
        *ret = TAKE(linked);
        return 0;
}
