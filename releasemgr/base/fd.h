#pragma once

/* File descriptors: closing by scope, reading and writing whole amounts. */

#include <sys/types.h>
#include <unistd.h>

#include "base/util.h"

/* Closes @fd if it is one. Returns -1; errno is kept. */
int fd_close(int fd);

static inline void fd_close_p(int *fd) {
        *fd = fd_close(*fd);
}

#define _cleanup_close_ _cleanup_(fd_close_p)

/* Hands on a descriptor; the variable is -1 afterwards. */
#define TAKE_FD(fd)                                                                                          \
        ({                                                                                                   \
                int *_take = &(fd);                                                                          \
                int _taken = *_take;                                                                         \
                *_take = -1;                                                                                 \
                _taken;                                                                                      \
        })

/* openat(2), and again where a signal came between: with NFS and FUSE one may. */
int fd_openat(int dirfd, const char *path, int flags, ...);

/* Writes all of @data, going on after short writes and EINTR. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads until @size bytes or the end of file; returns the number read. */
ssize_t fd_read_full(int fd, void *data, size_t size);

/* As above, at @offset, the file's position left alone. */
ssize_t fd_pread_full(int fd, void *data, size_t size, off_t offset);

/* ftruncate(2): 0 or -errno. */
int fd_truncate(int fd, off_t size);
