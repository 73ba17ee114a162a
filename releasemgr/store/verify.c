#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "store/beneath.h"
#include "store/manifest.h"
#include "store/shared.h"
#include "store/verify.h"
#include "store/walk.h"
#include "store/work.h"

#define PIECE ((size_t) 128 * KIB)

typedef struct Verify {
        int dirfd;
        Work *work;
        ReleaseInfo *info;
        VerifyReport *report;
        Hasher *hasher;
        char *buffer;
        uid_t owner;

        /* While looking for what was added: the next line of the manifest. */
        Manifest *manifest;
        Entry line;
        bool below_shared; /* the walk is in .releasemgr/shared */
} Verify;

static int add_finding(Verify *v, VerifyKind kind, const char *path, char *detail) {
        VerifyReport *r = v->report;
        VerifyFinding *grown = reallocarray(r->findings, r->n + 1, sizeof(*grown));

        if (grown)
                r->findings = grown;
        if (!grown || !(grown[r->n].path = strdup(path))) {
                free(detail);
                return -ENOMEM;
        }
        grown[r->n].kind = kind;
        grown[r->n].detail = detail;
        r->n++;
        return 0;
}

static int changed(Verify *v, const char *path, char *detail) {
        return detail ? add_finding(v, VERIFY_CHANGED, path, detail) : -ENOMEM;
}

static int hash_file(Verify *v, int parent, const char *name, const char *path, Digest *ret, Error *e) {
        _cleanup_close_ int fd = fd_openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        ssize_t n = PIECE;
        int r = 0;

        if (fd < 0)
                return error_errno(e, -errno, "Cannot open %s", path);
        while (n == (ssize_t) PIECE && r >= 0) {
                if (work_is_cancelled(v->work))
                        return -ECANCELED;
                n = fd_read_full(fd, v->buffer, PIECE);
                if (n < 0)
                        return error_errno(e, (int) n, "Cannot read %s", path);
                v->report->bytes += n;
                r = hasher_add(v->hasher, v->buffer, n);
        }
        return r < 0 ? r : hasher_finish(v->hasher, ret);
}

static int check_content(
                Verify *v, int parent, const char *name, const Entry *line, const struct stat *st, Error *e) {
        Digest digest;
        int r;

        if ((uint64_t) st->st_size != line->size)
                return changed(v, line->path,
                                text_format("has %llu bytes, should have %llu",
                                                (unsigned long long) st->st_size,
                                                (unsigned long long) line->size));
        r = hash_file(v, parent, name, line->path, &digest, e);
        if (r < 0 || digest_equal(&digest, &line->digest))
                return r;
        return changed(v, line->path, strdup("has another content"));
}

static int check_symlink(
                Verify *v, int parent, const char *name, const char *path, const char *should, Error *e) {
        _cleanup_free_ char *target = NULL;
        int r = fs_readlink(parent, name, &target);

        if (r < 0)
                return error_errno(e, r, "Cannot read the link %s", path);
        return streq(target, should) ? 0
                                     : changed(v, path,
                                                       text_format("points to %s, should point to %s", target,
                                                                       should));
}

/* A hard link must be the same file as its first name, whose content was looked at there. */
static int check_hardlink(
                Verify *v, int parent, const char *name, const Entry *line, const struct stat *st, Error *e) {
        _cleanup_free_ char *first = shared_place(v->info->shared, line->link);
        BeneathParent p = BENEATH_PARENT_INIT(v->dirfd);
        struct stat other;
        const char *first_name;
        bool there;
        int first_parent;

        if (!first)
                return -ENOMEM;
        first_parent = beneath_parent(&p, first, &first_name);
        there = first_parent >= 0 && fstatat(first_parent, first_name, &other, AT_SYMLINK_NOFOLLOW) >= 0;
        beneath_parent_clear(&p);
        if (!there)
                return check_content(v, parent, name, line, st, e);
        if (other.st_ino == st->st_ino)
                return 0;
        return changed(v, line->path, text_format("is no longer the same file as %s", line->link));
}

