#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/copy.h"
#include "store/make.h"
#include "store/manifest.h"
#include "store/release.h"
#include "store/shared.h"
#include "store/tarstream.h"
#include "store/work.h"

#define PIECE ((size_t) 128 * KIB)

/* What the kernel copies at a time, before it is asked whether to go on. */
#define KERNEL_PIECE ((size_t) 64 * MIB)

typedef struct Copy {
        int staging_dirfd, old_dirfd;
        const BundleInfo *expected;
        Work *work;
        ReleaseInfo *old;
        BeneathParent parent; /* in the old release */
        Make make;            /* in the new one */
        char *buffer;
} Copy;

static int damaged(const Copy *c, const char *path, Error *e) {
        return error_set(e, ERROR_FAILED, -ESTALE, "%s of the release %s is not as it was sealed", path,
                        c->old->version);
}

/* By reading and writing, where the kernel cannot do it by itself. */
static int copy_pieces(const Copy *c, int from, int to) {
        ssize_t n = PIECE;
        int r = 0;

        while (n == (ssize_t) PIECE && r >= 0) {
                n = fd_read_full(from, c->buffer, PIECE);
                r = n < 0 ? (int) n : fd_write_all(to, c->buffer, n);
        }
        return r;
}

/* Everything in @from, which is read from its beginning, to the empty file @to. */
static int copy_content(const Copy *c, int from, int to) {
        ssize_t n = 1;
        bool begun = false;

        if (ioctl(to, FICLONE, from) == 0)
                return 0;
        while (n > 0 && !work_is_cancelled(c->work)) {
                n = copy_file_range(from, NULL, to, NULL, KERNEL_PIECE, 0);
                if (n < 0 && !begun && errno != ENOSPC && errno != EDQUOT)
                        return copy_pieces(c, from, to);
                begun = true;
        }
        return n < 0 ? -errno : n > 0 ? -ECANCELED : 0;
}

static int open_old(Copy *c, const Entry *entry, const char *place, Error *e) {
        const char *name;
        struct stat st;
        int parent = beneath_parent(&c->parent, place, &name), fd;

        fd = parent < 0 ? parent : beneath_open(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
                return error_errno(e, fd, "Cannot open %s", place);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t) st.st_size != entry->size) {
                fd_close(fd);
                return damaged(c, entry->path, e);
        }
        return fd;
}

/* @place: where a file's content stands in the old release. */
static int copy_entry(Copy *c, const Entry *entry, const char *place, Error *e) {
        _cleanup_close_ int from = -1, to = -1;
        int r = make_entry(&c->make, entry, &to, e);

        if (r < 0 || to < 0)
                return r == -EBADMSG ? damaged(c, entry->path, e) : r;
        from = open_old(c, entry, place, e);
        if (from < 0)
                return from;
        r = copy_content(c, from, to);
        return r < 0 && r != -ECANCELED ? make_failed(e, r, entry->path) : r;
}

static int copy_manifest(Copy *c, Manifest **ret, Error *e) {
        Entry entry = {.type = ENTRY_FILE, .path = (char *) RELEASE_MANIFEST};
        struct stat st;
        int r, fd;

        if (mkdirat(c->staging_dirfd, RELEASE_DIRECTORY, 0755) < 0)
                return make_failed(e, -errno, RELEASE_DIRECTORY);
        fd = beneath_open(c->old_dirfd, RELEASE_MANIFEST, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0 || fstat(fd, &st) < 0) {
                fd_close(fd);
                return damaged(c, RELEASE_MANIFEST, e);
        }
        entry.size = (uint64_t) st.st_size;
        r = copy_entry(c, &entry, RELEASE_MANIFEST, e);
        if (r < 0) {
                fd_close(fd);
                return r;
        }
        r = manifest_new(fd, ret, e);
        return r == -EBADMSG ? damaged(c, RELEASE_MANIFEST, e) : r;
}

static int copy_tree(Copy *c, Error *e) {
        _cleanup_(manifest_free_p) Manifest *m = NULL;
        _cleanup_entry_ Entry entry = ENTRY_INIT;
        int r = copy_manifest(c, &m, e);

        while (r >= 0 && (r = manifest_next(m, &entry, e)) > 0) {
                _cleanup_free_ char *place = shared_place(c->old->shared, entry.path);

                r = !place                       ? -ENOMEM
                    : work_is_cancelled(c->work) ? -ECANCELED
                                                 : copy_entry(c, &entry, place, e);
        }
        return r == -EBADMSG ? damaged(c, RELEASE_MANIFEST, e) : r;
}

/* Reads the copy as the stream that it must be. */
static int hash_copy(Copy *c, TarStream *stream, Digest *ret, Error *e) {
        _cleanup_(hasher_free_p) Hasher *hasher = NULL;
        uint64_t length = tar_stream_length(stream);
        int r = hasher_new(&hasher);

        for (uint64_t at = 0; at < length && r >= 0; at += PIECE) {
                size_t n = MIN_OF(PIECE, length - at);

                if (work_is_cancelled(c->work))
                        return -ECANCELED;
                r = tar_stream_read(stream, at, c->buffer, n, e);
                if (r >= 0)
                        r = hasher_add(hasher, c->buffer, n);
        }
        return r < 0 ? r : hasher_finish(hasher, ret);
}

static int check_copy(Copy *c, Error *e) {
        _cleanup_(tar_stream_free_p) TarStream *stream = NULL;
        const BundleInfo *b = c->expected;
        Digest digest;
        int r, fd = beneath_open(c->staging_dirfd, RELEASE_MANIFEST, O_RDONLY | O_NOFOLLOW, 0);

        if (fd < 0)
                return error_errno(e, fd, "Cannot open %s", RELEASE_MANIFEST);
        r = tar_stream_new(c->staging_dirfd, fd, NULL, &stream, e);
        if (r >= 0 && (tar_stream_length(stream) != b->tar_length ||
                                      tar_stream_entries(stream) != b->entries ||
                                      tar_stream_unpacked(stream) != b->unpacked))
                return damaged(c, RELEASE_MANIFEST, e);
        if (r >= 0)
                r = hash_copy(c, stream, &digest, e);
        if (r < 0)
                return r;
        return digest_equal(&digest, &b->tar_digest) ? 0 : damaged(c, "A file", e);
}

static int run(Work *w, void *userdata, Error *e) {
        Copy *c = userdata;
        int r = release_info_read(c->old_dirfd, &c->old, e);

        c->work = w;
        if (r >= 0)
                r = copy_tree(c, e);
        return r < 0 ? r : check_copy(c, e);
}

int copy_release(int staging_dirfd, const BundleInfo *expected, int old_dirfd, Error *e) {
        _cleanup_free_ char *buffer = malloc(PIECE);
        Copy c = {.staging_dirfd = staging_dirfd,
                        .old_dirfd = old_dirfd,
                        .expected = expected,
                        .parent = BENEATH_PARENT_INIT(old_dirfd),
                        .make = MAKE_INIT(staging_dirfd),
                        .buffer = buffer};
        int r = buffer ? work_run(run, &c, e) : -ENOMEM;

        make_clear(&c.make);
        beneath_parent_clear(&c.parent);
        release_info_free(c.old);
        return r;
}
