/*
 * releasemgr tuf init, refresh, download: the TUF client by itself, for tools and audits
 *
 * They need no configuration. The metadata directory holds <role>.json and nothing else. They exit with 0 or 1.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/text.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "fetch/refresh.h"
#include "trust/metadata.h"

#define ROOT_MAX  512000
#define LIMIT_MAX (UINT64_C(1) << 30)

typedef struct Client {
        Http *http;
        Source *metadata;
        Updater *updater;
        uint64_t stall_usec; /* 0: the default */
        int metadata_fd;
} Client;

#define CLIENT_INIT ((Client){.metadata_fd = -1})

static void client_clear(Client *c) {
        updater_free(c->updater);
        source_free(c->metadata);
        http_free(c->http);
        fd_close(c->metadata_fd);
}

/* Whatever went wrong, these verbs exit with 1. */
static int failed(int r, Error *e) {
        if (r < 0 && e)
                e->class = ERROR_FAILED;
        return MIN_OF(r, 0);
}

static int required(const Arguments *a, const char *name, const char **ret, Error *e) {
        *ret = arguments_option(a, name);
        return isempty(*ret) ? error_set(e, ERROR_USAGE, -EINVAL, "--%s is missing", name) : 0;
}

/* A limit in bytes; @ret stays as it is where it was not given. */
static int read_limit(const Arguments *a, const char *name, uint64_t *ret, Error *e) {
        const char *text = arguments_option(a, name);

        if (text && (parse_u64(text, LIMIT_MAX, ret) < 0 || *ret == 0))
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "--%s=%s: expected a number of bytes from 1 to %llu", name, text,
                                (unsigned long long) LIMIT_MAX);
        return 0;
}

static int read_limits(const Arguments *a, UpdaterOptions *o, uint64_t *ret_stall_usec, Error *e) {
        const char *stall = arguments_option(a, "stall-timeout");
        int r;

        if (stall && (span_from_text(stall, ret_stall_usec) < 0 || *ret_stall_usec == 0))
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "--stall-timeout=%s: expected a span of time such as 30s", stall);

        if ((r = read_limit(a, "root-max", &o->root_max, e)) < 0 ||
                        (r = read_limit(a, "timestamp-max", &o->timestamp_max, e)) < 0 ||
                        (r = read_limit(a, "snapshot-max", &o->snapshot_max, e)) < 0)
                return r;
        return read_limit(a, "targets-max", &o->targets_max, e);
}

static int init(const char *directory, const char *file, uint64_t max, Error *e) {
        _cleanup_(metadata_free_p) Metadata *root = NULL;
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = fs_read_file(AT_FDCWD, file, max, &data, &size);
        if (r < 0)
                return error_errno(e, r, "cannot read %s", file);
        r = metadata_parse(file, METADATA_ROOT, data, size, &root, e);
        if (r >= 0)
                r = metadata_verify(root, metadata_root_role(root, METADATA_ROOT), e);
        if (r < 0)
                return r;
        r = fs_mkdir_parents(AT_FDCWD, directory, 0755);
        if (r >= 0)
                r = fd = fs_open_directory(AT_FDCWD, directory);
        if (r >= 0)
                r = fs_write_file_atomic(fd, "root.json", data, size, 0644);
        return r < 0 ? error_errno(e, r, "cannot write %s/root.json", directory) : 0;
}

int verb_tuf_init(Session *s _unused_, const Arguments *a, Error *e) {
        uint64_t max = ROOT_MAX;
        const char *directory;
        int r;

        r = required(a, "metadata-dir", &directory, e);
        if (r >= 0)
                r = read_limit(a, "root-max", &max, e);
        if (r >= 0)
                r = init(directory, a->positional[0], max, e);
        return failed(r, e);
}

/* Brings the metadata up to date. @ret is to be cleared in any case. */
static int client_refresh(Session *s, const Arguments *a, Client *ret, Error *e) {
        UpdaterOptions options = {.now_usec = clock_now()};
        const char *directory, *url;
        int r;

        r = required(a, "metadata-dir", &directory, e);
        if (r >= 0)
                r = required(a, "metadata-url", &url, e);
        if (r >= 0)
                r = read_limits(a, &options, &ret->stall_usec, e);
        if (r < 0)
                return r;
        ret->metadata_fd = fs_open_directory(AT_FDCWD, directory);
        if (ret->metadata_fd < 0)
                return error_errno(e, ret->metadata_fd, "cannot open %s", directory);
        refresh_sweep(ret->metadata_fd);
        r = http_new(s->event, &ret->http);
        if (r >= 0)
                r = source_new(ret->http, &(SourceOptions){.url = url, .stall_timeout_usec = ret->stall_usec},
                                &ret->metadata, e);
        if (r >= 0)
                r = updater_new(&options, &ret->updater);
        if (r < 0)
                return r;
        return refresh_run_below(ret->updater, ret->metadata, "", ret->metadata_fd, NULL, e);
}

