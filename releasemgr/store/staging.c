#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/version.h"
#include "store/beneath.h"
#include "store/shared.h"
#include "store/staging.h"
#include "store/work.h"

static char *staging_name(const char *id, const char *version) {
        return text_format(".staging-%s-%s", id, version);
}

/* Files of this size at most are hashed at a time. */
#define PIECE (64 * KIB)

typedef struct Removal {
        int dirfd;
        const char *name;
} Removal;

static int remove_staging(Work *w _unused_, void *userdata, Error *e) {
        Removal *removal = userdata;
        int r = fs_remove_tree(removal->dirfd, removal->name);

        return r < 0 ? error_errno(e, r, "Cannot remove the staging directory %s", removal->name) : 0;
}

int staging_discard(Store *s, const char *id, const char *version, Error *e) {
        _cleanup_free_ char *name = staging_name(id, version);
        Removal removal = {.dirfd = store_releases_dirfd(s), .name = name};

        if (!name)
                return -ENOMEM;
        return fs_exists(removal.dirfd, name) ? work_run(remove_staging, &removal, e) : 0;
}

int staging_open(Store *s, const char *id, const char *version, Error *e) {
        _cleanup_free_ char *name = staging_name(id, version);
        int dirfd = store_releases_dirfd(s), r;

        if (!name)
                return -ENOMEM;
        if (!version_is_valid(version))
                return error_set(e, ERROR_USAGE, -EINVAL, "\"%s\" cannot be a version", version);
        if (fs_exists(dirfd, version))
                return error_set(e, ERROR_FAILED, -EEXIST, "The release %s is here already", version);
        r = staging_discard(s, id, version, e);
        if (r < 0)
                return r;
        if (mkdirat(dirfd, name, 0755) < 0)
                return error_errno(e, -errno, "Cannot make the staging directory %s", name);
        r = fs_open_directory(dirfd, name);
        return r < 0 ? error_errno(e, r, "Cannot open the staging directory %s", name) : r;
}

/* A name that store_clean() removes, for the moment in which it has one. */
#define SCRATCH ".#scratch"

int staging_scratch(Store *s, Error *e) {
        int dirfd = store_releases_dirfd(s), fd;

        fd = fd_openat(dirfd, SCRATCH, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return error_errno(e, -errno, "Cannot make the file %s", SCRATCH);
        (void) unlinkat(dirfd, SCRATCH, 0);
        return fd;
}

int staging_is_sealed(Store *s, const char *version) {
        return store_has(s, version);
}

typedef struct Seal {
        Store *store;
        const char *name; /* of the staging directory */
        const BundleInfo *bundle;
        const Digest *bundle_digest;
        char *const *shared;
} Seal;

static int hash_manifest(int dirfd, Digest *ret, Error *e) {
        _cleanup_close_ int fd = beneath_open(dirfd, RELEASE_MANIFEST, O_RDONLY, 0);
        _cleanup_(hasher_free_p) Hasher *hasher = NULL;
        char buffer[PIECE];
        ssize_t n;
        int r;

        if (fd < 0)
                return error_errno(e, fd, "Cannot open %s", RELEASE_MANIFEST);
        r = hasher_new(&hasher);
        do {
                n = fd_read_full(fd, buffer, sizeof(buffer));
                if (n < 0)
                        return error_errno(e, (int) n, "Cannot read %s", RELEASE_MANIFEST);
                r = r < 0 ? r : hasher_add(hasher, buffer, n);
        } while (r >= 0 && n == sizeof(buffer));
        return r < 0 ? r : hasher_finish(hasher, ret);
}

static int write_facts(const Seal *s, int dirfd, char **shared, Error *e) {
        const BundleInfo *b = s->bundle;
        ReleaseInfo info = {
                        .app = b->app,
                        .version = b->version,
                        .commit = b->commit,
                        .tar_length = b->tar_length,
                        .tar_digest = b->tar_digest,
                        .bundle_digest = *s->bundle_digest,
                        .entries = b->entries,
                        .unpacked = b->unpacked,
                        .sealed_usec = clock_now(),
                        .shared = shared,
                        .schema = b->schema,
        };
        int r = hash_manifest(dirfd, &info.manifest_digest, e);

        return r < 0 ? r : release_info_write(dirfd, &info, e);
}

/* The two directories that no entry stands for. */
static int protect(int dirfd, Error *e) {
        if (fchmodat(dirfd, RELEASE_DIRECTORY, 0555, 0) < 0 || fchmod(dirfd, 0555) < 0)
                return error_errno(e, -errno, "Cannot protect the release");
        return 0;
}

/* The one sync. shared/ may be a mount of its own. */
static int sync_all(const Seal *s, int dirfd, Error *e) {
        int shared = store_shared_dirfd(s->store);
        struct stat a, b;

        if (fstat(dirfd, &a) < 0 || fstat(shared, &b) < 0 || syncfs(dirfd) < 0 ||
                        (a.st_dev != b.st_dev && syncfs(shared) < 0))
                return error_errno(e, -errno, "Cannot sync the release %s to the disk", s->bundle->version);
        return 0;
}

static int seal(Work *w _unused_, void *userdata, Error *e) {
        _cleanup_strv_ char **shared = NULL;
        _cleanup_close_ int dirfd = -1;
        Seal *s = userdata;
        int releases = store_releases_dirfd(s->store), r;

        dirfd = fs_open_directory(releases, s->name);
        if (dirfd < 0)
                return error_errno(e, dirfd, "Cannot open the staging directory %s", s->name);
        if ((r = shared_link(dirfd, store_shared_dirfd(s->store), s->shared, &shared, e)) < 0 ||
                        (r = write_facts(s, dirfd, shared, e)) < 0 || (r = protect(dirfd, e)) < 0)
                return r;
        r = sync_all(s, dirfd, e);
        if (r < 0)
                return r;
        if (fs_exists(releases, s->bundle->version))
                return error_set(e, ERROR_FAILED, -EEXIST, "The release %s is here already",
                                s->bundle->version);
        r = fs_rename_durable(releases, s->name, releases, s->bundle->version);
        return r < 0 ? error_errno(e, r, "Cannot give the release %s its name", s->bundle->version) : 0;
}

int staging_seal(Store *s, const char *id, const BundleInfo *bundle, const Digest *bundle_digest,
                char *const *shared, Error *e) {
        _cleanup_free_ char *name = staging_name(id, bundle->version);
        Seal work = {.store = s,
                        .name = name,
                        .bundle = bundle,
                        .bundle_digest = bundle_digest,
                        .shared = shared};
        int r;

        if (!name)
                return -ENOMEM;
        r = work_run(seal, &work, e);
        if ((r == -ENOSPC || r == -EDQUOT) && e)
                e->class = ERROR_REFUSED;
        return r;
}
