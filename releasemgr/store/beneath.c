#include <errno.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/beneath.h"

int beneath_open(int dirfd, const char *path, int flags, mode_t mode) {
        struct open_how how = {
                        .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC | O_NOCTTY),
                        .mode = flags & O_CREAT ? mode : 0,
                        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };
        int fd;

        /* O_PATH takes no other flags than these. */
        if (flags & O_PATH)
                how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        do
                fd = (int) syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        while (fd < 0 &&
                        (errno == EINTR ||
                                        errno == EAGAIN)); /* EAGAIN: a rename elsewhere raced with the walk */
        return fd < 0 ? -errno : fd;
}

int beneath_parent(BeneathParent *p, const char *path, const char **ret_name) {
        const char *slash = strrchr(path, '/');
        size_t length = slash ? (size_t) (slash - path) : 0;
        char *copy;
        int fd;

        *ret_name = slash ? slash + 1 : path;
        if (!slash)
                return p->dirfd;
        if (p->fd >= 0 && p->length == length && strncmp(p->path, path, length) == 0)
                return p->fd;
        copy = strndup(path, length);
        if (!copy)
                return -ENOMEM;
        fd = beneath_open(p->dirfd, copy, O_PATH | O_DIRECTORY, 0);
        if (fd < 0) {
                free(copy);
                return fd;
        }
        beneath_parent_clear(p);
        p->fd = fd;
        p->path = copy;
        p->length = length;
        return fd;
}

void beneath_parent_clear(BeneathParent *p) {
        p->fd = fd_close(p->fd);
        free(p->path);
        p->path = NULL;
        p->length = 0;
}
