#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"

int fs_read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -1;
        _cleanup_text_ Text t = TEXT_INIT;
        char buffer[16384];
        ssize_t n;

        fd = fd_openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        do {
                n = fd_read_full(fd, buffer, sizeof(buffer));
                if (n < 0)
                        return (int) n;
                if (t.size + (size_t) n > max)
                        return -EFBIG;
                if (text_add(&t, buffer, n) < 0)
                        return -ENOMEM;
        } while (n == sizeof(buffer));
        if (ret_size)
                *ret_size = t.size;
        *ret = text_take(&t);
        return *ret ? 0 : -ENOMEM;
}

/* The directory part of @path ("." if none), owned by the caller. */
static char *path_parent(const char *path) {
        const char *slash = strrchr(path, '/');

        if (!slash)
                return strdup(".");
        return strndup(path, slash == path ? 1 : slash - path);
}

/* A hidden name beside @path that nobody else uses; what a crash leaves of it is found by its shape. */
static char *path_temporary(const char *path) {
        _cleanup_free_ char *parent = path_parent(path);
        const char *slash = strrchr(path, '/');
        uint64_t random;

        if (!parent || getrandom(&random, sizeof(random), 0) != sizeof(random))
                return NULL;
        return text_format("%s/.#%s.%016llx", parent, slash ? slash + 1 : path, (unsigned long long) random);
}

int fs_remove_temporaries(int dirfd, const char *path) {
        _cleanup_free_ char *parent = path_parent(path ?: "."), *head = NULL;
        const char *slash = path ? strrchr(path, '/') : NULL;
        _cleanup_strv_ char **names = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        head = path ? text_format(".#%s.", slash ? slash + 1 : path) : strdup(".#");
        if (!parent || !head)
                return -ENOMEM;
        fd = fs_open_directory(dirfd, parent);
        if (fd < 0)
                return fd;
        r = fs_list_directory(fd, ".", &names);
        for (char **i = names; r >= 0 && i && *i; i++)
                if (startswith(*i, head) && unlinkat(fd, *i, 0) < 0)
                        r = -errno;
        return r;
}

int fs_sync_parent(int dirfd, const char *path) {
        _cleanup_free_ char *parent = path_parent(path);
        _cleanup_close_ int fd = -1;

        if (!parent)
                return -ENOMEM;
        fd = fs_open_directory(dirfd, parent);
        if (fd < 0)
                return fd;
        return fsync(fd) < 0 ? -errno : 0;
}

int fs_rename_durable(int old_dirfd, const char *old_path, int new_dirfd, const char *new_path) {
        _cleanup_free_ char *old_parent = path_parent(old_path), *new_parent = path_parent(new_path);
        int r;

        if (!old_parent || !new_parent)
                return -ENOMEM;
        if (renameat(old_dirfd, old_path, new_dirfd, new_path) < 0)
                return -errno;
        r = fs_sync_parent(new_dirfd, new_path);
        if (r < 0 || (old_dirfd == new_dirfd && streq(old_parent, new_parent)))
                return r;
        return fs_sync_parent(old_dirfd, old_path);
}

int fs_exchange_durable(int dirfd, const char *a, const char *b) {
        if (renameat2(dirfd, a, dirfd, b, RENAME_EXCHANGE) < 0)
                return -errno;
        return fs_sync_parent(dirfd, a);
}

int fs_replace_file(int dirfd, const char *path, const void *data, size_t size, mode_t mode) {
        _cleanup_free_ char *temporary = path_temporary(path);
        _cleanup_close_ int fd = -1;
        int r;

        if (!temporary)
                return -ENOMEM;
        fd = fd_openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        r = fd_write_all(fd, data, size);
        if (r >= 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || renameat(dirfd, temporary, dirfd, path) < 0))
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dirfd, temporary, 0);
                return r;
        }
        r = fs_sync_parent(dirfd, path);
        errno = -r;
        return r < 0;
}

int fs_write_file_atomic(int dirfd, const char *path, const void *data, size_t size, mode_t mode) {
        int r = fs_replace_file(dirfd, path, data, size, mode);

        return r > 0 ? -errno : r;
}

