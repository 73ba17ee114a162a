#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fiber.h"
#include "store/beneath.h"
#include "store/decompress.h"
#include "store/extract.h"
#include "store/patch.h"
#include "store/queue.h"
#include "store/release.h"
#include "store/tarstream.h"
#include "store/unpack.h"

/* Pieces that wait at most before the threads, and their size. */
#define INPUT_PIECES 2
#define INPUT_PIECE  (256 * KIB)
#define TAR_PIECES   8
#define TAR_PIECE    (128 * KIB)

/* The threads. The last two read the tar stream. */
typedef enum Stage {
        STAGE_DECODE,
        STAGE_HASH,
        STAGE_UNPACK,
        STAGES,
} Stage;

/* What is made, and from what: descriptors, borrowed, -1 where it is not that. */
typedef struct Ends {
        int staging_dirfd;   /* the stream is unpacked here, */
        int tar_fd;          /* or written here as it is */
        int old_dirfd;       /* it starts from a sealed release, */
        int old_tar_fd;      /* or the tar stream in a file, */
        uint64_t old_length; /* which has so many bytes */
} Ends;

typedef struct Task {
        Extract *extract;
        Stage stage;
} Task;

struct Extract {
        Ends ends;
        const BundleInfo *expected;

        pthread_t threads[STAGES];
        Task tasks[STAGES];
        unsigned n_threads; /* started */
        int wakeup;         /* an eventfd: there is room again, or a thread ended */
        atomic_uint ended;  /* threads that came to their end */

        Queue *input, *tar;

        /* The first failure of a thread. */
        pthread_mutex_t mutex;
        int result;
        Error error;

        Decompressor *decompressor;
        Hasher *hasher;
        uint64_t tar_length; /* that came yet */

        /* From a patch: the release that it starts from. */
        ReleaseInfo *old_info;
        TarStream *old;
        Patcher *patcher;
};

static void wake_fiber(void *userdata) {
        Extract *x = userdata;

        (void) eventfd_write(x->wakeup, 1);
}

/* What a signed patch made, and is wrong, started from a wrong release. */
static int blame_old(int r, Error *e) {
        if (r != -EBADMSG)
                return r;
        r = error_prefix(e, -ESTALE, "Made from a release that is damaged: ");
        e->class = ERROR_FAILED;
        return r;
}

/* Keeps the first failure and stops the other thread. What follows from queue_abort() is no failure of its own. */
static void extract_fail(Extract *x, int r, Error *e) {
        if (x->old)
                r = blame_old(r, e);
        (void) pthread_mutex_lock(&x->mutex);
        if (x->result == 0) {
                x->result = r;
                error_move(&x->error, e);
        }
        (void) pthread_mutex_unlock(&x->mutex);
        queue_abort(x->input);
        queue_abort(x->tar);
}

/* The failure there was, with its text copied to @e; otherwise 0. */
static int extract_result(Extract *x, Error *e) {
        int r;

        (void) pthread_mutex_lock(&x->mutex);
        r = x->result;
        if (r < 0 && x->error.message) {
                error_set(e, x->error.class, r, "%s", x->error.message);
                if (x->error.hint)
                        error_hint(e, r, "%s", x->error.hint);
        }
        (void) pthread_mutex_unlock(&x->mutex);
        return r;
}

static int count_tar(Extract *x, size_t size, Error *e) {
        if (size > x->expected->tar_length - x->tar_length)
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The tar stream is longer than the %llu bytes that were signed",
                                (unsigned long long) x->expected->tar_length);
        x->tar_length += size;
        return 0;
}

/* The next bytes of the tar stream: counted, and on to who reads them. */
static int on_tar(void *userdata, const void *data, size_t size, Error *e) {
        Extract *x = userdata;
        int r = count_tar(x, size, e);

        for (size_t done = 0; done < size && r >= 0; done += TAR_PIECE)
                r = queue_put(x->tar, (const char *) data + done, MIN_OF(TAR_PIECE, size - done));
        return r;
}

/* The same, made where they are read. */
static int tar_room(void *userdata, void **ret, size_t *ret_size) {
        *ret_size = TAR_PIECE;
        return queue_room(((Extract *) userdata)->tar, ret);
}

static int on_tar_in_place(void *userdata, const void *data _unused_, size_t size, Error *e) {
        Extract *x = userdata;
        int r = count_tar(x, size, e);

        if (r >= 0)
                queue_add(x->tar, size);
        return r;
}

static int check_length(const Extract *x, Error *e) {
        if (x->tar_length == x->expected->tar_length)
                return 0;
        return error_set(e, ERROR_UNTRUSTED, -EBADMSG, "The tar stream has %llu bytes, but %llu were signed",
                        (unsigned long long) x->tar_length, (unsigned long long) x->expected->tar_length);
}

