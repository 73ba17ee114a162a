#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/scratch.h"

#include "base/clock.h"
#include "base/fiber.h"
#include "deploy/lock.h"

typedef struct Try {
        int dirfd;
        uint64_t wait_usec;
        const char *id;
        Lock *lock;
        Error error;
        int r;
} Try;

static int take(void *userdata) {
        _cleanup_json_ json_t *holder = NULL;
        Try *t = userdata;

        holder = json_pack("{ss ss ss ss ss}", "id", t->id, "verb", "activate", "version", "1.0", "by",
                        "alice", "since", "now");
        t->r = lock_take(t->dirfd, holder, t->wait_usec, &t->lock, &t->error);
        return 0;
}

static void try_take(Try *t) {
        error_clear(&t->error);
        assert_int_equal(fiber_run(take, t), 0);
}

/* A process that takes the lock, says so, and holds it until it is killed. */
static pid_t spawn_holder(Scratch *s) {
        int p[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(p), 0);
        pid = fork();
        if (pid == 0) {
                Try t = {.dirfd = s->fd, .id = "theirs"};

                try_take(&t);
                if (t.r >= 0)
                        (void) fd_write_all(p[1], "x", 1);
                for (;;)
                        (void) pause();
        }
        fd_close(p[1]);
        assert_int_equal(fd_read_full(p[0], &byte, 1), 1);
        fd_close(p[0]);
        return pid;
}

