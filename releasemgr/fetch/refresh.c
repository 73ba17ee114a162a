#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "fetch/refresh.h"
#include "fetch/source-internal.h"

#define METADATA_MODE 0644 /* it is public, and `status` may be asked by anybody */
#define TIMESTAMP_MAX MIB

#define LOCK_FILE      ".lock"
#define LOCK_WAIT_USEC (300 * USEC_PER_SEC) /* what a server that answers slowly may take */
#define LOCK_POLL_USEC (20 * USEC_PER_MSEC)

/* The timestamp, asked for while the next root is: mostly there is none, and the two answers take the time of one. Nothing
 * looks at it before. */
typedef struct Ahead {
        Source *source;
        char *path;
        char *etag; /* may be NULL */
        uint64_t max;
        Fiber *fiber; /* NULL: not asked, or not to be used */
        SourceFile file;
        Error error;
} Ahead;

typedef struct Refresh {
        Updater *updater;
        Source *source;
        const char *directory;
        int trust_fd;
        const char *root_file;
        bool searches;    /* the refresh was done before */
        bool conditional; /* the timestamp is only asked for where it is another than we have */
        char *etag;       /* that the server gave with the timestamp just fetched */
        Ahead ahead;
} Refresh;

#define TIMESTAMP "timestamp.json"

/* "ADDRESS ETAG" of the timestamp that is stored in the trust directory: written behind it, so that it never stands for
 * one that is not. */
#define ETAG_FILE "timestamp.etag"
#define ETAG_MAX  (4 * KIB)

/* What to ask with; NULL where the stored timestamp is not from there, or is not there. */
static char *recall_etag(const Refresh *f) {
        _cleanup_free_ char *data = NULL;
        const char *etag;
        size_t size;

        if (!fs_exists(f->trust_fd, TIMESTAMP) ||
                        fs_read_file(f->trust_fd, ETAG_FILE, ETAG_MAX, &data, &size) < 0)
                return NULL;
        etag = startswith(data, source_name(f->source));
        return etag && etag[0] == ' ' ? strdup(etag + 1) : NULL;
}