/* The next decompressed bytes of the patch. */
static int on_patch(void *userdata, const void *data, size_t size, Error *e) {
        Sink sink = {.write = on_tar, .userdata = userdata};

        return patcher_push(((Extract *) userdata)->patcher, data, size, &sink, e);
}

static int read_old(void *userdata, uint64_t offset, void *data, size_t size, Error *e) {
        return tar_stream_read(((Extract *) userdata)->old, offset, data, size, e);
}

static int read_old_tar(void *userdata, uint64_t offset, void *data, size_t size, Error *e) {
        ssize_t n = fd_pread_full(((Extract *) userdata)->ends.old_tar_fd, data, size, offset);

        if (n >= 0 && (size_t) n != size)
                n = -EIO;
        return n < 0 ? error_errno(e, (int) n, "Cannot read the release between two patches") : 0;
}

static int decode(Extract *x, Error *e) {
        const Sink patch = {.write = on_patch, .userdata = x},
                   tar = {.write = on_tar_in_place, .userdata = x, .room = tar_room};
        const void *data;
        size_t size;
        int r;

        while ((r = queue_get(x->input, 0, &data, &size)) > 0) {
                r = decompressor_push(x->decompressor, data, size, x->patcher ? &patch : &tar, e);
                if (r < 0)
                        return r;
        }
        if (r < 0 || (r = decompressor_finish(x->decompressor, e)) < 0)
                return r;
        return x->patcher ? patcher_finish(x->patcher, e) : 0;
}

static int make_tar(Extract *x, Error *e) {
        int r = decode(x, e);

        if (r >= 0)
                r = check_length(x, e);
        if (r >= 0)
                queue_close(x->tar);
        return r;
}

/* The next piece of the tar stream for one of the stages that read it. */
static int next_piece(Extract *x, Stage stage, const void **ret, size_t *ret_size) {
        return queue_get(x->tar, stage - STAGE_HASH, ret, ret_size);
}

static int hash_tar(Extract *x, Error *e) {
        const void *data;
        Digest digest;
        size_t size;
        int r;

        while ((r = next_piece(x, STAGE_HASH, &data, &size)) > 0)
                if ((r = hasher_add(x->hasher, data, size)) < 0)
                        return r;
        if (r < 0 || (r = hasher_finish(x->hasher, &digest)) < 0)
                return r;
        if (!digest_equal(&digest, &x->expected->tar_digest))
                return error_set(e, ERROR_UNTRUSTED, -EBADMSG,
                                "The tar stream does not have the SHA-256 that was signed");
        return 0;
}

static int next_to_unpack(void *userdata, const void **ret, size_t *ret_size) {
        return next_piece(userdata, STAGE_UNPACK, ret, ret_size);
}

/* A disk without room for it has room for the bundle yet, so that is no reason to give up. */
static int write_tar(Extract *x, Error *e) {
        const void *data;
        size_t size;
        int r;

        while ((r = next_to_unpack(x, &data, &size)) > 0) {
                r = fd_write_all(x->ends.tar_fd, data, size);
                if (r < 0)
                        return error_set(e, ERROR_FAILED, -ESTALE,
                                        "Cannot write the release between two patches: %s", strerror(-r));
        }
        return r;
}

static int unpack(Extract *x, Error *e) {
        return x->ends.tar_fd >= 0 ? write_tar(x, e)
                                   : unpack_tar(x->ends.staging_dirfd, x->expected, next_to_unpack, x, e);
}

static void *thread_main(void *userdata) {
        static int (*const work[])(Extract * x, Error * e) = {
                        [STAGE_DECODE] = make_tar, [STAGE_HASH] = hash_tar, [STAGE_UNPACK] = unpack};
        Task *task = userdata;
        Extract *x = task->extract;
        Error e = ERROR_INIT;
        int r = work[task->stage](x, &e);

        if (r < 0)
                extract_fail(x, r, &e);
        error_clear(&e);
        atomic_fetch_add(&x->ended, 1);
        wake_fiber(x);
        return NULL;
}

static int make_parts(Extract *x) {
        int r;

        x->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (x->wakeup < 0)
                return -errno;
        if ((r = queue_new(INPUT_PIECES, INPUT_PIECE, 1, wake_fiber, x, &x->input)) < 0 ||
                        (r = queue_new(TAR_PIECES, TAR_PIECE, 2, NULL, NULL, &x->tar)) < 0 ||
                        (r = hasher_new(&x->hasher)) < 0)
                return r;
        return decompressor_new(&x->decompressor);
}

/* Signals are for the loop's thread: ours block them all. */
static int start_threads(Extract *x) {
        sigset_t all, old;
        int r = 0;

        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &old);
        for (Stage i = 0; i < STAGES && r == 0; i++) {
                x->tasks[i] = (Task){.extract = x, .stage = i};
                r = -pthread_create(&x->threads[i], NULL, thread_main, &x->tasks[i]);
                x->n_threads += r == 0;
        }
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r;
}

