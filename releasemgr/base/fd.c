#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

#include "base/fd.h"

int fd_close(int fd) {
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -1;
}

int fd_openat(int dirfd, const char *path, int flags, ...) {
        mode_t mode = 0;
        va_list ap;
        int fd;

        if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {
                va_start(ap, flags);
                mode = va_arg(ap, mode_t);
                va_end(ap);
        }
        do
                fd = openat(dirfd, path, flags, mode);
        while (fd < 0 && errno == EINTR);
        return fd;
}

int fd_write_all(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                size -= n;
        }
        return 0;
}

ssize_t fd_read_full(int fd, void *data, size_t size) {
        size_t done = 0;

        while (done < size) {
                ssize_t n = read(fd, (char *) data + done, size - done);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                done += n;
        }
        return done;
}

ssize_t fd_pread_full(int fd, void *data, size_t size, off_t offset) {
        size_t done = 0;

        while (done < size) {
                ssize_t n = pread(fd, (char *) data + done, size - done, offset + done);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                done += n;
        }
        return done;
}

int fd_truncate(int fd, off_t size) {
        return ftruncate(fd, size) < 0 ? -errno : 0;
}