int verb_tuf_refresh(Session *s, const Arguments *a, Error *e) {
        _cleanup_(client_clear) Client c = CLIENT_INIT;

        return failed(client_refresh(s, a, &c, e), e);
}

/* --- download --- */

static int refuse_target(const TargetFile *t, Error *e) {
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "%s is not the file that is signed", t->name);
}

/* Whether @file is there and is @t already. */
static bool is_there(int directory_fd, const char *file, const TargetFile *t) {
        _cleanup_(hash_checker_free_p) HashChecker *checker = NULL;
        _cleanup_close_ int fd =
                        fd_openat(directory_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        char buffer[65536];
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t) st.st_size != t->length ||
                        hash_checker_new(&t->hashes, &checker) < 0)
                return false;
        while ((n = fd_read_full(fd, buffer, sizeof(buffer))) > 0)
                if (hash_checker_add(checker, buffer, (size_t) n) < 0)
                        return false;
        return n == 0 && hash_checker_finish(checker) > 0;
}

/*
 * A target that is not verified yet: a file without a name, so that nothing is left of it wherever this ends. Where the
 * file system has no such files (vfat, some network and overlay file systems), it is a file beside the target directory,
 * never in it.
 */
typedef struct NewFile {
        int fd;
        int directory_fd; /* borrowed */
        char *temporary;  /* seen from there; NULL: the file has no name */
} NewFile;

static void new_file_clear(NewFile *f) {
        fd_close(f->fd);
        if (f->temporary)
                (void) unlinkat(f->directory_fd, f->temporary, 0);
        free(f->temporary);
}

/* A name beside the target directory that nobody else uses. */
static char *new_file_temporary(void) {
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return NULL;
        return text_format("../.#releasemgr-%016" PRIx64, random);
}

