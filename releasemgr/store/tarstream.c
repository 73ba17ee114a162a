#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/beneath.h"
#include "store/release.h"
#include "store/shared.h"
#include "store/tar.h"
#include "store/tarstream.h"

/* Where an entry begins in the stream, and its line in the manifest. */
typedef struct Place {
        uint64_t stream;
        uint64_t line;
} Place;

/*
 *    | header | manifest, padded | header | content, padded | ... | end |
 *    0        head               places[0].stream                 end    length
 */
struct TarStream {
        int dirfd;
        Manifest *manifest;
        char *const *moved;
        Place *places;
        size_t n;
        uint64_t end;
        uint64_t unpacked;

        /* The entry under the cursor: its header, where its content is read from, and its extent in the stream. */
        uint64_t begin;
        uint64_t next;
        Entry entry;
        Text header;
        BeneathParent parent;
        int fd; /* of its content; -1: not opened, or borrowed from the manifest */
};

/* Makes s->header that of @entry, which begins at @begin. */
static int set_cursor(TarStream *s, const Entry *entry, uint64_t begin) {
        uint64_t size = tar_content_size(entry);
        int r;

        s->fd = fd_close(s->fd);
        s->header.size = 0;
        r = tar_add_header(&s->header, entry);
        if (r < 0) {
                s->begin = s->next = 0;
                return r;
        }
        s->begin = begin;
        s->next = begin + s->header.size + size + tar_padding(size);
        return 0;
}

/* The manifest is the first entry of the stream, and not in itself. */
static int set_cursor_to_manifest(TarStream *s) {
        entry_clear(&s->entry);
        s->entry = (Entry){.type = ENTRY_FILE,
                        .size = manifest_size(s->manifest),
                        .path = strdup(RELEASE_MANIFEST)};
        return s->entry.path ? set_cursor(s, &s->entry, 0) : -ENOMEM;
}

static int add_place(TarStream *s, size_t *capacity, Place place) {
        if (s->n == *capacity) {
                size_t more = MAX_OF(*capacity * 2, (size_t) 256);
                Place *grown = reallocarray(s->places, more, sizeof(Place));

                if (!grown)
                        return -ENOMEM;
                s->places = grown;
                *capacity = more;
        }
        s->places[s->n++] = place;
        return 0;
}

static int make_index(TarStream *s, Error *e) {
        size_t capacity = 0;
        int r;

        r = set_cursor_to_manifest(s);
        while (r >= 0) {
                uint64_t begin = s->next, line = manifest_tell(s->manifest);

                r = manifest_next(s->manifest, &s->entry, e);
                if (r <= 0)
                        break;
                r = set_cursor(s, &s->entry, begin);
                if (r >= 0)
                        r = add_place(s, &capacity, (Place){.stream = begin, .line = line});
                s->unpacked += tar_content_size(&s->entry);
        }
        s->end = s->next;
        return r;
}

int tar_stream_new(int dirfd, int manifest_fd, char *const *moved, TarStream **ret, Error *e) {
        _cleanup_(tar_stream_free_p) TarStream *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s) {
                fd_close(manifest_fd);
                return -ENOMEM;
        }
        s->dirfd = dirfd;
        s->moved = moved;
        s->fd = -1;
        s->parent = BENEATH_PARENT_INIT(dirfd);
        r = manifest_new(manifest_fd, &s->manifest, e);
        if (r >= 0)
                r = make_index(s, e);
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

TarStream *tar_stream_free(TarStream *s) {
        if (!s)
                return NULL;
        manifest_free(s->manifest);
        free(s->places);
        entry_clear(&s->entry);
        text_clear(&s->header);
        beneath_parent_clear(&s->parent);
        fd_close(s->fd);
        free(s);
        return NULL;
}

uint64_t tar_stream_length(const TarStream *s) {
        return s->end + TAR_END;
}

uint64_t tar_stream_entries(const TarStream *s) {
        return s->n;
}

