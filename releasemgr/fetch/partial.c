#include <dirent.h>
#include <errno.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "fetch/download.h"
#include "fetch/partial.h"

#define PARTIAL_PREFIX ".partial-"

char *download_partial_name(const Digest *digest, char buffer[static DOWNLOAD_PARTIAL_MAX]) {
        memcpy(buffer, PARTIAL_PREFIX, sizeof(PARTIAL_PREFIX));
        digest_to_text(digest, buffer + strlen(PARTIAL_PREFIX));
        return buffer;
}

int download_partial_clean(int dirfd, const char *keep, Error *e) {
        _cleanup_strv_ char **names = NULL;
        int r;

        r = fs_list_directory(dirfd, ".", &names);
        if (r < 0)
                return error_errno(e, r, "Cannot look for partial downloads");
        for (char **name = names; name && *name; name++) {
                if (!startswith(*name, PARTIAL_PREFIX) || streq_ptr(*name, keep))
                        continue;
                if (unlinkat(dirfd, *name, 0) < 0 && errno != ENOENT)
                        return error_errno(e, -errno, "Cannot remove the partial download %s", *name);
        }
        return 0;
}

void partial_open(Partial *p, int dirfd, const char *name, uint64_t length, uint64_t block_size) {
        struct stat st;

        p->length = length;
        p->block_size = block_size;
        p->fd = fd_openat(
                        dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
        if (p->fd < 0)
                return;
        if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
                        ((uint64_t) st.st_size > length && fd_truncate(p->fd, 0) < 0))
                partial_close(p);
}

int partial_read(Partial *p, size_t i, void *data, size_t size, const Digest *digest) {
        Digest found;

        if (p->fd < 0 || fd_pread_full(p->fd, data, size, i * p->block_size) != (ssize_t) size)
                return 0;
        return digest_of(data, size, &found) >= 0 && digest_equal(&found, digest);
}

size_t partial_next_data(Partial *p, size_t from, size_t stop) {
        off_t at;

        if (p->fd < 0)
                return stop;
        at = lseek(p->fd, from * p->block_size, SEEK_DATA);
        return at < 0 ? stop : MIN_OF((size_t) (at / p->block_size), stop);
}

void partial_write(Partial *p, size_t i, const void *data, size_t size) {
        size_t done = 0;

        while (p->fd >= 0 && done < size) {
                ssize_t n = pwrite(p->fd, (const char *) data + done, size - done, i * p->block_size + done);

                if (n > 0)
                        done += n;
                else if (n == 0 || errno != EINTR) {
                        (void) fd_truncate(p->fd, 0);
                        partial_close(p);
                }
        }
}

void partial_close(Partial *p) {
        p->fd = fd_close(p->fd);
}
