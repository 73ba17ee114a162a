#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/wakeup.h"

static int sets_twice(void *userdata) {
        Wakeup *w = userdata;
        int r = fiber_sleep(5 * USEC_PER_MSEC);

        wakeup_set(w);
        wakeup_set(w);
        return r;
}

static int waits(void *userdata _unused_) {
        _cleanup_(fiber_stop_p) Fiber *f = NULL;
        Wakeup w = WAKEUP_INIT;

        /* set before the wait: kept, once */
        wakeup_set(&w);
        wakeup_set(&w);
        assert_int_equal(wakeup_wait(&w, USEC_INFINITY), 0);
        assert_int_equal(wakeup_wait(&w, USEC_PER_MSEC), -ETIMEDOUT);

        /* set during the wait, and nobody else's wait is ended by it */
        assert_int_equal(fiber_new(fiber_event(), "setter", sets_twice, &w, &f), 0);
        assert_int_equal(wakeup_wait(&w, USEC_INFINITY), 0);
        assert_int_equal(fiber_join(f), 0);
        assert_int_equal(fiber_sleep(10 * USEC_PER_MSEC), 0);
        assert_int_equal(wakeup_wait(&w, USEC_PER_MSEC), -ETIMEDOUT);

        fiber_cancel(fiber_current());
        assert_int_equal(wakeup_wait(&w, USEC_INFINITY), -ECANCELED);
        return 0;
}

static void test_wakeup(void **state _unused_) {
        assert_int_equal(fiber_run(waits, NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_wakeup),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
