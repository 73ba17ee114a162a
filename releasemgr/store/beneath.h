#pragma once

/* Opening what is below a directory, and nothing else: openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, so that
 * the kernel refuses "..", absolute paths and every symlink on the way. */

#include <fcntl.h>

#include "base/util.h"

/* As openat(2); O_CLOEXEC and O_NOCTTY are implied. The descriptor, or -errno: -ELOOP for a symlink on the way, -EXDEV
 * for a path that leaves. */
int beneath_open(int dirfd, const char *path, int flags, mode_t mode);

/* The directory that a run of paths share: opened once for all entries that follow one another in it. */
typedef struct BeneathParent {
        int dirfd;  /* borrowed; where paths begin */
        int fd;     /* of the parent opened last, -1 none */
        char *path; /* its path */
        size_t length;
} BeneathParent;

#define BENEATH_PARENT_INIT(fd_) ((BeneathParent){.dirfd = (fd_), .fd = -1})

/* The directory that holds @path, borrowed until the next call, and the last component of @path. Or -errno. */
int beneath_parent(BeneathParent *p, const char *path, const char **ret_name);

void beneath_parent_clear(BeneathParent *p);
