#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/address.h"
#include "fetch/transfer.h"

/* file:// as if a server that knows ranges answered: curl's own reads whole files at one go, however large. */

static int file_path(HttpTransfer *t, char **ret, Error *e) {
        Address a;

        if (!address_split(t->url, &a) || *a.path != '/' ||
                        (a.host_size > 0 && strncasecmp(a.host, "localhost/", 10) != 0))
                return error_set(e, ERROR_USAGE, -EINVAL, "%s names no file of this host", t->shown);
        *ret = uri_unquote(a.path, a.path_size);
        return *ret ? 0 : -ENOMEM;
}

/* The statuses that a web server would have for it. */
static int file_refuse(HttpTransfer *t, int error, Error *e) {
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case EISDIR:
                t->status = 404;
                return 0;
        case EACCES:
        case EPERM:
                t->status = 403;
                return 0;
        default:
                return error_errno(e, -error, "Cannot read %s", t->shown);
        }
}

static int file_describe(HttpTransfer *t, const struct stat *st) {
        _cleanup_free_ char *etag = text_format("ETag: \"%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%09ld\"",
                        (uint64_t) st->st_ino, (uint64_t) st->st_size, (uint64_t) st->st_mtim.tv_sec,
                        st->st_mtim.tv_nsec);

        return etag ? strv_add(&t->headers, etag) : -ENOMEM;
}

static bool file_is_known(HttpTransfer *t, const HttpRequest *request) {
        const char *known = http_header(request->headers, "If-None-Match");

        return known && streq(known, http_header(t->headers, "ETag"));
}

int file_open(HttpTransfer *t, const HttpRequest *request, Error *e) {
        bool reads = !request->body && (!request->method || streq(request->method, "GET"));
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *path = NULL;
        struct stat st;
        int r;

        if (!reads)
                return error_set(e, ERROR_USAGE, -EINVAL, "%s can only be read", t->shown);
        r = file_path(t, &path, e);
        if (r < 0)
                return r;
        fd = fd_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0)
                return file_refuse(t, errno, e);
        if (!S_ISREG(st.st_mode))
                return file_refuse(t, EISDIR, e);
        if (file_describe(t, &st) < 0)
                return -ENOMEM;
        t->total = st.st_size;
        if (file_is_known(t, request)) {
                t->status = 304;
                return 0;
        }
        if (request->offset > 0 && request->offset >= t->total) {
                t->status = 416;
                return 0;
        }
        t->status = request->offset > 0 || request->size > 0 ? 206 : 200;
        t->offset = t->position = request->offset;
        t->stop = request->size > 0 ? MIN_OF(t->total, request->offset + request->size) : t->total;
        t->fd = TAKE_FD(fd);
        return 0;
}

ssize_t file_read(HttpTransfer *t, void *data, size_t size, Error *e) {
        ssize_t n;
        int r;

        if (t->fd < 0 || t->position == t->stop)
                return 0;
        r = fiber_sleep(0); /* the loop's other work goes on between the pieces */
        if (r < 0)
                return r;
        size = MIN_OF(MIN_OF((uint64_t) size, TRANSFER_BUFFER), t->stop - t->position);
        n = fd_pread_full(t->fd, data, size, t->position);
        if (n < 0)
                return error_errno(e, n, "Cannot read %s", t->shown);
        if (n == 0)
                return error_set(e, ERROR_FAILED, -ECONNRESET, "%s became shorter while it was read",
                                t->shown);
        t->position += n;
        return n;
}