uint64_t tar_stream_unpacked(const TarStream *s) {
        return s->unpacked;
}

/* Puts the cursor on the entry that @offset (before the end) lies in. */
static int seek_entry(TarStream *s, uint64_t offset, Error *e) {
        size_t low = 0, high = s->n;
        int r;

        if (offset >= s->begin && offset < s->next)
                return 0;
        while (low < high) { /* the number of entries that begin at or before offset */
                size_t middle = low + (high - low) / 2;

                if (s->places[middle].stream <= offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == 0)
                return set_cursor_to_manifest(s);
        if (manifest_tell(s->manifest) != s->places[low - 1].line)
                manifest_seek(s->manifest, s->places[low - 1].line);
        r = manifest_next(s->manifest, &s->entry, e);
        if (r == 0)
                r = error_set(e, ERROR_FAILED, -ESTALE, "The manifest became shorter while it was read");
        return r < 0 ? r : set_cursor(s, &s->entry, s->places[low - 1].stream);
}

static int open_content(TarStream *s, Error *e) {
        _cleanup_free_ char *path = shared_place(s->moved, s->entry.path);
        const char *name;
        struct stat st;
        int parent;

        if (!path)
                return -ENOMEM;
        parent = beneath_parent(&s->parent, path, &name);
        if (parent == -ENOMEM)
                return parent;
        s->fd = parent < 0 ? parent : beneath_open(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (s->fd == -EMFILE || s->fd == -ENFILE)
                return error_errno(e, TAKE_FD(s->fd), "Cannot open %s", s->entry.path);
        if (s->fd < 0 || fstat(s->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
                        (uint64_t) st.st_size != s->entry.size) {
                s->fd = fd_close(s->fd);
                return error_set(e, ERROR_FAILED, -ESTALE, "%s is not the file that the manifest names",
                                s->entry.path);
        }
        return 0;
}

/* Reads inside the content of the entry under the cursor. */
static int read_content(TarStream *s, uint64_t offset, void *data, size_t size, Error *e) {
        bool manifest = s->begin == 0;
        ssize_t n;
        int r = manifest || s->fd >= 0 ? 0 : open_content(s, e);

        if (r < 0)
                return r;
        n = fd_pread_full(manifest ? manifest_fd(s->manifest) : s->fd, data, size, offset);
        if (n < 0)
                return error_errno(e, (int) n, "Cannot read %s", s->entry.path);
        if ((size_t) n != size)
                return error_set(e, ERROR_FAILED, -ESTALE, "%s became shorter while it was read",
                                s->entry.path);
        return 0;
}

/* Reads a run of bytes that lie in one part of the stream; returns how many. */
static ssize_t read_some(TarStream *s, uint64_t offset, void *data, size_t size, Error *e) {
        uint64_t content, at;
        int r;

        if (offset >= s->end) {
                memset(data, 0, size);
                return size;
        }
        r = seek_entry(s, offset, e);
        if (r < 0)
                return r;
        at = offset - s->begin;
        size = MIN_OF(size, s->next - offset);
        if (at < s->header.size) {
                size = MIN_OF(size, s->header.size - at);
                memcpy(data, s->header.data + at, size);
                return size;
        }
        at -= s->header.size;
        content = tar_content_size(&s->entry);
        if (at >= content) {
                memset(data, 0, size);
                return size;
        }
        size = MIN_OF(size, content - at);
        r = read_content(s, at, data, size, e);
        return r < 0 ? r : (ssize_t) size;
}

int tar_stream_read(TarStream *s, uint64_t offset, void *data, size_t size, Error *e) {
        uint64_t length = tar_stream_length(s);
        uint8_t *p = data;

        if (offset > length || size > length - offset)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The tar stream of the tree ends before byte %llu",
                                (unsigned long long) offset + size);
        while (size > 0) {
                ssize_t n = read_some(s, offset, p, size, e);

                if (n < 0)
                        return (int) n;
                p += n;
                offset += n;
                size -= n;
        }
        return 0;
}
