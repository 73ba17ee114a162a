#pragma once

/* Make: the entries of a tree, one after the other, below one directory and nowhere else: every path is walked from there
 * through real directories alone. */

#include "base/error.h"
#include "store/beneath.h"
#include "store/entry.h"

typedef enum MakeKind {
        MAKE_FILE,
        MAKE_PROGRAM,
        MAKE_DIRECTORY,
        _MAKE_KIND_MAX,
} MakeKind;

typedef struct Make {
        int dirfd;
        BeneathParent parent;
        bool looked[_MAKE_KIND_MAX];
        bool altered[_MAKE_KIND_MAX]; /* the parent's ACL or set-group-ID bit alters the mode that we ask for */
} Make;

#define MAKE_INIT(fd_) ((Make){.dirfd = (fd_), .parent = BENEATH_PARENT_INIT(fd_)})

void make_clear(Make *m);

/* Makes @entry, which was not there, without the right to write for anybody: only who may write all the same (root) can
 * make entries in a directory. A file is empty at first: @ret_fd is its descriptor, the caller's, and -1 for
 * everything else. Errors as below. */
int make_entry(Make *m, const Entry *entry, int *ret_fd, Error *e);

/* Says that @path could not be written for -@r: -ENOSPC and -EDQUOT with ERROR_REFUSED; -EBADMSG with ERROR_UNTRUSTED
 * where it is the tree that is at fault. */
int make_failed(Error *e, int r, const char *path);