static int check_entry(Verify *v, int parent, const char *name, const Entry *line, Error *e) {
        static const mode_t types[] = {[ENTRY_FILE] = S_IFREG,
                        [ENTRY_HARDLINK] = S_IFREG,
                        [ENTRY_DIRECTORY] = S_IFDIR,
                        [ENTRY_SYMLINK] = S_IFLNK};
        mode_t mode = line->type == ENTRY_DIRECTORY || line->executable ? 0555 : 0444;
        struct stat st;

        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? add_finding(v, VERIFY_MISSING, line->path, NULL)
                                       : error_errno(e, -errno, "Cannot look at %s", line->path);
        v->report->files++;
        if ((st.st_mode & S_IFMT) != types[line->type])
                return changed(v, line->path,
                                text_format("is no %s any more", entry_type_to_string(line->type)));
        if (st.st_uid != v->owner)
                return changed(v, line->path,
                                text_format("belongs to user %u, should belong to %u", st.st_uid, v->owner));
        if (line->type == ENTRY_SYMLINK)
                return check_symlink(v, parent, name, line->path, line->link, e);
        if ((st.st_mode & 07777) != mode)
                return changed(v, line->path,
                                text_format("has mode %04o, should have %04o", st.st_mode & 07777, mode));
        if (line->type == ENTRY_HARDLINK)
                return check_hardlink(v, parent, name, line, &st, e);
        return line->type == ENTRY_FILE ? check_content(v, parent, name, line, &st, e) : 0;
}

static int open_manifest(Verify *v, Manifest **ret, Error *e) {
        int fd = beneath_open(v->dirfd, RELEASE_MANIFEST, O_RDONLY | O_NOFOLLOW, 0);

        return fd < 0 ? error_errno(e, fd, "Cannot open %s", RELEASE_MANIFEST) : manifest_new(fd, ret, e);
}

/* Everything that the manifest names: is it there, and as it should be? */
static int check_named(Verify *v, Error *e) {
        _cleanup_(manifest_free_p) Manifest *m = NULL;
        BeneathParent p = BENEATH_PARENT_INIT(v->dirfd);
        _cleanup_entry_ Entry line = ENTRY_INIT;
        int r = open_manifest(v, &m, e);

        while (r >= 0 && (r = manifest_next(m, &line, e)) > 0) {
                _cleanup_free_ char *place = shared_place(v->info->shared, line.path);
                const char *name;
                int parent = place ? beneath_parent(&p, place, &name) : -ENOMEM;

                if (work_is_cancelled(v->work))
                        r = -ECANCELED;
                else if (parent == -ENOENT || parent == -ENOTDIR || parent == -ELOOP)
                        r = add_finding(v, VERIFY_MISSING, line.path, NULL);
                else if (parent < 0)
                        r = error_errno(e, parent, "Cannot open the directory of %s", line.path);
                else
                        r = check_entry(v, parent, name, &line, e);
        }
        beneath_parent_clear(&p);
        return r;
}

/* Whether the manifest names @path; called with paths in order. */
static int is_named(Verify *v, const char *path, Error *e) {
        int r = 1;

        while (v->line.path && strcmp(v->line.path, path) < 0 && r > 0)
                r = manifest_next(v->manifest, &v->line, e);
        if (r < 0)
                return r;
        return v->line.path && streq(v->line.path, path);
}

static int visit(int dirfd, const char *name, const char *path, const struct stat *st, void *userdata,
                Error *e) {
        _cleanup_free_ char *target = NULL, *kept = NULL;
        Verify *v = userdata;
        int named = is_named(v, path, e), relation = shared_relation(v->info->shared, path);

        if (named < 0)
                return named;
        if (relation < 0 && S_ISDIR(st->st_mode))
                return 0; /* on the way to a shared path: made by us if not by the bundle */
        if (v->below_shared) {
                kept = text_format("%s/%s", RELEASE_SHARED, path);
                return !kept ? -ENOMEM : named && relation > 0 ? 0 : add_finding(v, VERIFY_ADDED, kept, NULL);
        }
        if (relation == 0)
                return named ? 0 : add_finding(v, VERIFY_ADDED, path, NULL);
        if (!strv_contains(v->info->shared, path))
                return add_finding(v, VERIFY_ADDED, path, NULL);
        if (!S_ISLNK(st->st_mode))
                return changed(v, path, strdup("is no link to the shared directory any more"));
        target = shared_link_target(path);
        return target ? check_symlink(v, dirfd, name, path, target, e) : -ENOMEM;
}

