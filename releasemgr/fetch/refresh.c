#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "fetch/refresh.h"

#define METADATA_MODE 0644 /* it is public, and `status` may be asked by anybody */

typedef struct Refresh {
        Updater *updater;
        Source *source;
        const char *directory;
        int trust_fd;
        const char *root_file;
        bool conditional; /* the timestamp is only asked for where it is another than we have */
        char *etag;       /* that the server gave with the timestamp just fetched */
} Refresh;

/* "ADDRESS ETAG" of the timestamp that is stored in the trust directory: written behind it, so that it never stands for
 * one that is not. */
#define ETAG_FILE "timestamp.etag"
#define ETAG_MAX  (4 * KIB)

/* What to ask with; NULL where the stored timestamp is not from there, or is not there. */
static char *recall_etag(const Refresh *f) {
        _cleanup_free_ char *data = NULL;
        const char *etag;
        size_t size;

        if (!fs_exists(f->trust_fd, "timestamp.json") ||
                        fs_read_file(f->trust_fd, ETAG_FILE, ETAG_MAX, &data, &size) < 0)
                return NULL;
        etag = startswith(data, source_name(f->source));
        return etag && etag[0] == ' ' ? strdup(etag + 1) : NULL;
}

/* While somebody writes, nobody sweeps: the directory is locked, by as many writers as there are. A file system without
 * locks is written to all the same. */
static int write_file(int trust_fd, const char *name, const void *data, size_t size) {
        int r;

        (void) flock(trust_fd, LOCK_SH);
        r = fs_write_file_atomic(trust_fd, name, data, size, METADATA_MODE);
        (void) flock(trust_fd, LOCK_UN);
        return r;
}

void refresh_sweep(int trust_fd) {
        if (flock(trust_fd, LOCK_EX | LOCK_NB) < 0)
                return;
        (void) fs_remove_temporaries(trust_fd, NULL);
        (void) flock(trust_fd, LOCK_UN);
}

static int keep_etag(const Refresh *f) {
        _cleanup_free_ char *text = text_format("%s %s", source_name(f->source), f->etag);

        return text ? write_file(f->trust_fd, ETAG_FILE, text, strlen(text)) : -ENOMEM;
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

/* S3 says 403 of what is not there to who may not list, so both mean that it is missing. */
static int fetch(Refresh *f, const UpdaterStep *step, Error *e) {
        _cleanup_free_ char *path = text_format("%s%s", f->directory, step->url);
        _cleanup_(source_file_clear) SourceFile file = SOURCE_FILE_INIT;
        bool conditional = f->conditional && streq(step->url, "timestamp.json");
        _cleanup_free_ char *etag = conditional ? recall_etag(f) : NULL;
        _cleanup_error_ Error why = ERROR_INIT;
        int r;

        if (!path)
                return -ENOMEM;
        r = source_get(f->source, path, step->max, etag, &file, &why);
        if (r == -ENOENT || r == -EACCES)
                return updater_feed_missing(f->updater, e);
        if (r == -EFBIG)
                return error_set(e, ERROR_UNTRUSTED, r, "%s is longer than the %llu bytes that are allowed",
                                step->url, (unsigned long long) step->max);
        if (r < 0) {
                error_move(e, &why);
                return r;
        }
        if (file.unmodified)
                return load(f, &(UpdaterStep){.file = "timestamp.json", .max = step->max}, e);
        if (conditional) {
                free(f->etag);
                f->etag = TAKE(file.etag);
        }
        return updater_feed(f->updater, file.data.data, file.data.size, e);
}

static int store(const Refresh *f, const UpdaterStep *step, Error *e) {
        int r;

        r = write_file(f->trust_fd, step->file, step->data, step->size);
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

static int run(Refresh *f, Error *e) {
        int r = follow(f, e);

        if (r < 0 && e && e->class == ERROR_UNTRUSTED && !e->hint)
                return error_hint(e, r,
                                "nothing of it was kept; find out whether this is the right repository, and "
                                "whether it or something on the way was altered");
        return r;
}

int refresh_run_below(Updater *u, Source *source, const char *directory, int trust_fd, const char *root_file,
                Error *e) {
        return run(&(Refresh){u, source, directory, trust_fd, root_file, false, NULL}, e);
}

int refresh_run(Updater *u, Source *source, int trust_fd, const char *root_file, Error *e) {
        Refresh f = {u, source, "metadata/", trust_fd, root_file, true, NULL};
        int r = run(&f, e);

        if (r >= 0 && f.etag && keep_etag(&f) < 0)
                (void) unlinkat(trust_fd, ETAG_FILE, 0); /* then it is asked for as if we had none */
        free(f.etag);
        return r;
}
