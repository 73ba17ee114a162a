#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "fetch/upload.h"
#include "publish/push.h"
#include "publish/repository-internal.h"
#include "trust/updater.h"

#define FOR_EVER  "public, max-age=31536000, immutable"
#define DEPTH_MAX 8

typedef struct Push {
        Repository *repository;
        Source *to;
        PushReport *report;
} Push;

static const char *content_type(const char *path) {
        return endswith(path, ".json")  ? "application/json"
               : endswith(path, ".zst") ? "application/zstd"
                                        : "application/octet-stream";
}

static int push_bytes(Push *p, const char *path, const void *data, uint64_t size, Error *e) {
        _cleanup_free_ char *quoted = updater_quote(path, "/");
        int k;

        if (!quoted)
                return -ENOMEM;
        k = upload_file(p->to,
                        &(UploadFile){
                                        .path = quoted,
                                        .data = data,
                                        .size = size,
                                        .content_type = content_type(path),
                                        .cache_control = endswith(path, "/timestamp.json") ? "no-cache"
                                                                                           : FOR_EVER,
                        },
                        NULL, NULL, e);
        if (k > 0) {
                p->report->sent++;
                p->report->bytes += size;
        } else if (k == 0)
                p->report->there++;
        return MIN_OF(k, 0);
}

static int push_file(Push *p, const char *path, Error *e) {
        Repository *r = p->repository;
        _cleanup_close_ int fd = fd_openat(r->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        void *data = NULL;
        struct stat st;
        int k;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(e, -errno, "cannot read %s/%s", r->path, path);
        if (!S_ISREG(st.st_mode))
                return error_set(e, ERROR_FAILED, -EINVAL, "%s/%s is not a file", r->path, path);
        if (st.st_size > 0)
                data = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return error_errno(e, -errno, "cannot read %s/%s", r->path, path);
        k = push_bytes(p, path, data ?: "", (uint64_t) st.st_size, e);
        if (data)
                (void) munmap(data, (size_t) st.st_size);
        return k;
}

static int push_folder(Push *p, const char *folder, unsigned depth, Error *e) {
        _cleanup_strv_ char **names = NULL;
        int k = fs_list_directory(p->repository->fd, folder, &names);

        if (k < 0)
                return k == -ENOENT ? 0 : error_errno(e, k, "cannot read %s/%s", p->repository->path, folder);
        for (char **i = names; i && *i && k >= 0; i++) {
                _cleanup_free_ char *path = text_format("%s/%s", folder, *i);
                struct stat st;

                if (!path)
                        return -ENOMEM;
                if (**i == '.') /* what a run left that was killed */
                        continue;
                if (fstatat(p->repository->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return error_errno(e, -errno, "cannot look at %s/%s", p->repository->path, path);
                k = S_ISDIR(st.st_mode) && depth < DEPTH_MAX ? push_folder(p, path, depth + 1, e)
                                                             : push_file(p, path, e);
        }
        return k;
}

/* In which turn a file of metadata/ goes; 4: not at all. */
static unsigned turn_of(const char *name) {
        if (*name == '.' || !endswith(name, ".json"))
                return 4;
        return endswith(name, ".root.json")       ? 3
               : streq(name, "timestamp.json")    ? 2
               : endswith(name, ".snapshot.json") ? 1
                                                  : 0;
}

static int compare_roots(const void *a, const void *b) {
        const char *x = *(const char *const *) a, *y = *(const char *const *) b;
        size_t nx = strlen(x), ny = strlen(y);

        return nx != ny ? (nx < ny ? -1 : 1) : strcmp(x, y);
}

static int push_metadata(Push *p, Error *e) {
        char **names = p->repository->names;
        int k = 0;

        qsort(names, strv_length(names), sizeof(*names),
                        compare_roots); /* each root after the one before it */
        for (unsigned turn = 0; turn < 4; turn++)
                for (char **i = names; i && *i && k >= 0; i++) {
                        _cleanup_free_ char *path = NULL;

                        if (turn_of(*i) != turn)
                                continue;
                        path = text_format("metadata/%s", *i);
                        k = path ? push_file(p, path, e) : -ENOMEM;
                }
        return k;
}

int repository_push(Repository *r, Source *to, PushReport *ret, Error *e) {
        PushReport report = {0};
        Push p = {.repository = r, .to = to, .report = &report};
        int k = push_folder(&p, "targets", 0, e);

        if (k >= 0)
                k = push_metadata(&p, e);
        if (k < 0)
                return k;
        *ret = report;
        return 0;
}