/* Everything that is there: does the manifest name it? */
static int check_added(Verify *v, const char *top, Error *e) {
        _cleanup_close_ int fd = fs_open_directory(v->dirfd, top);
        int r;

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return error_errno(e, fd, "Cannot open the directory %s", top);
        v->below_shared = streq(top, RELEASE_SHARED);
        r = open_manifest(v, &v->manifest, e);
        if (r >= 0)
                r = manifest_next(v->manifest, &v->line, e);
        if (r >= 0)
                r = walk_tree(fd, !v->below_shared, visit, v, e);
        v->manifest = manifest_free(v->manifest);
        entry_clear(&v->line);
        return r;
}

/* What stands in .releasemgr besides the content of shared/, and whether the manifest is the one that was sealed. */
static int check_own(Verify *v, Error *e) {
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int fd = -1;
        Digest digest;
        int r = fs_list_directory(v->dirfd, RELEASE_DIRECTORY, &names);

        if (r < 0)
                return error_errno(e, r, "Cannot list %s", RELEASE_DIRECTORY);
        for (char **i = names; r >= 0 && i && *i; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", RELEASE_DIRECTORY, *i);

                if (!path)
                        return -ENOMEM;
                if (!streq(path, RELEASE_MANIFEST) && !streq(path, RELEASE_FACTS) &&
                                !streq(path, RELEASE_SHARED))
                        r = add_finding(v, VERIFY_ADDED, path, NULL);
        }
        if (r < 0)
                return r;
        fd = beneath_open(v->dirfd, RELEASE_DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return error_errno(e, fd, "Cannot open %s", RELEASE_DIRECTORY);
        r = hash_file(v, fd, strrchr(RELEASE_MANIFEST, '/') + 1, RELEASE_MANIFEST, &digest, e);
        if (r < 0 || digest_equal(&digest, &v->info->manifest_digest))
                return r;
        return changed(v, RELEASE_MANIFEST, strdup("has another content than when the release was sealed"));
}

static int check_links_there(Verify *v) {
        for (char **i = v->info->shared; i && *i; i++) {
                int r = fs_exists(v->dirfd, *i) ? 0 : add_finding(v, VERIFY_MISSING, *i, NULL);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int compare_findings(const void *a, const void *b) {
        const VerifyFinding *x = a, *y = b;

        return strcmp(x->path, y->path);
}

static int verify(Work *w, void *userdata, Error *e) {
        Verify *v = userdata;
        struct stat st;
        int r;

        v->work = w;
        if (fstat(v->dirfd, &st) < 0)
                return error_errno(e, -errno, "Cannot look at the release");
        v->owner = st.st_uid;
        if ((r = release_info_read(v->dirfd, &v->info, e)) < 0 || (r = check_own(v, e)) < 0 ||
                        (r = check_named(v, e)) < 0 || (r = check_links_there(v)) < 0 ||
                        (r = check_added(v, ".", e)) < 0 || (r = check_added(v, RELEASE_SHARED, e)) < 0)
                return r;
        if (v->report->n > 0)
                qsort(v->report->findings, v->report->n, sizeof(VerifyFinding), compare_findings);
        return v->report->n == 0;
}

int verify_release(int dirfd, VerifyReport **ret, Error *e) {
        _cleanup_(verify_report_free_p) VerifyReport *report = calloc(1, sizeof(*report));
        _cleanup_(hasher_free_p) Hasher *hasher = NULL;
        _cleanup_free_ char *buffer = malloc(PIECE);
        Verify v = {.dirfd = dirfd, .report = report, .buffer = buffer};
        int r;

        if (!report || !buffer || hasher_new(&hasher) < 0)
                return -ENOMEM;
        v.hasher = hasher;
        r = work_run(verify, &v, e);
        release_info_free(v.info);
        if (r < 0)
                return r;
        *ret = TAKE(report);
        return r;
}

VerifyReport *verify_report_free(VerifyReport *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n; i++) {
                free(r->findings[i].path);
                free(r->findings[i].detail);
        }
        free(r->findings);
        free(r);
        return NULL;
}

const char *verify_kind_to_string(VerifyKind kind) {
        static const char *const names[] = {"changed", "missing", "added"};

        return names[kind];
}
