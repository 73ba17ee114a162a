/* Transient units against a real PID 1. Runs as root inside a throwaway host. */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "host/transient.h"

#define SOON (clock_monotonic() + 60 * USEC_PER_SEC)

typedef struct Run {
        Bus *bus;
        TransientSpec spec;
        TransientResult result;
        Error e;
        int r;
} Run;

static void run_clear(Run *run) {
        transient_result_clear(&run->result);
        error_clear(&run->e);
}

/* The unit is gone, and nothing of it is left: not even its name. */
static void assert_gone(Bus *b, const char *unit) {
        UnitState s;

        assert_int_equal(unit_read(b, unit, &s, NULL), 0);
        assert_string_equal(s.load_state, "not-found");
}

static void run_shell(Run *run, const char *script) {
        const char *argv[] = {"/bin/sh", "-c", script, NULL};

        run_clear(run);
        run->spec.argv = (char *const *) argv;
        run->spec.unit = "releasemgr-test.service";
        run->r = transient_run(run->bus, &run->spec, 100, &run->result, &run->e);
        assert_gone(run->bus, run->spec.unit);
}

static bool says(const Run *run, const char *line) {
        for (char **l = run->result.output; l && *l; l++)
                if (endswith(*l, line))
                        return true;
        return false;
}

static int to_its_end(void *userdata _unused_) {
        static const char *const environment[] = {"NAME=some value", NULL};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(run_clear) Run run = {0};

        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        run.bus = b;
        run.spec.environment = (char *const *) environment;
        run.spec.working_directory = "/usr";
        run_shell(&run, "echo \"$NAME in $PWD\"");
        assert_int_equal(run.r, 0);
        assert_true(says(&run, "]: some value in /usr"));

        run_shell(&run, "echo no; exit 9");
        assert_int_equal(run.r, 1);
        assert_string_equal(run.e.message, "/bin/sh exited with status 9");
        assert_int_equal(run.result.state.exec_main_status, 9);
        assert_true(says(&run, "]: no"));

        run_shell(&run, "kill -SEGV $$");
        assert_int_equal(run.r, 1);
        assert_string_equal(run.e.message, "/bin/sh was killed by SIGSEGV");
        return 0;
}

/* It is over before anybody can look at it. */
static int words_of_one_that_is_gone(void *userdata _unused_) {
        static const char *const argv[] = {"/bin/sh", "-c", "echo first; echo last words; exit 1", NULL};
        const TransientSpec spec = {.unit = "releasemgr-brief.service", .argv = (char *const *) argv};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(run_clear) Run run = {0};
        UnitState s;

        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        (void) transient_start(b, &spec, SOON, NULL, NULL);
        do
                assert_int_equal(unit_read(b, spec.unit, &s, NULL), 0);
        while (!streq(s.load_state, "not-found"));
        assert_int_equal(unit_tail_by_name(spec.unit, 100, &run.result.output), 0);
        assert_true(says(&run, "]: first") && says(&run, "]: last words"));
        assert_true(says(&run, "Main process exited, code=exited, status=1/FAILURE"));
        return 0;
}

static int not_executable(void *userdata _unused_) {
        static const char *const argv[] = {"/no/such/program", NULL};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(run_clear) Run run = {0};

        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        run.spec.unit = "releasemgr-test.service";
        run.spec.argv = (char *const *) argv;
        assert_int_equal(transient_run(b, &run.spec, 10, &run.result, &run.e), 1);
        assert_string_equal(
                        run.e.message, "/no/such/program could not execute its program (status 203/EXEC)");
        run_clear(&run);
        assert_int_equal(transient_start(b, &run.spec, SOON, NULL, &run.e), -EIO);
        assert_true(startswith(run.e.message, "Cannot run releasemgr-test.service: "));
        return 0;
}

/* A command that ignores SIGTERM, and its child. */
static int deadline(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(run_clear) Run run = {0};

        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        run.bus = b;
        run.spec.timeout_usec = 3 * USEC_PER_SEC; /* enough for the shell to begin */
        run.spec.stop_timeout_usec = 300 * USEC_PER_MSEC;
        run_shell(&run, "trap '' TERM; (trap '' TERM; sleep 1000) & echo stubborn; while :; do sleep 1; "
                        "done");
        assert_int_equal(run.r, 1);
        assert_string_equal(run.e.message, "/bin/sh was killed after 3.0s");
        assert_true(says(&run, "]: stubborn"));
        assert_true(run.result.took_usec < 60 * USEC_PER_SEC); /* and not systemd's own 90 s */
        return 0;
}

static int run_in_background(void *userdata) {
        Run *run = userdata;
        const char *argv[] = {"/bin/sleep", "1000", NULL};

        run->spec.argv = (char *const *) argv;
        run->spec.unit = "releasemgr-test.service";
        return transient_run(run->bus, &run->spec, 0, &run->result, &run->e);
}

