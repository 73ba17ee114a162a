#include <errno.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "store/beneath.h"
#include "store/blocks.h"
#include "store/compress.h"
#include "store/links.h"
#include "store/pack.h"
#include "store/tarstream.h"
#include "store/walk.h"

/* How much is read, hashed and compressed at a time. */
#define PIECE BLOCK_SIZE

struct Pack {
        char *path;
        int fd;
        Text manifest; /* while walking */
        Links *links;
        TarStream *stream;
        bool described;
        Digest digest;
};

static int refuse(Error *e, const char *path, const char *why) {
        return error_set(e, ERROR_FAILED, -EINVAL, "Cannot publish %s: it %s", path, why);
}

/* Whether tar would lose an extended attribute that somebody put on the file. What the system itself puts there
 * (SELinux, IMA) does not count. */
static const char *find_lost_attribute(const char *names, ssize_t size) {
        static const char *const lost[] = {"user.", "security.capability", "system.posix_acl_", "trusted."};

        for (const char *p = names; p < names + size; p += strlen(p) + 1)
                for (size_t i = 0; i < ELEMENTS_OF(lost); i++)
                        if (startswith(p, lost[i]))
                                return p;
        return NULL;
}

static int check_attributes(int fd, const char *path, Error *e) {
        char names[4096];
        ssize_t n = flistxattr(fd, names, sizeof(names));
        const char *lost;
        int r;

        if (n < 0 && errno != ENOTSUP)
                return error_errno(e, -errno, "Cannot read the extended attributes of %s", path);
        lost = find_lost_attribute(names, n);
        if (!lost)
                return 0;
        r = error_set(e, ERROR_FAILED, -EINVAL,
                        "Cannot publish %s: it has the extended attribute %s, which a bundle does not carry",
                        path, lost);
        return error_hint(e, r,
                        "Remove it with setfattr -x; a service gets capabilities from AmbientCapabilities= "
                        "in its unit");
}

/* Size and SHA-256 of a file's content. */
static int hash_file(int dirfd, const char *name, Entry *entry, Error *e) {
        _cleanup_(hasher_free_p) Hasher *hasher = NULL;
        _cleanup_free_ char *buffer = malloc(PIECE);
        _cleanup_close_ int fd = -1;
        ssize_t n = PIECE;
        int r;

        if (!buffer || hasher_new(&hasher) < 0)
                return -ENOMEM;
        fd = fd_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_errno(e, -errno, "Cannot open %s", entry->path);
        r = check_attributes(fd, entry->path, e);
        if (r < 0)
                return r;
        while (n == PIECE) {
                n = fd_read_full(fd, buffer, PIECE);
                if (n < 0)
                        return error_errno(e, (int) n, "Cannot read %s", entry->path);
                entry->size += n;
                r = hasher_add(hasher, buffer, n);
                if (r < 0)
                        return r;
        }
        return hasher_finish(hasher, &entry->digest);
}

/* A file under its first name is hashed; further names of the same inode are hard links to it. */
static int read_file(Pack *p, int dirfd, const char *name, const struct stat *st, Entry *entry, Error *e) {
        const Entry *first;
        int r;

        if (st->st_mode & (S_ISUID | S_ISGID))
                return refuse(e, entry->path,
                                "has the set-user-ID or set-group-ID bit, which no release needs");
        entry->executable = st->st_mode & 0111;
        first = st->st_nlink > 1 ? links_find(p->links, st) : NULL;
        if (first) {
                entry->type = ENTRY_HARDLINK;
                entry->size = first->size;
                entry->digest = first->digest;
                entry->link = strdup(first->path);
                return entry->link ? 0 : -ENOMEM;
        }
        entry->type = ENTRY_FILE;
        r = hash_file(dirfd, name, entry, e);
        return r < 0 || st->st_nlink <= 1 ? r : links_add(p->links, st, entry);
}

static int read_symlink(int dirfd, const char *name, Entry *entry, Error *e) {
        const char *problem;
        int r;

        entry->type = ENTRY_SYMLINK;
        r = fs_readlink(dirfd, name, &entry->link);
        if (r < 0)
                return error_errno(e, r, "Cannot read the link %s", entry->path);
        problem = entry_link_problem(entry->path, entry->link);
        if (!problem)
                return 0;
        r = error_set(e, ERROR_FAILED, -EINVAL, "Cannot publish the link %s -> %s: it %s", entry->path,
                        entry->link, problem);
        return error_hint(e, r,
                        "Point it to something inside the tree by a relative path, or name the path in "
                        "Shared=");
}

static int read_directory(int dirfd, const char *name, Entry *entry, Error *e) {
        _cleanup_close_ int fd = fd_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        entry->type = ENTRY_DIRECTORY;
        if (fd < 0)
                return error_errno(e, -errno, "Cannot open the directory %s", entry->path);
        return check_attributes(fd, entry->path, e);
}

