#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "base/fs.h"
#include "deploy/lock.h"

#define LOCK_FILE    "lock"
#define HOLDER_MAX   (64 * KIB)
#define POLL_USEC    (20 * USEC_PER_MSEC)
#define RECOVER_USEC (5 * USEC_PER_SEC)

/* Locks of the open file description: unlike those of flock(2), one can ask for them without taking them, so that
 * whoever asks is in nobody's way. Two bytes are locked, one after the other. */
typedef enum LockByte {
        LOCK_HELD,  /* by the deployment under way */
        LOCK_NAMED, /* and the file says by which */
} LockByte;

struct Lock {
        int fd;
        json_t *holder;
};

static int set_byte(int fd, LockByte byte) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

        return fcntl(fd, F_OFD_SETLK, &l) < 0 ? -errno : 0;
}

/* Whether somebody else has locked @byte: 1 or 0. */
static int byte_is_set(int fd, LockByte byte) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

        return fcntl(fd, F_OFD_GETLK, &l) < 0 ? -errno : l.l_type != F_UNLCK;
}

static int refuse(const json_t *holder, Error *e) {
        const char *id = json_get_string(holder, "id"), *verb = json_get_string(holder, "verb");
        const char *version = json_get_string(holder, "version"), *by = json_get_string(holder, "by") ?: "?";
        const char *since = json_get_string(holder, "since") ?: "?";

        if (!verb) /* it has the lock, and has not yet said who it is */
                error_set(e, ERROR_LOCKED, -EBUSY, "another deployment is just beginning");
        else if (!id)
                error_set(e, ERROR_LOCKED, -EBUSY, "%s (by %s, since %s) is under way", verb, by, since);
        else
                error_set(e, ERROR_LOCKED, -EBUSY,
                                "deployment %s (%s%s%s, by %s, since %s) is under way, at stage %s", id, verb,
                                version ? " " : "", version ?: "", by, since,
                                json_get_string(holder, "stage") ?: "plan");
        return error_hint(e, -EBUSY, "releasemgr status shows where it is; --wait waits for it");
}

/* Who holds the lock on @fd; an empty object where he has not said it, yet or any more. */
static int read_holder(int dirfd, int fd, json_t **ret) {
        _cleanup_json_ json_t *holder = NULL;
        int r;

        r = byte_is_set(fd, LOCK_NAMED);
        if (r > 0) {
                r = json_read_file(dirfd, LOCK_FILE, HOLDER_MAX, &holder, NULL);
                if (r == -ENOMEM)
                        return r;
        }
        *ret = r >= 0 && holder ? TAKE(holder) : json_object();
        return *ret ? 0 : -ENOMEM;
}

/* In place, not by rename: the lock is on this very inode. One write, so that a reader sees the old or the new text, or
 * at worst one that is no JSON, which it reads as "just beginning". */
static int write_holder(int fd, const json_t *holder) {
        _cleanup_free_ char *text = json_dumps(holder, JSON_COMPACT);
        ssize_t n;

        if (!text)
                return -ENOMEM;
        n = pwrite(fd, text, strlen(text), 0);
        if (n < 0)
                return -errno;
        n = fd_truncate(fd, n);
        return n < 0 ? (int) n : set_byte(fd, LOCK_NAMED);
}

int lock_set_stage(Lock *l, const char *stage) {
        if (json_object_set_new(l->holder, "stage", json_string(stage)) < 0)
                return -ENOMEM;
        return write_holder(l->fd, l->holder);
}

/* A deployment is refused where another one holds the lock for longer than @wait_usec. Who has no id has not yet said who
 * it is, or is the recovery that follows each deployment: it is soon done, and nobody asked for it. 0: not yet. */
static int check_patience(int dirfd, int fd, uint64_t waited_usec, uint64_t wait_usec, Error *e) {
        _cleanup_json_ json_t *other = NULL;
        int r = read_holder(dirfd, fd, &other);

        if (r < 0)
                return r;
        if (!json_get_string(other, "id"))
                wait_usec = MAX_OF(wait_usec, RECOVER_USEC);
        return waited_usec >= wait_usec ? refuse(other, e) : 0;
}

int lock_take(int dirfd, json_t *holder, uint64_t wait_usec, Lock **ret, Error *e) {
        uint64_t begin = clock_monotonic();
        _cleanup_close_ int fd = -1;
        Lock *l;
        int r;

        fd = fd_openat(dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
                return error_errno(e, -errno, "cannot open the lock");
        while ((r = set_byte(fd, LOCK_HELD)) < 0) {
                if (r != -EAGAIN && r != -EACCES)
                        return error_errno(e, r, "cannot take the lock");
                r = check_patience(dirfd, fd, clock_monotonic() - begin, wait_usec, e);
                if (r >= 0)
                        r = fiber_sleep(POLL_USEC);
                if (r < 0)
                        return r;
        }
        (void) write_holder(fd, holder); /* /run may be full: it is ours all the same */
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->fd = TAKE_FD(fd);
        l->holder = json_incref(holder);
        *ret = l;
        return 0;
}

int lock_holder(int dirfd, json_t **ret, Error *e) {
        _cleanup_close_ int fd = fd_openat(dirfd, LOCK_FILE, O_RDONLY | O_CLOEXEC);
        int r;

        *ret = NULL;
        if (fd < 0 && errno == ENOENT)
                return 0;
        r = fd < 0 ? -errno : byte_is_set(fd, LOCK_HELD);
        if (r < 0)
                return error_errno(e, r, "cannot see who holds the lock");
        return r > 0 ? read_holder(dirfd, fd, ret) : 0;
}

Lock *lock_free(Lock *l) {
        if (l) {
                fd_close(l->fd);
                json_decref(l->holder);
                free(l);
        }
        return NULL;
}