static int new_file_open(int directory_fd, NewFile *ret, Error *e) {
        _cleanup_free_ char *temporary = NULL;
        int fd;

        fd = fd_openat(directory_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0 && errno == EOPNOTSUPP) {
                temporary = new_file_temporary();
                if (!temporary)
                        return -ENOMEM;
                fd = fd_openat(directory_fd, temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        }
        if (fd < 0)
                return error_errno(e, -errno, "cannot make a file %s the target directory",
                                temporary ? "beside" : "in");
        *ret = (NewFile){fd, directory_fd, TAKE(temporary)};
        return 0;
}

/* Links the nameless file to @name in the target directory. Where that is taken, it is linked beside the directory and
 * f->temporary set. */
static int new_file_link(NewFile *f, const char *name) {
        _cleanup_free_ char *self = text_format("/proc/self/fd/%d", f->fd), *temporary = NULL;

        if (!self)
                return -ENOMEM;
        if (linkat(AT_FDCWD, self, f->directory_fd, name, AT_SYMLINK_FOLLOW) >= 0)
                return 0;
        if (errno != EEXIST)
                return -errno;
        temporary = new_file_temporary();
        if (!temporary)
                return -ENOMEM;
        if (linkat(AT_FDCWD, self, f->directory_fd, temporary, AT_SYMLINK_FOLLOW) >= 0) {
                f->temporary = TAKE(temporary);
                return 0;
        }
        /* Another file system is beside it, or we may not write there: then there is a moment without the file. */
        if (unlinkat(f->directory_fd, name, 0) < 0 ||
                        linkat(AT_FDCWD, self, f->directory_fd, name, AT_SYMLINK_FOLLOW) < 0)
                return -errno;
        return 0;
}

/* Gives it its name, in the place of an older file. */
static int new_file_name(NewFile *f, const char *name) {
        int r = fsync(f->fd) < 0 ? -errno : 0;

        if (r >= 0 && !f->temporary)
                r = new_file_link(f, name);
        if (r < 0)
                return r;
        if (f->temporary && renameat(f->directory_fd, f->temporary, f->directory_fd, name) < 0)
                return -errno;
        free(TAKE(f->temporary));
        return fs_sync_parent(f->directory_fd, name);
}

/* Reads the body into @fd and checks it. */
static int receive(Source *source, HttpTransfer *transfer, const TargetFile *t, int fd, Error *e) {
        _cleanup_(hash_checker_free_p) HashChecker *checker = NULL;
        char buffer[65536];
        uint64_t done = 0;
        ssize_t n;
        int r;

        r = hash_checker_new(&t->hashes, &checker);
        while (r >= 0 && (n = source_read(source, transfer, buffer, sizeof(buffer), e)) != 0) {
                if (n < 0)
                        return (int) n;
                done += (uint64_t) n;
                if (done > t->length)
                        return refuse_target(t, e);
                r = hash_checker_add(checker, buffer, (size_t) n);
                if (r >= 0)
                        r = fd_write_all(fd, buffer, (size_t) n);
                if (r < 0 && r != -ENOMEM)
                        return error_errno(e, r, "cannot write %s", t->name);
        }
        if (r >= 0)
                r = done == t->length ? hash_checker_finish(checker) : 0;
        return r == 0 ? refuse_target(t, e) : MIN_OF(r, 0);
}

static int try_target(Source *source, const char *url, const TargetFile *t, int directory_fd,
                const char *file, uint64_t *ret_retry, Error *e) {
        _cleanup_(http_close_p) HttpTransfer *transfer = NULL;
        _cleanup_(new_file_clear) NewFile new = {.fd = -1};
        int r;

        r = source_open(source, url, 0, 0, &transfer, ret_retry, e);
        if (r >= 0)
                r = new_file_open(directory_fd, &new, e);
        if (r >= 0)
                r = receive(source, transfer, t, new.fd, e);
        if (r < 0)
                return r;
        r = new_file_name(&new, file);
        return r < 0 ? error_errno(e, r, "cannot write %s", file) : 0;
}

/* Its name in the target directory: percent-encoded, which a dot is not unless the name would be the directory's own. */
static char *file_of_target(const char *name) {
        if (streq(name, "."))
                return strdup("%2E");
        return streq(name, "..") ? strdup("%2E%2E") : updater_quote(name, "");
}

static int fetch_target(Client *c, Source *source, const TargetFile *t, int directory_fd, Error *e) {
        _cleanup_free_ char *file = file_of_target(t->name), *url = NULL;
        uint64_t retry_usec = 0;
        int r;

        if (!file || updater_target_url(c->updater, t, &url) < 0)
                return -ENOMEM;
        if (is_there(directory_fd, file, t))
                return 0;
        for (unsigned tries = 1;; tries++) {
                r = try_target(source, url, t, directory_fd, file, &retry_usec, e);
                if (r >= 0 || !source_may_retry(r))
                        return r;
                if (source_back_off(source, tries, false, retry_usec) < 0)
                        return r;
        }
}

static int find_and_fetch(Client *c, Source *source, const char *name, int directory_fd, Error *e) {
        const TargetFile *t;
        int r;

        r = updater_find(c->updater, name, e);
        if (r >= 0)
                r = refresh_run_below(c->updater, c->metadata, "", c->metadata_fd, NULL, e);
        if (r < 0)
                return r;
        t = updater_target(c->updater);
        if (!t)
                return error_set(e, ERROR_FAILED, -ENOENT, "the repository has no target %s", name);
        return fetch_target(c, source, t, directory_fd, e);
}

static int download(Session *s, const Arguments *a, Error *e) {
        _cleanup_(client_clear) Client c = CLIENT_INIT;
        _cleanup_(source_free_p) Source *source = NULL;
        const char *name, *directory, *url;
        _cleanup_close_ int fd = -1;
        int r;

        r = required(a, "target-name", &name, e);
        if (r >= 0)
                r = required(a, "target-dir", &directory, e);
        if (r >= 0)
                r = required(a, "target-base-url", &url, e);
        if (r < 0)
                return r;
        fd = fs_open_directory(AT_FDCWD, directory);
        if (fd < 0)
                return error_errno(e, fd, "cannot open %s", directory);
        r = client_refresh(s, a, &c, e);
        if (r >= 0)
                r = source_new(c.http, &(SourceOptions){.url = url, .stall_timeout_usec = c.stall_usec},
                                &source, e);
        for (size_t i = 0; r >= 0 && (name = arguments_option_at(a, "target-name", i)); i++)
                r = find_and_fetch(&c, source, name, fd, e);
        return r;
}

int verb_tuf_download(Session *s, const Arguments *a, Error *e) {
        return failed(download(s, a, e), e);
}
