#include <errno.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "store/make.h"

void make_clear(Make *m) {
        beneath_parent_clear(&m->parent);
}

static int untrusted(Error *e, const char *path, const char *problem) {
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The bundle's entry \"%s\" %s", path, problem);
}

int make_failed(Error *e, int r, const char *path) {
        if (r == -ENOSPC || r == -EDQUOT) {
                r = error_set(e, ERROR_REFUSED, r, "The disk is full: cannot write %s", path);
                return error_hint(e, r,
                                "Free space or inodes on the file system of the releases, for instance with "
                                "releasemgr prune");
        }
        if (r == -EEXIST)
                return untrusted(e, path, "is there twice");
        if (r == -ELOOP || r == -EXDEV || r == -ENOTDIR || r == -ENOENT)
                return untrusted(e, path, "does not stand in a directory of the bundle");
        return error_errno(e, r, "Cannot write %s", path);
}

/* A mode of its own for each entry costs as much as the entry does, so the first one of its kind tells of all. */
static int check_mode(Make *m, MakeKind kind, int parent, const char *name, mode_t mode) {
        struct stat st;

        if (!m->looked[kind] && fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!m->looked[kind])
                m->altered[kind] = (st.st_mode & 07777) != mode;
        m->looked[kind] = true;
        return m->altered[kind] && fchmodat(parent, name, mode, 0) < 0 ? -errno : 0;
}

static int make_file(Make *m, int parent, const char *name, const Entry *entry, int *ret_fd, Error *e) {
        MakeKind kind = entry->executable ? MAKE_PROGRAM : MAKE_FILE;
        mode_t mode = entry->executable ? 0555 : 0444;
        _cleanup_close_ int fd = -1;
        int r;

        fd = fd_openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        r = fd < 0 ? -errno : check_mode(m, kind, parent, name, mode);
        if (r < 0)
                return make_failed(e, r, entry->path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int make_directory(Make *m, int parent, const char *name, const Entry *entry, Error *e) {
        int r = mkdirat(parent, name, 0555) < 0 ? -errno : check_mode(m, MAKE_DIRECTORY, parent, name, 0555);

        return r < 0 ? make_failed(e, r, entry->path) : 0;
}

static int make_hardlink(Make *m, int parent, const char *name, const Entry *entry, Error *e) {
        BeneathParent first = BENEATH_PARENT_INIT(m->dirfd);
        const char *first_name;
        struct stat st;
        int r, fd;

        fd = beneath_parent(&first, entry->link, &first_name);
        if (fd < 0)
                r = fd;
        else if (fstatat(fd, first_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                r = -errno;
        else if (!S_ISREG(st.st_mode))
                r = -ENOENT; /* of no file: a hard link to a symlink or a directory */
        else
                r = linkat(fd, first_name, parent, name, 0) < 0 ? -errno : 0;
        beneath_parent_clear(&first);
        if (r == -ENOENT)
                return untrusted(e, entry->path, "is a hard link to no file of the bundle");
        return r < 0 ? make_failed(e, r, entry->path) : 0;
}

int make_entry(Make *m, const Entry *entry, int *ret_fd, Error *e) {
        const char *name;
        int parent = beneath_parent(&m->parent, entry->path, &name);

        *ret_fd = -1;
        if (parent < 0)
                return make_failed(e, parent, entry->path);
        if (entry->type == ENTRY_FILE)
                return make_file(m, parent, name, entry, ret_fd, e);
        if (entry->type == ENTRY_HARDLINK)
                return make_hardlink(m, parent, name, entry, e);
        if (entry->type == ENTRY_DIRECTORY)
                return make_directory(m, parent, name, entry, e);
        return symlinkat(entry->link, parent, name) < 0 ? make_failed(e, -errno, entry->path) : 0;
}