int fs_symlink_atomic(int dirfd, const char *target, const char *path) {
        _cleanup_free_ char *parent = path_parent(path), *before = NULL, *now = NULL;
        const char *slash = strrchr(path, '/');
        int r;

        before = parent ? text_format("%s/.%s-before", parent, slash ? slash + 1 : path) : NULL;
        if (!before)
                return -ENOMEM;
        r = fs_readlink(dirfd, path, &now);
        if (r < 0 && r != -ENOENT)
                return r == -EINVAL ? -EEXIST : r;
        (void) unlinkat(dirfd, before, 0); /* what it takes of the disk is there again for the next one */
        if (symlinkat(target, dirfd, before) < 0)
                return -errno;
        r = now ? fs_exchange_durable(dirfd, before, path) : -ENOENT;
        if (r == -ENOENT || r == -EINVAL) /* the first one, or the file system cannot */
                r = fs_rename_durable(dirfd, before, dirfd, path);
        return r;
}

int fs_unlink_durable(int dirfd, const char *path) {
        if (unlinkat(dirfd, path, 0) < 0)
                return -errno;
        return fs_sync_parent(dirfd, path);
}

int fs_mkdir_parents(int dirfd, const char *path, mode_t mode) {
        _cleanup_free_ char *copy = strdup(path);
        int r;

        if (!copy)
                return -ENOMEM;
        if (!*copy)
                return -ENOENT;
        for (char *p = copy + 1;; p++) {
                char was = *p;

                if (was != '/' && was != 0)
                        continue;
                *p = 0;
                if (mkdirat(dirfd, copy, mode) >= 0) {
                        r = fs_sync_parent(dirfd, copy);
                        if (r < 0)
                                return r;
                } else if (errno != EEXIST)
                        return -errno;
                if (was == 0)
                        break;
                *p = was;
        }
        r = fs_open_directory(dirfd, path); /* what exists may be something else than a directory */
        if (r >= 0)
                (void) close(r);
        return MIN_OF(r, 0);
}

static int remove_tree_on(int dirfd, const char *name, dev_t device) {
        _cleanup_close_ int fd = -1;
        _cleanup_strv_ char **names = NULL;
        struct stat st;
        int r;

        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISDIR(st.st_mode))
                return unlinkat(dirfd, name, 0) < 0 ? -errno : 0;
        if (st.st_dev != device)
                return -EXDEV;
        fd = fd_openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fs_list_directory(fd, ".", &names);
        if (r < 0)
                return r;
        for (char **i = names; i && *i; i++) {
                r = remove_tree_on(fd, *i, device);
                if (r < 0)
                        return r;
        }
        return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int fs_remove_tree(int dirfd, const char *path) {
        struct stat st;

        if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        return remove_tree_on(dirfd, path, st.st_dev);
}

int fs_open_directory(int dirfd, const char *path) {
        int fd = fd_openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int fs_readlink(int dirfd, const char *path, char **ret) {
        char buffer[PATH_MAX];
        ssize_t n = readlinkat(dirfd, path, buffer, sizeof(buffer));

        if (n < 0)
                return -errno;
        if (n == sizeof(buffer))
                return -ENAMETOOLONG;
        *ret = strndup(buffer, n);
        return *ret ? 0 : -ENOMEM;
}

char *fs_full_path(int dirfd, const char *name) {
        _cleanup_free_ char *link = text_format("/proc/self/fd/%d", dirfd), *directory = NULL;

        if (!link)
                return NULL;
        if (fs_readlink(AT_FDCWD, link, &directory) < 0)
                return strdup(name);
        return text_format("%s/%s", directory, name);
}

int fs_list_directory(int dirfd, const char *path, char ***ret) {
        size_t n = 0, capacity = 0;
        char **l = NULL;
        struct dirent *entry;
        DIR *d;
        int fd, r = 0;

        fd = fs_open_directory(dirfd, path);
        if (fd < 0)
                return fd;
        d = fdopendir(fd);
        if (!d) {
                r = -errno;
                (void) close(fd);
                return r;
        }
        for (errno = 0; (entry = readdir(d)); errno = 0) {
                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                if (n + 1 >= capacity) {
                        char **grown = reallocarray(
                                        l, capacity = MAX_OF(capacity * 2, (size_t) 16), sizeof(char *));

                        if (!grown)
                                break;
                        l = grown;
                }
                l[n] = strdup(entry->d_name);
                l[n + 1] = NULL;
                if (!l[n])
                        break;
                n++;
        }
        if (entry)
                r = -ENOMEM;
        else
                r = -errno;
        (void) closedir(d);
        if (r < 0) {
                strv_free(l);
                return r;
        }
        strv_sort(l);
        *ret = l;
        return 0;
}

bool fs_exists(int dirfd, const char *path) {
        struct stat st;

        return fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) >= 0 || errno != ENOENT;
}
