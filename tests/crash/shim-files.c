/* The calls that change files. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim.h"

int fsync(int fd) {
        return FD_CALL(SYNC, fsync, fd, fd);
}

int fdatasync(int fd) {
        return FD_CALL(SYNC, fdatasync, fd, fd);
}

int syncfs(int fd) {
        return FD_CALL(SYNC, syncfs, fd, fd);
}

int rename(const char *from, const char *to) {
        return FAULT(RENAME, to, int, rename, from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
        return FAULT(RENAME, to, int, renameat, from_fd, from, to_fd, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
        return FAULT(RENAME, to, int, renameat2, from_fd, from, to_fd, to, flags);
}

int symlink(const char *target, const char *path) {
        return FAULT(SYMLINK, path, int, symlink, target, path);
}

int symlinkat(const char *target, int fd, const char *path) {
        return FAULT(SYMLINK, path, int, symlinkat, target, fd, path);
}

int link(const char *from, const char *to) {
        return FAULT(SYMLINK, to, int, link, from, to);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
        return FAULT(SYMLINK, to, int, linkat, from_fd, from, to_fd, to, flags);
}

int unlink(const char *path) {
        return FAULT(UNLINK, path, int, unlink, path);
}

int unlinkat(int fd, const char *path, int flags) {
        return FAULT(UNLINK, path, int, unlinkat, fd, path, flags);
}

int rmdir(const char *path) {
        return FAULT(UNLINK, path, int, rmdir, path);
}

int mkdir(const char *path, mode_t mode) {
        return FAULT(MKDIR, path, int, mkdir, path, mode);
}

int mkdirat(int fd, const char *path, mode_t mode) {
        return FAULT(MKDIR, path, int, mkdirat, fd, path, mode);
}

int ftruncate(int fd, off_t size) {
        return FD_CALL(TRUNCATE, ftruncate, fd, fd, size);
}

int ftruncate64(int fd, off_t size) {
        return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
        return FD_CALL(TRUNCATE, fallocate, fd, fd, mode, offset, size);
}

int fallocate64(int fd, int mode, off_t offset, off_t size) {
        return fallocate(fd, mode, offset, size);
}

ssize_t write(int fd, const void *data, size_t size) {
        char path[PATH_MAX];
        ssize_t n;

        if (!shim_is_file(WRITE, fd))
                return syscall(SYS_write, fd, data, size);
        n = FAULT(WRITE, shim_path(WRITE, fd, path), ssize_t, write, fd, data, size);
        shim_look_for_mark(data, size);
        return n;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
        char path[PATH_MAX];

        if (!shim_is_file(WRITE, fd))
                return syscall(SYS_pwrite64, fd, data, size, offset);
        return FAULT(WRITE, shim_path(WRITE, fd, path), ssize_t, pwrite, fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) {
        return pwrite(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
        char path[PATH_MAX];

        if (!shim_is_file(WRITE, fd))
                return syscall(SYS_writev, fd, parts, n);
        return FAULT(WRITE, shim_path(WRITE, fd, path), ssize_t, writev, fd, parts, n);
}
