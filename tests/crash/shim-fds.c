/* The calls that make descriptors, read from them, or speak to others. */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shim.h"

/* What is sent to the system's journal, as datagrams, is nothing that can be between. */
static bool is_stream(int class, int fd) {
        socklen_t size = sizeof(int);
        int type;

        return shim_counts(class) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0 &&
               type == SOCK_STREAM;
}

/* Only the bus is spoken to with sendmsg(); HTTP and the database with send(). */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
        if (!is_stream(BUS, fd))
                return syscall(SYS_sendmsg, fd, message, flags);
        return FAULT(BUS, "", ssize_t, sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t size, int flags) {
        if (!is_stream(NET, fd))
                return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
        return FAULT(NET, "", ssize_t, send, fd, data, size, flags);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
        if (!is_stream(NET, fd))
                return (int) syscall(SYS_connect, fd, address, size);
        return FAULT(NET, "", int, connect, fd, address, size);
}

static int open_class(int flags) {
        return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? CREATE | OPEN | FD : OPEN | FD;
}

static mode_t open_mode(int flags, va_list ap) {
        return open_class(flags) & CREATE ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = open_mode(flags, ap);
        va_end(ap);
        return FAULT(open_class(flags), path, int, open, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = open_mode(flags, ap);
        va_end(ap);
        return open(path, flags, mode);
}

int openat(int fd, const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = open_mode(flags, ap);
        va_end(ap);
        return FAULT(open_class(flags), path, int, openat, fd, path, flags, mode);
}

int openat64(int fd, const char *path, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = open_mode(flags, ap);
        va_end(ap);
        return openat(fd, path, flags, mode);
}

/* openat2(2) has no function of its own. What the shim itself calls comes by here too, and passes. */
long syscall(long number, ...) {
        static long (*next)(long number, ...);
        long a[6];
        va_list ap;

        va_start(ap, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(ap, long);
        va_end(ap);
        if (number == SYS_openat2) {
                const struct { uint64_t flags; } *how = (const void *) a[2];

                return FAULT(open_class((int) how->flags), (const char *) a[1], long, syscall, number, a[0],
                                a[1], a[2], a[3]);
        }
        if (!next)
                next = (long (*)(long, ...)) dlsym(RTLD_NEXT, "syscall");
        return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

DIR *opendir(const char *path) {
        return FAULT_OR(NULL, FD, path, DIR *, opendir, path);
}

FILE *fopen(const char *path, const char *mode) {
        return FAULT_OR(NULL, FD, path, FILE *, fopen, path, mode);
}

int socket(int domain, int type, int protocol) {
        return FAULT(FD, "", int, socket, domain, type, protocol);
}

int epoll_create1(int flags) {
        return FAULT(FD, "", int, epoll_create1, flags);
}

int eventfd(unsigned n, int flags) {
        return FAULT(FD, "", int, eventfd, n, flags);
}

int inotify_init1(int flags) {
        return FAULT(FD, "", int, inotify_init1, flags);
}

int signalfd(int fd, const sigset_t *mask, int flags) {
        return FAULT(FD, "", int, signalfd, fd, mask, flags);
}

int timerfd_create(clockid_t clock, int flags) {
        return FAULT(FD, "", int, timerfd_create, clock, flags);
}

int memfd_create(const char *name, unsigned flags) {
        return FAULT(FD, name, int, memfd_create, name, flags);
}

ssize_t read(int fd, void *data, size_t size) {
        char path[PATH_MAX];

        if (!shim_is_file(READ, fd))
                return syscall(SYS_read, fd, data, size);
        return FAULT(READ, shim_path(READ, fd, path), ssize_t, read, fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) {
        char path[PATH_MAX];

        if (!shim_is_file(READ, fd))
                return syscall(SYS_pread64, fd, data, size, offset);
        return FAULT(READ, shim_path(READ, fd, path), ssize_t, pread, fd, data, size, offset);
}

ssize_t pread64(int fd, void *data, size_t size, off_t offset) {
        return pread(fd, data, size, offset);
}

ssize_t readlinkat(int fd, const char *path, char *buffer, size_t size) {
        return FAULT(READ, path, ssize_t, readlinkat, fd, path, buffer, size);
}

struct dirent64 *readdir64(DIR *d) {
        char path[PATH_MAX];

        return FAULT_OR(NULL, READ, shim_path(READ, dirfd(d), path), struct dirent64 *, readdir64, d);
}