static int visit(int dirfd, const char *name, const char *path, const struct stat *st, void *userdata,
                Error *e) {
        _cleanup_entry_ Entry entry = {.path = strdup(path)};
        const char *problem = entry_path_problem(path);
        Pack *p = userdata;
        int r;

        if (!entry.path)
                return -ENOMEM;
        if (problem)
                return refuse(e, path, problem);
        if (S_ISREG(st->st_mode))
                r = read_file(p, dirfd, name, st, &entry, e);
        else if (S_ISDIR(st->st_mode))
                r = read_directory(dirfd, name, &entry, e);
        else if (S_ISLNK(st->st_mode))
                r = read_symlink(dirfd, name, &entry, e);
        else
                r = refuse(e, path, "is a socket, a pipe or a device");
        return r < 0 ? r : manifest_add(&p->manifest, &entry);
}

/* The manifest as a file that has no name, for the tar stream to read. */
static int manifest_to_file(const Text *t, Error *e) {
        _cleanup_close_ int fd = memfd_create("manifest", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return error_errno(e, -errno, "Cannot make a temporary file");
        r = fd_write_all(fd, t->data, t->size);
        return r < 0 ? error_errno(e, r, "Cannot write the manifest") : TAKE_FD(fd);
}

static int pack_walk(Pack *p, Error *e) {
        int r;

        r = text_adds(&p->manifest, MANIFEST_HEADER);
        if (r >= 0)
                r = links_new(&p->links);
        if (r >= 0)
                r = walk_tree(p->fd, false, visit, p, e);
        if (r < 0)
                return r;
        p->links = links_free(p->links);
        r = manifest_to_file(&p->manifest, e);
        text_clear(&p->manifest);
        return r < 0 ? r : tar_stream_new(p->fd, r, NULL, &p->stream, e);
}

int pack_new(const char *path, Pack **ret, Error *e) {
        _cleanup_(pack_free_p) Pack *p = NULL;
        int r;

        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->path = strdup(path);
        p->fd = fs_open_directory(AT_FDCWD, path);
        if (p->fd < 0)
                return error_errno(e, p->fd, "Cannot open the directory %s", path);
        if (!p->path)
                return -ENOMEM;
        r = pack_walk(p, e);
        if (r < 0)
                return r;
        if (tar_stream_entries(p->stream) == 0)
                return error_set(e, ERROR_FAILED, -EINVAL, "Cannot publish %s: it is empty", path);
        *ret = TAKE(p);
        return 0;
}

/* What pack_stream() does with each piece of the tar stream. */
typedef int (*PieceHandler)(const void *data, size_t size, bool last, void *userdata, Error *e);

static int pack_stream(Pack *p, PieceHandler handler, void *userdata, Error *e) {
        _cleanup_(hasher_free_p) Hasher *hasher = NULL;
        _cleanup_free_ char *buffer = malloc(PIECE);
        uint64_t length = tar_stream_length(p->stream);
        Digest digest;
        int r;

        if (!buffer || hasher_new(&hasher) < 0)
                return -ENOMEM;
        for (uint64_t offset = 0; offset < length; offset += PIECE) {
                size_t n = MIN_OF(PIECE, length - offset);

                r = tar_stream_read(p->stream, offset, buffer, n, e);
                if (r == -ESTALE)
                        return error_prefix(e, r, "The tree changed while it was packed: ");
                if (r < 0 || (r = hasher_add(hasher, buffer, n)) < 0 ||
                                (handler && (r = handler(buffer, n, offset + n == length, userdata, e)) < 0))
                        return r;
        }
        r = hasher_finish(hasher, &digest);
        if (r < 0)
                return r;
        if (p->described && !digest_equal(&digest, &p->digest))
                return error_set(e, ERROR_FAILED, -ESTALE, "A file below %s changed while it was packed",
                                p->path);
        p->digest = digest;
        p->described = true;
        return 0;
}

int pack_describe(Pack *p, BundleInfo *info, Error *e) {
        int r = p->described ? 0 : pack_stream(p, NULL, NULL, e);

        if (r < 0)
                return r;
        info->tar_length = tar_stream_length(p->stream);
        info->tar_digest = p->digest;
        info->entries = tar_stream_entries(p->stream);
        info->unpacked = tar_stream_unpacked(p->stream);
        return 0;
}

static int on_piece(const void *data, size_t size, bool last, void *userdata, Error *e) {
        return compressor_add(userdata, data, size, last, e);
}

int pack_write(Pack *p, int dirfd, const char *bundle, const char *blocks, Error *e) {
        _cleanup_(compressor_free_p) Compressor *c = NULL;
        int r;

        r = compressor_new(dirfd, bundle, &c, e);
        if (r < 0)
                return r;
        r = pack_stream(p, on_piece, c, e);
        return r < 0 ? r : compressor_finish(c, blocks, e);
}

Pack *pack_free(Pack *p) {
        if (!p)
                return NULL;
        tar_stream_free(p->stream);
        links_free(p->links);
        text_clear(&p->manifest);
        fd_close(p->fd);
        free(p->path);
        free(p);
        return NULL;
}
