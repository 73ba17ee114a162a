#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"

static int sleep_and_return(void *userdata) {
        int r = fiber_sleep(10 * USEC_PER_MSEC);

        return r < 0 ? r : *(int *) userdata;
}

static int two_sleepers(void *userdata _unused_) {
        _cleanup_(fiber_stop_p) Fiber *a = NULL, *b = NULL;
        uint64_t start = clock_monotonic();
        int one = 1, two = 2;

        assert_int_equal(fiber_new(fiber_event(), "a", sleep_and_return, &one, &a), 0);
        assert_int_equal(fiber_new(fiber_event(), "b", sleep_and_return, &two, &b), 0);
        assert_int_equal(fiber_join(b), 2);
        assert_int_equal(fiber_join(a), 1);
        assert_true(clock_monotonic() - start >= 10 * USEC_PER_MSEC);
        return 7;
}

static void test_join(void **state _unused_) {
        assert_int_equal(fiber_run(two_sleepers, NULL), 7);
}

/* Invariant 3: one cancel ends one wait. */
static int cancelled_then_undoes(void *userdata) {
        int *log = userdata;

        log[0] = fiber_sleep(3600 * USEC_PER_SEC);
        log[1] = fiber_sleep(1);
        return 3;
}

static int cancel_other(void *userdata _unused_) {
        int log[2] = {1, 1};
        Fiber *f;

        assert_int_equal(fiber_new(fiber_event(), "f", cancelled_then_undoes, log, &f), 0);
        assert_int_equal(fiber_sleep(1), 0);
        fiber_cancel(f);
        assert_int_equal(fiber_join(f), 3);
        assert_int_equal(log[0], -ECANCELED);
        assert_int_equal(log[1], 0);
        fiber_free(f);

        /* a cancel before the first turn is kept for the first wait */
        assert_int_equal(fiber_new(fiber_event(), "f", cancelled_then_undoes, log, &f), 0);
        fiber_cancel(f);
        assert_int_equal(fiber_join(f), 3);
        assert_int_equal(log[0], -ECANCELED);
        assert_int_equal(log[1], 0);
        fiber_free(f);
        return 0;
}

static void test_cancel(void **state _unused_) {
        assert_int_equal(fiber_run(cancel_other, NULL), 0);
}

/* A cancel of the one who waits in fiber_stop() is not lost. */
static int stops_slowly(void *userdata _unused_) {
        (void) fiber_sleep(3600 * USEC_PER_SEC);
        return fiber_sleep(20 * USEC_PER_MSEC);
}

static int stopper(void *userdata _unused_) {
        Fiber *f;

        assert_int_equal(fiber_new(fiber_event(), "slow", stops_slowly, NULL, &f), 0);
        assert_int_equal(fiber_sleep(1), 0);
        assert_null(fiber_stop(f));
        return fiber_sleep(1);
}

static int cancel_stopper(void *userdata _unused_) {
        Fiber *f;
        int r;

        assert_int_equal(fiber_new(fiber_event(), "stopper", stopper, NULL, &f), 0);
        assert_int_equal(fiber_sleep(5 * USEC_PER_MSEC), 0);
        fiber_cancel(f);
        r = fiber_join(f);
        fiber_free(f);
        return r;
}

static void test_stop_keeps_cancel(void **state _unused_) {
        assert_int_equal(fiber_run(cancel_stopper, NULL), -ECANCELED);
}

static int await_pipe(void *userdata _unused_) {
        _cleanup_close_ int in = -1, out = -1;
        int p[2];

        assert_int_equal(pipe(p), 0);
        in = p[0];
        out = p[1];
        assert_int_equal(fiber_await_fd(in, EPOLLIN, 1000), -ETIMEDOUT);
        assert_int_equal(fd_write_all(out, "x", 1), 0);
        assert_int_equal(fiber_await_fd(in, EPOLLIN, USEC_INFINITY), EPOLLIN);
        out = fd_close(out);
        assert_int_equal(fiber_await_fd(in, EPOLLIN, USEC_INFINITY), EPOLLIN | EPOLLHUP);
        return 0;
}

static void test_await_fd(void **state _unused_) {
        assert_int_equal(fiber_run(await_pipe, NULL), 0);
}

/* A signal that is blocked while a fiber sleeps stays blocked in it, and one that a fiber blocks stays so outside. */
static bool is_blocked(int number) {
        sigset_t mask;

        assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
        return sigismember(&mask, number);
}

static void block(int number) {
        sigset_t mask;

        assert_int_equal(sigemptyset(&mask), 0);
        assert_int_equal(sigaddset(&mask, number), 0);
        assert_int_equal(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
}

static int blocks_and_sees(void *userdata _unused_) {
        block(SIGUSR1);
        assert_int_equal(fiber_sleep(5 * USEC_PER_MSEC), 0);
        return is_blocked(SIGUSR2) && is_blocked(SIGUSR1);
}

static int mask_is_shared(void *userdata _unused_) {
        Fiber *f;
        int r;

        assert_int_equal(fiber_new(fiber_event(), "f", blocks_and_sees, NULL, &f), 0);
        assert_int_equal(fiber_sleep(USEC_PER_MSEC), 0);
        assert_true(is_blocked(SIGUSR1));
        block(SIGUSR2);
        r = fiber_join(f);
        fiber_free(f);
        return r;
}

static void test_signal_mask(void **state _unused_) {
        assert_int_equal(fiber_run(mask_is_shared, NULL), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_join),
                        cmocka_unit_test(test_cancel),
                        cmocka_unit_test(test_stop_keeps_cancel),
                        cmocka_unit_test(test_await_fd),
                        cmocka_unit_test(test_signal_mask),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