static int open_lock(int trust_fd) {
        return fd_openat(trust_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int held_for_long(Error *e) {
        int r = error_set(e, ERROR_FAILED, -EBUSY,
                        "another process has been refreshing the trusted metadata for minutes");

        return error_hint(e, r,
                        "find out which one has " LOCK_FILE " open in the trust directory (lsof, fuser), and "
                        "end it");
}

/* One process at a time brings a trust directory up to date: two that began with the same copies could each put back what
 * the other had found newer. The kernel takes the lock from who dies. It is on a file that only its owner can open, since
 * whoever can open what is locked can hold it. @ret_fd is to be closed; -1 where the file system or our rights do not allow a
 * lock: then all goes on without. */
static int lock(int trust_fd, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = open_lock(trust_fd);
        uint64_t end = clock_monotonic() + LOCK_WAIT_USEC;
        int r = 0;

        while (fd >= 0 && r >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 &&
                        (errno == EWOULDBLOCK || errno == EINTR)) {
                if (clock_monotonic() > end)
                        return held_for_long(e);
                r = fiber_sleep(LOCK_POLL_USEC);
        }
        *ret_fd = TAKE_FD(fd);
        return r;
}

void refresh_sweep(int trust_fd) {
        _cleanup_close_ int fd = open_lock(trust_fd);

        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
                (void) fs_remove_temporaries(trust_fd, NULL);
}

static int write_file(const Refresh *f, const char *name, const void *data, size_t size) {
        return fs_write_file_atomic(f->trust_fd, name, data, size, METADATA_MODE);
}

static int keep_etag(const Refresh *f) {
        _cleanup_free_ char *text = text_format("%s %s", source_name(f->source), f->etag);

        return text ? write_file(f, ETAG_FILE, text, strlen(text)) : -ENOMEM;
}

static int load(const Refresh *f, const UpdaterStep *step, Error *e) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = fs_read_file(f->trust_fd, step->file, step->max, &data, &size);
        if (r == -ENOENT && f->root_file && streq(step->file, "root.json")) {
                r = fs_read_file(AT_FDCWD, f->root_file, step->max, &data, &size);
                if (r < 0)
                        return error_errno(e, r, "cannot read the first trusted root %s", f->root_file);
        }
        if (r == -ENOENT || (r == -EFBIG && !streq(step->file, "root.json")))
                return updater_feed_missing(f->updater, e); /* a copy that is too big is fetched again */
        if (r < 0)
                return error_errno(e, r, "cannot read the trusted %s", step->file);
        return updater_feed(f->updater, data, size, e);
}

static int ask_ahead(void *userdata) {
        Ahead *a = userdata;

        return source_get(a->source, a->path, a->max, a->etag, &a->file, &a->error);
}

static void ahead_clear(Ahead *a) {
        a->fiber = fiber_stop(a->fiber);
        free(a->path);
        free(a->etag);
        source_file_clear(&a->file);
        error_clear(&a->error);
        *a = (Ahead){0};
}

/* On S3 the first answer may have to teach us region and clock. */
static int ahead_begin(Refresh *f) {
        Ahead *a = &f->ahead;

        if (!f->conditional || source_s3(f->source))
                return 0;
        *a = (Ahead){.source = f->source,
                        .path = text_format("%s" TIMESTAMP, f->directory),
                        .etag = recall_etag(f),
                        .max = TIMESTAMP_MAX};
        return a->path ? fiber_new(fiber_event(), "timestamp", ask_ahead, a, &a->fiber) : -ENOMEM;
}

/* Whether the stored one could be read and is signed: one that is damaged is fetched anew. */
static bool has_timestamp(const Refresh *f) {
        return updater_version(f->updater, "timestamp") > 0;
}

static int get_timestamp(Refresh *f, const char *path, uint64_t max, SourceFile *ret, Error *e) {
        _cleanup_free_ char *etag = NULL;
        int r;

        if (f->ahead.fiber) {
                r = fiber_join(f->ahead.fiber);
                if (!fiber_is_done(f->ahead.fiber))
                        return r;
                if (r >= 0 && f->ahead.file.data.size > max)
                        return -EFBIG;
                if (r < 0 || !f->ahead.file.unmodified || has_timestamp(f)) {
                        error_move(e, &f->ahead.error);
                        *ret = TAKE(f->ahead.file);
                        return r;
                }
        }
        etag = f->conditional && has_timestamp(f) ? recall_etag(f) : NULL;
        return source_get(f->source, path, max, etag, ret, e);
}

/* A new root may say who signs the timestamp from now on. */
static int get_root(Refresh *f, const char *path, uint64_t max, SourceFile *ret, Error *e) {
        int r = f->ahead.path ? 0 : ahead_begin(f);

        if (r >= 0)
                r = source_get(f->source, path, max, NULL, ret, e);
        if (r >= 0)
                f->ahead.fiber = fiber_stop(f->ahead.fiber);
        return r;
}

static int get(Refresh *f, const UpdaterStep *step, SourceFile *ret, Error *e) {
        _cleanup_free_ char *path = text_format("%s%s", f->directory, step->url);

        if (!path)
                return -ENOMEM;
        if (streq(step->file, "root.json"))
                return get_root(f, path, step->max, ret, e);
        if (streq(step->file, TIMESTAMP))
                return get_timestamp(f, path, step->max, ret, e);
        return source_get(f->source, path, step->max, NULL, ret, e);
}

/* S3 says 403 of what is not there to who may not list, so both mean that it is missing. */
static int fetch(Refresh *f, const UpdaterStep *step, Error *e) {
        _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;
        _cleanup_error_ Error why = ERROR_INIT;
        int r = get(f, step, &file, &why);

        if (r == -ENOENT || r == -EACCES) {
                int missing = updater_feed_missing(f->updater, e);

                if (missing < 0 && r == -ENOENT)
                        return error_hint(e, missing,
                                        "is %s the repository's address? metadata/ and targets/ stand below "
                                        "it",
                                        source_name(f->source));
                if (missing < 0)
                        error_move(e, &why);
                return missing;
        }
        if (r == -EFBIG)
                return error_set(e, ERROR_UNTRUSTED, r, "%s is longer than the %llu bytes that are allowed",
                                step->url, (unsigned long long) step->max);
        if (r < 0) {
                error_move(e, &why);
                return r;
        }
        if (file.unmodified)
                return load(f, &(UpdaterStep){.file = TIMESTAMP, .max = step->max}, e);
        if (f->conditional && streq(step->file, TIMESTAMP)) {
                free(f->etag);
                f->etag = TAKE(file.etag);
        }
        return updater_feed(f->updater, file.data.data, file.data.size, e);
}

/* Whether another process refreshed since this updater did: what its searches bring is then older than what is there. */
static bool is_overtaken(const Refresh *f) {
        _cleanup_json_ json_t *j = NULL;

        return json_read_file(f->trust_fd, TIMESTAMP, TIMESTAMP_MAX, &j, NULL) >= 0 &&
               json_get_integer(json_object_get(j, "signed"), "version", 0) >
                               updater_version(f->updater, "timestamp");
}

static int store(const Refresh *f, const UpdaterStep *step, Error *e) {
        _cleanup_close_ int held = -1;
        int r = f->searches ? lock(f->trust_fd, &held, e) : 0;

        if (r < 0)
                return r;
        if (!f->searches || !is_overtaken(f))
                r = write_file(f, step->file, step->data, step->size);
        return r < 0 ? error_errno(e, r, "cannot write the trusted %s", step->file) : 0;
}

static int delete (const Refresh *f, const UpdaterStep *step, Error *e) {
        int r;

        r = fs_unlink_durable(f->trust_fd, step->file);
        return r < 0 && r != -ENOENT ? error_errno(e, r, "cannot remove the trusted %s", step->file) : 0;
}

static int follow(Refresh *f, Error *e) {
        UpdaterStep step;
        int r;

        while ((r = updater_next(f->updater, &step, e)) > 0) {
                switch (step.action) {
                case UPDATER_LOAD:
                        r = load(f, &step, e);
                        break;
                case UPDATER_FETCH:
                        r = fetch(f, &step, e);
                        break;
                case UPDATER_STORE:
                        r = store(f, &step, e);
                        break;
                case UPDATER_DELETE:
                        r = delete (f, &step, e);
                        break;
                }
                if (r < 0)
                        return r;
        }
        return r;
}

/* A search mostly needs nothing that is not here: it locks for what it stores alone. */
static int run(Refresh *f, Error *e) {
        _cleanup_close_ int held = -1;
        int r;

        f->searches = updater_version(f->updater, "targets") > 0;
        r = f->source && !f->searches ? lock(f->trust_fd, &held, e) : 0;
        if (r < 0)
                return r;
        r = follow(f, e);
        ahead_clear(&f->ahead);
        if (r >= 0 && f->etag && keep_etag(f) < 0)
                (void) unlinkat(f->trust_fd, ETAG_FILE, 0); /* then it is asked for as if we had none */
        if (r < 0 && e && e->class == ERROR_UNTRUSTED && !e->hint)
                return error_hint(e, r,
                                "nothing of it was kept; find out whether this is the right repository, and "
                                "whether it or something on the way was altered");
        return r;
}

int refresh_run_below(Updater *u, Source *source, const char *directory, int trust_fd, const char *root_file,
                Error *e) {
        return run(&(Refresh){.updater = u,
                                   .source = source,
                                   .directory = directory,
                                   .trust_fd = trust_fd,
                                   .root_file = root_file},
                        e);
}

int refresh_run(Updater *u, Source *source, int trust_fd, const char *root_file, Error *e) {
        Refresh f = {.updater = u,
                        .source = source,
                        .directory = "metadata/",
                        .trust_fd = trust_fd,
                        .root_file = root_file,
                        .conditional = true};
        int r = run(&f, e);

        free(f.etag);
        return r;
}
