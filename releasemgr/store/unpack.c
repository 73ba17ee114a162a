#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "store/beneath.h"
#include "store/make.h"
#include "store/manifest.h"
#include "store/release.h"
#include "store/tar.h"
#include "store/unpack.h"

/* No header is parsed: the manifest, which comes first, says what every other byte of the stream must be that is not
 * content. */

typedef struct Unpack {
        int dirfd;
        const BundleInfo *expected;
        UnpackSource source;
        void *userdata;
        const char *data; /* of the piece that came last, @left bytes not yet taken */
        size_t left;
        Text header; /* of the entry under way */
        Manifest *manifest;
        Make make;
        uint64_t entries;
        uint64_t unpacked;
} Unpack;

static const char zeroes[TAR_END];

static int untrusted(Error *e, const char *path, const char *problem) {
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The bundle's entry \"%s\" %s", path, problem);
}

/* Sees to it that bytes are left: 1, or 0 where the stream has ended. */
static int fill(Unpack *u) {
        const void *data;
        size_t size;
        int r;

        while (u->left == 0) {
                r = u->source(u->userdata, &data, &size);
                if (r <= 0)
                        return r;
                u->data = data;
                u->left = size;
        }
        return 1;
}

static void step(Unpack *u, size_t size) {
        u->data += size;
        u->left -= size;
}

/* Steps over @size bytes which must be those at @bytes: 1, or 0 where they are others. */
static int take(Unpack *u, const char *bytes, size_t size) {
        int r = 1;

        for (size_t n; size > 0 && (r = fill(u)) > 0; size -= n, bytes += n) {
                n = MIN_OF(size, u->left);
                if (memcmp(u->data, bytes, n) != 0)
                        return 0;
                step(u, n);
        }
        return r;
}

static int check_limits(Unpack *u, const Entry *entry, Error *e) {
        u->entries++;
        if (entry->type == ENTRY_FILE && entry->size > u->expected->unpacked - u->unpacked)
                return untrusted(e, entry->path, "exceeds the size that was signed");
        if (u->entries > u->expected->entries)
                return untrusted(e, entry->path, "is one more than were signed");
        u->unpacked += entry->type == ENTRY_FILE ? entry->size : 0;
        return 0;
}

/* So much of a file is sent to the disk while the rest comes, so that less is left for the sync at the end. Small files
 * are left for it: there it takes many with one transfer. */
#define WRITE_BEHIND (256 * KIB)

/* Writes the @size bytes that follow into @fd, and steps over the zeroes behind them. */
static int write_content(Unpack *u, int fd, const char *path, uint64_t size, Error *e) {
        uint64_t done = 0, sent = 0;
        int r = 1;

        while (done < size && (r = fill(u)) > 0) {
                size_t n = MIN_OF(size - done, (uint64_t) u->left);
                int written = fd_write_all(fd, u->data, n);

                if (written < 0)
                        return make_failed(e, written, path);
                step(u, n);
                done += n;
                if (done - sent < WRITE_BEHIND)
                        continue;
                (void) sync_file_range(fd, sent, done - sent, SYNC_FILE_RANGE_WRITE);
                sent = done;
        }
        if (r > 0)
                r = take(u, zeroes, tar_padding(size));
        return r != 0 ? MIN_OF(r, 0) : untrusted(e, path, "is shorter or longer than the manifest says");
}

static int place_entry(Unpack *u, const Entry *entry, Error *e) {
        _cleanup_close_ int fd = -1;
        int r = make_entry(&u->make, entry, &fd, e);

        return r < 0 || fd < 0 ? r : write_content(u, fd, entry->path, entry->size, e);
}

static int unpack_entry(Unpack *u, const Entry *entry, Error *e) {
        int r;

        u->header.size = 0;
        r = tar_add_header(&u->header, entry);
        if (r < 0 || (r = take(u, u->header.data, u->header.size)) < 0)
                return r;
        if (r == 0)
                return untrusted(e, entry->path, "is not in the tar stream as the manifest describes it");
        r = check_limits(u, entry, e);
        return r < 0 ? r : place_entry(u, entry, e);
}

/* The header that the stream begins with. It must be that of a manifest, of whatever size it says. */
static int take_manifest_header(Unpack *u, Entry *entry, Error *e) {
        char header[TAR_BLOCK];
        int r = 1;

        for (size_t done = 0, n; done < TAR_BLOCK && (r = fill(u)) > 0; done += n) {
                n = MIN_OF(TAR_BLOCK - done, u->left);
                memcpy(header + done, u->data, n);
                step(u, n);
        }
        if (r < 0)
                return r;
        entry->size = r > 0 ? tar_header_size(header) : 0;
        if (tar_add_header(&u->header, entry) < 0)
                return -ENOMEM;
        if (r == 0 || u->header.size != TAR_BLOCK || memcmp(header, u->header.data, TAR_BLOCK) != 0)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The bundle does not begin with its manifest, so releasemgr has not made it");
        if (entry->size > u->expected->tar_length)
                return untrusted(e, entry->path, "exceeds the size that was signed");
        return 0;
}

/* The first entry: the manifest, into .releasemgr, which no entry stands for. */
static int unpack_manifest(Unpack *u, Error *e) {
        Entry entry = {.type = ENTRY_FILE, .path = (char *) RELEASE_MANIFEST};
        int fd, r = take_manifest_header(u, &entry, e);

        if (r < 0)
                return r;
        if (mkdirat(u->dirfd, RELEASE_DIRECTORY, 0755) < 0)
                return make_failed(e, -errno, RELEASE_DIRECTORY);
        r = place_entry(u, &entry, e);
        if (r < 0)
                return r;
        fd = beneath_open(u->dirfd, RELEASE_MANIFEST, O_RDONLY, 0);
        if (fd < 0)
                return error_errno(e, fd, "Cannot open %s", RELEASE_MANIFEST);
        return manifest_new(fd, &u->manifest, e);
}

/* Behind the last entry. */
static int check_end(Unpack *u, Error *e) {
        int r;

        if (u->entries != u->expected->entries || u->unpacked != u->expected->unpacked)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The bundle holds less than was signed");
        r = take(u, zeroes, TAR_END);
        if (r > 0)
                r = fill(u) == 0;
        if (r == 0)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The tar stream does not end behind the manifest's last entry");
        return MIN_OF(r, 0);
}

static int unpack_all(Unpack *u, Error *e) {
        _cleanup_entry_ Entry entry = ENTRY_INIT;
        int r = unpack_manifest(u, e);

        while (r >= 0 && (r = manifest_next(u->manifest, &entry, e)) > 0)
                r = unpack_entry(u, &entry, e);
        return r < 0 ? r : check_end(u, e);
}

int unpack_tar(int dirfd, const BundleInfo *expected, UnpackSource source, void *userdata, Error *e) {
        Unpack u = {
                        .dirfd = dirfd,
                        .expected = expected,
                        .source = source,
                        .userdata = userdata,
                        .header = TEXT_INIT,
                        .make = MAKE_INIT(dirfd),
        };
        int r = unpack_all(&u, e);

        text_clear(&u.header);
        manifest_free(u.manifest);
        make_clear(&u.make);
        return r;
}