/* Opens the sealed release below @old_dirfd as the tar stream that a patch starts from. */
static int open_old(Extract *x, int old_dirfd, Error *e) {
        int fd, r = release_info_read(old_dirfd, &x->old_info, e);

        if (r < 0)
                return r;
        fd = beneath_open(old_dirfd, RELEASE_MANIFEST, O_RDONLY | O_NOFOLLOW, 0);
        if (fd < 0)
                return error_errno(e, fd, "Cannot open %s", RELEASE_MANIFEST);
        r = tar_stream_new(old_dirfd, fd, x->old_info->shared, &x->old, e);
        if (r == -EBADMSG || (r >= 0 && tar_stream_length(x->old) != x->old_info->tar_length))
                return error_set(e, ERROR_FAILED, -ESTALE, "The manifest of the release %s is damaged",
                                x->old_info->version);
        return MIN_OF(r, 0);
}

static int begin(const Ends *ends, const BundleInfo *expected, bool patch, Extract **ret, Error *e) {
        _cleanup_(extract_free_p) Extract *x = calloc(1, sizeof(*x));
        int r;

        if (!x)
                return -ENOMEM;
        x->ends = *ends;
        x->expected = expected;
        x->wakeup = -1;
        (void) pthread_mutex_init(&x->mutex, NULL);
        r = make_parts(x);
        if (r < 0)
                return error_errno(e, r, "Cannot begin to unpack");
        r = ends->old_dirfd >= 0 ? open_old(x, ends->old_dirfd, e) : 0;
        if (r >= 0 && patch)
                r = patcher_new(x->old ? tar_stream_length(x->old) : ends->old_length, expected->tar_length,
                                x->old ? read_old : read_old_tar, x, &x->patcher);
        if (r < 0)
                return r;
        r = start_threads(x);
        if (r < 0)
                return error_errno(e, r, "Cannot begin to unpack");
        *ret = TAKE(x);
        return 0;
}

int extract_begin(int staging_dirfd, const BundleInfo *expected, Extract **ret, Error *e) {
        return begin(&(Ends){staging_dirfd, -1, -1, -1, 0}, expected, false, ret, e);
}

int extract_begin_patch(
                int staging_dirfd, const BundleInfo *expected, int old_dirfd, Extract **ret, Error *e) {
        return begin(&(Ends){staging_dirfd, -1, old_dirfd, -1, 0}, expected, true, ret, e);
}

int extract_begin_first(int tar_fd, const BundleInfo *expected, int old_dirfd, Extract **ret, Error *e) {
        return begin(&(Ends){-1, tar_fd, old_dirfd, -1, 0}, expected, true, ret, e);
}

int extract_begin_second(int staging_dirfd, const BundleInfo *expected, int tar_fd, uint64_t tar_length,
                Extract **ret, Error *e) {
        return begin(&(Ends){staging_dirfd, -1, -1, tar_fd, tar_length}, expected, true, ret, e);
}

/* Suspends until a thread made room or ended. */
static int await_wakeup(Extract *x) {
        eventfd_t count;
        int r = fiber_await_fd(x->wakeup, EPOLLIN, USEC_INFINITY);

        if (r < 0)
                return r;
        (void) eventfd_read(x->wakeup, &count);
        return 0;
}

static int push_piece(Extract *x, const void *data, size_t size) {
        int r;

        while ((r = queue_try_put(x->input, data, size)) == -EAGAIN)
                if ((r = await_wakeup(x)) < 0)
                        return r;
        return r;
}

int extract_push(Extract *x, const void *data, size_t size, Error *e) {
        for (size_t done = 0; done < size; done += INPUT_PIECE) {
                int r = push_piece(x, (const char *) data + done, MIN_OF(INPUT_PIECE, size - done)), failure;

                if (r < 0)
                        return (failure = extract_result(x, e)) < 0 ? failure : r;
        }
        return extract_result(x, e);
}

int extract_finish(Extract *x, Error *e) {
        int r;

        queue_close(x->input);
        while (atomic_load(&x->ended) < x->n_threads) {
                r = await_wakeup(x);
                if (r < 0)
                        return r;
        }
        return extract_result(x, e);
}

Extract *extract_free(Extract *x) {
        if (!x)
                return NULL;
        if (x->n_threads > 0) {
                queue_abort(x->input);
                queue_abort(x->tar);
        }
        for (unsigned i = 0; i < x->n_threads; i++)
                (void) pthread_join(x->threads[i], NULL);
        decompressor_free(x->decompressor);
        patcher_free(x->patcher);
        tar_stream_free(x->old);
        release_info_free(x->old_info);
        hasher_free(x->hasher);
        queue_free(x->input);
        queue_free(x->tar);
        fd_close(x->wakeup);
        error_clear(&x->error);
        (void) pthread_mutex_destroy(&x->mutex);
        free(x);
        return NULL;
}