static void end(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_second_is_told_who(void **state) {
        Scratch *s = *state;
        Try t = {.dirfd = s->fd, .id = "ours"};
        _cleanup_json_ json_t *holder = NULL;
        pid_t pid;

        assert_int_equal(lock_holder(s->fd, &holder, NULL), 0); /* nobody ever took it */
        assert_null(holder);
        pid = spawn_holder(s);
        try_take(&t);
        assert_int_equal(t.r, -EBUSY);
        assert_int_equal(t.error.class, ERROR_LOCKED);
        assert_string_equal(t.error.message,
                        "deployment theirs (activate 1.0, by alice, since now) is under way, at stage plan");
        assert_non_null(t.error.hint);
        assert_int_equal(lock_holder(s->fd, &holder, NULL), 0);
        assert_string_equal(json_get_string(holder, "id"), "theirs");

        end(pid); /* the kernel lets go of it, though the file still names the dead */
        json_decref(holder);
        assert_int_equal(lock_holder(s->fd, &holder, NULL), 0);
        assert_null(holder);
        try_take(&t);
        assert_int_equal(t.r, 0);
        lock_free(t.lock);
        error_clear(&t.error);
}

/* Within one process as well: the lock belongs to the open file. */
static void test_one_process(void **state) {
        Scratch *s = *state;
        Try a = {.dirfd = s->fd, .id = "a"}, b = {.dirfd = s->fd, .id = "b"};
        json_t *holder;

        try_take(&a);
        assert_int_equal(a.r, 0);
        for (int i = 0; i < 3; i++) {
                try_take(&b);
                assert_int_equal(b.r, -EBUSY);
                assert_int_equal(lock_holder(s->fd, &holder, NULL), 0);
                assert_string_equal(json_get_string(holder, "id"), "a");
                json_decref(holder);
        }
        lock_free(a.lock);
        assert_int_equal(lock_holder(s->fd, &holder, NULL), 0);
        assert_null(holder);
        try_take(&b);
        assert_int_equal(b.r, 0);
        lock_free(b.lock);
        error_clear(&b.error);
}

static void test_wait(void **state) {
        Scratch *s = *state;
        Try t = {.dirfd = s->fd, .id = "ours", .wait_usec = 120 * USEC_PER_MSEC};
        uint64_t begin = clock_monotonic();
        pid_t pid = spawn_holder(s), killer;

        try_take(&t);
        assert_int_equal(t.r, -EBUSY);
        assert_true(clock_monotonic() - begin >= t.wait_usec);

        killer = fork();
        if (killer == 0) {
                (void) usleep(100 * 1000);
                _exit(kill(pid, SIGKILL));
        }
        t.wait_usec = USEC_INFINITY;
        try_take(&t);
        assert_int_equal(t.r, 0);
        lock_free(t.lock);
        assert_int_equal(waitpid(killer, NULL, 0), killer);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int cancel_wait(void *userdata) {
        Fiber *f;

        assert_int_equal(fiber_new(fiber_event(), "waits", take, userdata, &f), 0);
        assert_int_equal(fiber_sleep(10 * USEC_PER_MSEC), 0);
        fiber_stop(f);
        return 0;
}

static void test_wait_is_cancelled(void **state) {
        Scratch *s = *state;
        Try t = {.dirfd = s->fd, .id = "ours", .wait_usec = USEC_INFINITY};
        pid_t pid = spawn_holder(s);

        assert_int_equal(fiber_run(cancel_wait, &t), 0);
        assert_int_equal(t.r, -ECANCELED);
        end(pid);
}

/* Between taking it and saying who: what stands in the file is of another time, and not believed. */
static void test_text_of_the_dead(void **state) {
        Scratch *s = *state;
        _cleanup_json_ json_t *holder = NULL;
        struct flock first = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
        Try t = {.dirfd = s->fd, .id = "ours"};
        _cleanup_close_ int fd = -1;

        end(spawn_holder(s));
        fd = openat(s->fd, "lock", O_RDWR | O_CLOEXEC);
        assert_int_equal(fcntl(fd, F_OFD_SETLK, &first), 0);
        assert_int_equal(lock_holder(s->fd, &holder, NULL), 0);
        assert_true(json_is_object(holder));
        assert_null(json_get_string(holder, "id"));
        try_take(&t);
        assert_int_equal(t.r, -EBUSY);
        assert_string_equal(t.error.message, "another deployment is just beginning");
        error_clear(&t.error);
}

/* Recovery has no id of its own, and a pull names no version. */
static void test_holder_without_id_or_version(void **state) {
        static const struct {
                const char *id, *sentence;
        } cases[] = {
                        {"theirs", "deployment theirs (pull, by root, since now) is under way, at stage "
                                   "plan"},
                        {NULL, "pull (by root, since now) is under way"},
        };
        Scratch *s = *state;

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_json_ json_t *holder = json_pack("{ss* ss ss ss}", "id", cases[i].id, "verb", "pull",
                                "by", "root", "since", "now");
                _cleanup_(lock_free_p) Lock *lock = NULL;
                Try t = {.dirfd = s->fd, .id = "ours"};

                assert_int_equal(lock_take(s->fd, holder, 0, &lock, NULL), 0);
                try_take(&t);
                assert_int_equal(t.r, -EBUSY);
                assert_string_equal(t.error.message, cases[i].sentence);
                error_clear(&t.error);
        }
}

/* The recovery after the last deployment is no reason to refuse the next one. */
static void test_recovery_is_waited_for(void **state) {
        _cleanup_json_ json_t *holder =
                        json_pack("{ss ss ss}", "verb", "recover", "by", "root", "since", "now");
        Scratch *s = *state;
        Try t = {.dirfd = s->fd, .id = "ours"};
        Lock *lock;
        pid_t pid;
        int p[2];
        char byte;

        assert_int_equal(pipe(p), 0);
        pid = fork();
        if (pid == 0) {
                if (lock_take(s->fd, holder, 0, &lock, NULL) < 0)
                        _exit(1);
                (void) fd_write_all(p[1], "x", 1);
                (void) usleep(200 * 1000);
                _exit(0);
        }
        fd_close(p[1]);
        assert_int_equal(fd_read_full(p[0], &byte, 1), 1);
        fd_close(p[0]);
        try_take(&t);
        assert_int_equal(t.r, 0);
        lock_free(t.lock);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Whoever asks must not make another's taking fail. */
static void test_asking_is_in_nobodys_way(void **state) {
        Scratch *s = *state;
        pid_t pid = fork();

        if (pid == 0)
                for (;;) {
                        json_t *holder;

                        if (lock_holder(s->fd, &holder, NULL) >= 0)
                                json_decref(holder);
                }
        for (int i = 0; i < 500; i++) {
                Try t = {.dirfd = s->fd, .id = "ours"};

                try_take(&t);
                assert_int_equal(t.r, 0);
                lock_free(t.lock);
        }
        end(pid);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        scratch_test(test_second_is_told_who),
                        scratch_test(test_one_process),
                        scratch_test(test_wait),
                        scratch_test(test_wait_is_cancelled),
                        scratch_test(test_text_of_the_dead),
                        scratch_test(test_holder_without_id_or_version),
                        scratch_test(test_recovery_is_waited_for),
                        scratch_test(test_asking_is_in_nobodys_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