static int cancelled(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(run_clear) Run run = {0}, second = {0};
        Fiber *f;

        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        run.bus = second.bus = b;
        assert_int_equal(fiber_new(fiber_event(), "run", run_in_background, &run, &f), 0);
        assert_int_equal(fiber_sleep(200 * USEC_PER_MSEC), 0);

        assert_int_equal(run_in_background(&second), -EEXIST); /* and the first is left alone */
        assert_false(fiber_is_done(f));

        fiber_cancel(f);
        assert_int_equal(fiber_join(f), -ECANCELED);
        fiber_free(f);
        assert_gone(b, "releasemgr-test.service");
        return 0;
}

static int sandboxed(void *userdata _unused_) {
        static const char *const writable[] = {"/var/lib/sandbox-test", NULL};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(run_clear) Run run = {0};

        assert_int_equal(fs_mkdir_parents(AT_FDCWD, writable[0], 0755), 0);
        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        run.bus = b;
        run.spec.sandbox = true;
        run.spec.writable = (char *const *) writable;
        run_shell(&run, "touch /etc/x");
        assert_int_equal(run.r, 1);
        run_shell(&run, "touch /opt/x");
        assert_int_equal(run.r, 1);
        run_shell(&run, "touch /var/lib/sandbox-test/x /tmp/sandbox-test-x");
        assert_int_equal(run.r, 0);
        assert_true(fs_exists(AT_FDCWD, "/var/lib/sandbox-test/x"));
        assert_false(fs_exists(AT_FDCWD, "/tmp/sandbox-test-x"));
        run_shell(&run, "grep -q 'NoNewPrivs:.*1' /proc/self/status");
        assert_int_equal(run.r, 0);
        return 0;
}

/* As a deployment runs: on its own from the start, collected at the end. That systemd reads its files again meanwhile takes
 * no command from it. */
static int detached(void *userdata _unused_) {
        static const char *const argv[] = {"/bin/sh", "-c",
                        "until test -e /run/detached-seen; do sleep 0.05; "
                        "done; exit 1",
                        NULL};
        static const char *const after[] = {"/usr/bin/touch", "/run/detached-ended", NULL};
        const TransientSpec spec = {.unit = "releasemgr-test-detached.service",
                        .argv = (char *const *) argv,
                        .after = (char *const *) after};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(unit_watch_free_p) UnitWatch *w = NULL;
        Wakeup wakeup = WAKEUP_INIT;
        UnitOutcome o;
        UnitState s;

        assert_int_equal(bus_new(fiber_event(), &b, NULL), 0);
        assert_int_equal(transient_start(b, &spec, SOON, &o, NULL), 0);
        assert_string_equal(o.state.active_state, "active");
        assert_int_equal(manager_reload(b, NULL), 0);
        assert_int_equal(unit_read(b, spec.unit, &s, NULL), 0);
        assert_string_equal(s.load_state, "loaded");
        assert_int_equal(unit_watch_new(b, spec.unit, &wakeup, &w), 0);
        assert_int_equal(fs_write_file_atomic(AT_FDCWD, "/run/detached-seen", "", 0, 0644), 0);
        do {
                assert_int_equal(wakeup_wait(&wakeup, 60 * USEC_PER_SEC), 0);
                assert_int_equal(unit_read(b, spec.unit, &s, NULL), 0);
        } while (unit_is_active(&s) || streq(s.active_state, "deactivating"));
        for (uint64_t until = SOON; !streq(s.load_state, "not-found") && clock_monotonic() < until;) {
                assert_int_equal(fiber_sleep(10 * USEC_PER_MSEC), 0);
                assert_int_equal(unit_read(b, spec.unit, &s, NULL), 0);
        }
        assert_gone(b, spec.unit);
        assert_true(fs_exists(AT_FDCWD, "/run/detached-ended"));
        return 0;
}

#define IN_FIBER(name)                                                                                       \
        static void test_##name(void **state _unused_) {                                                     \
                assert_int_equal(fiber_run(name, NULL), 0);                                                  \
        }

IN_FIBER(to_its_end)
IN_FIBER(words_of_one_that_is_gone)
IN_FIBER(not_executable)
IN_FIBER(deadline)
IN_FIBER(cancelled)
IN_FIBER(sandboxed)
IN_FIBER(detached)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_to_its_end),
                        cmocka_unit_test(test_words_of_one_that_is_gone),
                        cmocka_unit_test(test_not_executable),
                        cmocka_unit_test(test_deadline),
                        cmocka_unit_test(test_cancelled),
                        cmocka_unit_test(test_sandboxed),
                        cmocka_unit_test(test_detached),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
