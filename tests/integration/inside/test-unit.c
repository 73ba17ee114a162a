/* host/ against a real PID 1. Runs as root inside a throwaway host. */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "host/process.h"
#include "host/unit-judge.h"
#include "host/unit.h"

#define UNITS "/run/systemd/system/"

#define SOON (clock_monotonic() + 60 * USEC_PER_SEC)

static void write_unit(const char *name, const char *text) {
        _cleanup_free_ char *path = text_format(UNITS "%s", name);

        assert_int_equal(fs_write_file_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

static void assert_done(int r, const Error *e) {
        if (r < 0)
                print_error("%s\n", error_message(e, r));
        assert_int_equal(r, 0);
}

static Bus *connect_bus(void) {
        _cleanup_error_ Error e = ERROR_INIT;
        Bus *b = NULL;

        assert_done(bus_new(fiber_event(), &b, &e), &e);
        assert_int_equal(manager_reload(b, &e), 0);
        return b;
}

static void run_in_fiber(FiberEntry entry) {
        assert_int_equal(fiber_run(entry, NULL), 0);
}

static int life(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        UnitOutcome first, second, third;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitState s;

        write_unit("life.service", "[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/true\n");
        b = connect_bus();
        assert_int_equal(unit_start(b, "life.service", SOON, &first, &e), 0);
        assert_string_equal(first.job_result, "done");
        assert_string_equal(first.state.active_state, "active");
        assert_true(unit_is_active(&first.state));
        assert_string_equal(first.state.type, "simple");
        assert_int_equal(strlen(first.state.invocation_id), 32);
        assert_true(first.state.main_pid > 1);
        assert_int_equal(kill(first.state.main_pid, 0), 0);
        assert_true(first.state.active_enter_usec > 0);
        assert_non_null(strstr(first.state.control_group, "life.service"));

        assert_int_equal(unit_restart(b, "life.service", USEC_INFINITY, SOON, &second, &e), 0);
        assert_string_not_equal(first.state.invocation_id, second.state.invocation_id);
        assert_int_not_equal(first.state.main_pid, second.state.main_pid);
        assert_int_equal(unit_reload(b, "life.service", SOON, &third, &e), 0);
        assert_int_equal(third.state.main_pid, second.state.main_pid);

        assert_int_equal(unit_stop(b, "life.service", SOON, &third, &e), 0);
        assert_string_equal(third.state.active_state, "inactive");
        assert_int_equal(unit_stop(b, "life.service", SOON, NULL, &e), 0); /* nothing to do is done */
        assert_int_equal(unit_read(b, "life.service", &s, &e), 0);
        assert_int_equal(s.main_pid, 0);
        return 0;
}

static int refused(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitState s;

        write_unit("noreload.service", "[Service]\nExecStart=/bin/sleep 1000\n");
        write_unit("broken.service", "[Service]\nType=simple\n");
        (void) unlink(UNITS "mask.service");
        assert_int_equal(symlink("/dev/null", UNITS "mask.service"), 0);
        b = connect_bus();

        assert_int_equal(unit_read(b, "nobody.service", &s, &e), 0);
        assert_string_equal(s.load_state, "not-found");
        assert_int_equal(unit_restart(b, "nobody.service", USEC_INFINITY, SOON, NULL, &e), -ENOENT);
        assert_string_equal(e.message, "There is no unit nobody.service on this host");
        assert_non_null(e.hint);
        assert_int_equal(unit_start(b, "mask.service", SOON, NULL, &e), -ERFKILL);
        assert_string_equal(e.hint, "`systemctl unmask mask.service`");
        assert_int_equal(unit_start(b, "broken.service", SOON, NULL, &e), -ENOEXEC);

        assert_int_equal(unit_start(b, "noreload.service", SOON, NULL, &e), 0);
        assert_int_equal(unit_reload(b, "noreload.service", SOON, NULL, &e), -EOPNOTSUPP);
        assert_non_null(strstr(e.hint, "ExecReload="));
        assert_int_equal(unit_stop(b, "noreload.service", SOON, NULL, &e), 0);
        assert_int_equal(unit_reset_failed(b, "nobody.service", &e), 0);
        assert_null(e.message);
        return 0;
}

/* systemd itself would try for ever; we say at once that it does not start. */
static int crash_loop(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitOutcome o;

        write_unit("loop.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nRestart="
                                   "always\nRestartSec=1000\n"
                                   "ExecStart=/bin/sh -c 'echo going down; exit 7'\n");
        b = connect_bus();
        assert_int_equal(unit_restart(b, "loop.service", USEC_INFINITY, SOON, &o, &e), -EIO);
        assert_non_null(strstr(e.message, "exited with status 7"));
        assert_int_equal(o.state.exec_main_status, 7);

        /* in the middle of its restarts: the next failure counts, not the one that was */
        error_clear(&e);
        write_unit("loop.service", "[Service]\nType=notify\nNotifyAccess=all\nRestart=always\nRestartSec=1\n"
                                   "ExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep 1000'\n");
        assert_int_equal(manager_reload(b, &e), 0);
        assert_int_equal(unit_restart(b, "loop.service", USEC_INFINITY, SOON, &o, &e), 0);
        assert_string_equal(o.state.active_state, "active");
        assert_int_equal(unit_stop(b, "loop.service", SOON, NULL, &e), 0);
        return 0;
}

/* What crashes and is started again all the time becomes good, at any moment of that: systemd's own starts, one of which
 * may take the place of ours, are no failures of it. */
static int fast_loop(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitOutcome o;

        write_unit("fast.service",
                        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nNotifyAccess=all\n"
                        "Restart=always\nRestartSec=1ms\nExecStart=/bin/sh -c "
                        "'test -e /run/good || exit 7; systemd-notify --ready; exec sleep 1000'\n");
        b = connect_bus();
        for (uint64_t i = 0; i < 20; i++) {
                assert_int_equal(fs_write_file_atomic(AT_FDCWD, "/run/good", "", 0, 0644), 0);
                assert_int_equal(unit_restart(b, "fast.service", USEC_INFINITY, SOON, &o, &e), 0);
                assert_string_equal(o.state.active_state, "active");
                assert_int_equal(unlink("/run/good"), 0);
                assert_int_equal(unit_restart(b, "fast.service", USEC_INFINITY, SOON, &o, &e), -EIO);
                assert_non_null(strstr(e.message, "fast.service"));
                error_clear(&e);
                assert_int_equal(fiber_sleep(i * 500), 0);
        }
        assert_int_equal(unit_stop(b, "fast.service", SOON, NULL, &e), 0);
        return 0;
}

static int start_limit(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        write_unit("limit.service", "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1000\n"
                                    "[Service]\nExecStart=/bin/sleep 1000\n");
        b = connect_bus();
        for (int i = 0; i < 3; i++)
                assert_int_equal(unit_restart(b, "limit.service", USEC_INFINITY, SOON, NULL, &e), 0);
        assert_int_equal(unit_restart(b, "limit.service", USEC_INFINITY, SOON, NULL, &e), -EIO);
        assert_non_null(strstr(e.message, "too often"));
        assert_int_equal(unit_reset_failed(b, "limit.service", &e), 0);
        assert_int_equal(unit_restart(b, "limit.service", USEC_INFINITY, SOON, NULL, &e), 0);
        assert_int_equal(unit_stop(b, "limit.service", SOON, NULL, &e), 0);
        return 0;
}

static int dependency(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitOutcome o;

        write_unit("needs.service", "[Unit]\nRequires=fails.service\nAfter=fails.service\n"
                                    "[Service]\nExecStart=/bin/sleep 1000\n");
        write_unit("fails.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
        b = connect_bus();
        assert_int_equal(unit_start(b, "needs.service", SOON, &o, &e), -EIO);
        assert_string_equal(o.job_result, "dependency");
        assert_non_null(strstr(e.message, "a unit that it requires failed"));
        return 0;
}

static int deadline(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitOutcome o;

        write_unit("slow.service", "[Service]\nType=notify\nExecStart=/bin/sleep 1000\n");
        b = connect_bus();
        assert_int_equal(unit_start(b, "slow.service", clock_monotonic() + USEC_PER_SEC, &o, &e), -ETIMEDOUT);
        assert_string_equal(o.state.active_state, "activating");
        assert_non_null(strstr(e.message, "activating"));
        assert_true(o.took_usec < 60 * USEC_PER_SEC); /* and not systemd's own 90 s */
        assert_int_equal(unit_stop(b, "slow.service", SOON, NULL, &e), 0);
        return 0;
}

static int start_slow(void *userdata) {
        _cleanup_error_ Error e = ERROR_INIT;

        return unit_start(userdata, "slow.service", SOON, NULL, &e);
}

/* Somebody stops what we start: their job replaces ours, and only ours counts for us. */
static int replaced(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = connect_bus();
        _cleanup_error_ Error e = ERROR_INIT;
        Fiber *f;

        assert_int_equal(fiber_new(fiber_event(), "start", start_slow, b, &f), 0);
        assert_int_equal(fiber_sleep(300 * USEC_PER_MSEC), 0);
        assert_int_equal(unit_stop(b, "slow.service", SOON, NULL, &e), 0);
        assert_int_equal(fiber_join(f), -EBUSY);
        fiber_free(f);

        /* and a cancelled fiber leaves nothing behind that could hurt the next */
        assert_int_equal(fiber_new(fiber_event(), "start", start_slow, b, &f), 0);
        assert_int_equal(fiber_sleep(50 * USEC_PER_MSEC), 0);
        fiber_cancel(f);
        assert_int_equal(fiber_join(f), -ECANCELED);
        fiber_free(f);
        assert_int_equal(unit_stop(b, "slow.service", SOON, NULL, &e), 0);
        return 0;
}

static int reexec(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitOutcome o;

        write_unit("long.service",
                        "[Service]\nType=notify\nNotifyAccess=all\n"
                        "ExecStartPre=/bin/systemctl daemon-reexec\n"
                        "ExecStart=/bin/sh -c 'sleep 1; systemd-notify --ready; exec sleep 1000'\n");
        b = connect_bus();
        assert_done(unit_start(b, "long.service", SOON, &o, &e), &e);
        assert_string_equal(o.job_result, "done");
        assert_done(unit_restart(b, "long.service", USEC_INFINITY, SOON, &o, &e), &e);
        assert_int_equal(unit_stop(b, "long.service", SOON, &o, &e), 0);
        return 0;
}

static int watched(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_(unit_watch_free_p) UnitWatch *w = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        char sentence[UNIT_SENTENCE_MAX];
        Wakeup wakeup = WAKEUP_INIT;
        UnitState now;
        UnitOutcome o;

        write_unit("dies.service", "[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=10ms\n");
        b = connect_bus();
        assert_int_equal(unit_start(b, "dies.service", SOON, &o, &e), 0);
        assert_int_equal(unit_watch_new(b, "dies.service", &wakeup, &w), 0);
        assert_int_equal(unit_kill(b, "dies.service", "main", SIGSEGV, &e), 0);
        do {
                assert_int_equal(wakeup_wait(&wakeup, 60 * USEC_PER_SEC), 0);
                assert_int_equal(unit_read(b, "dies.service", &now, &e), 0);
        } while (unit_judge(&o.state, &now, sentence) != UNIT_TROUBLE);
        assert_non_null(strstr(sentence, "dies.service "));
        assert_int_equal(unit_stop(b, "dies.service", SOON, NULL, &e), 0);
        return 0;
}

static int tail(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        _cleanup_strv_ char **lines = NULL;
        UnitOutcome o;
        size_t n;

        write_unit("talks.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'for i in $(seq 30); do "
                                    "echo line $i; done; exit 3'\n");
        b = connect_bus();
        assert_int_equal(unit_start(b, "talks.service", SOON, NULL, &e),
                        -EIO); /* an earlier start, not to be shown */
        assert_int_equal(unit_start(b, "talks.service", SOON, &o, &e), -EIO);
        assert_int_equal(unit_tail(&o.state, 1000, &lines), 0);
        n = 0;
        for (char **l = lines; *l; l++)
                n += startswith(*l, "sh[") && strstr(*l, "]: line ");
        assert_int_equal(n, 30);
        lines = strv_free(lines);
        assert_int_equal(unit_tail(&o.state, 4, &lines), 0);
        assert_int_equal(strv_length(lines), 4);
        return 0;
}

static int proof(void *userdata _unused_) {
        _cleanup_(process_proof_clear) ProcessProof p = {0};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;

        assert_int_equal(fs_mkdir_parents(AT_FDCWD, "/opt/app/releases/1", 0755), 0);
        assert_int_equal(fs_mkdir_parents(AT_FDCWD, "/opt/app/releases/2", 0755), 0);
        assert_int_equal(fs_symlink_atomic(AT_FDCWD, "releases/1", "/opt/app/current"), 0);
        write_unit("proof.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\nWorkingDirectory=/opt/app/"
                                    "current\nExecStart=/bin/sleep 1000\n");
        b = connect_bus();
        for (int i = 0; i < 20; i++) { /* right behind the fork, before the exec */
                assert_int_equal(unit_restart(b, "proof.service", USEC_INFINITY, SOON, NULL, &e), 0);
                assert_int_equal(unit_prove_process(b, "proof.service", "/opt/app/releases/1", PROVE_AUTO,
                                                 SOON, &p, &e),
                                0);
                assert_string_equal(p.by, "cwd");
                assert_string_equal(p.cwd, "/opt/app/releases/1");
                process_proof_clear(&p);
        }
        assert_int_equal(unit_prove_process(
                                         b, "proof.service", "/opt/app/releases/2", PROVE_AUTO, SOON, &p, &e),
                        -ESTALE);
        assert_non_null(strstr(e.message, "does not run from /opt/app/releases/2"));
        assert_int_equal(unit_prove_process(
                                         b, "proof.service", "/opt/app/releases/2", PROVE_OFF, SOON, &p, &e),
                        0);
        assert_int_equal(unit_stop(b, "proof.service", SOON, NULL, &e), 0);
        assert_int_equal(unit_prove_process(
                                         b, "proof.service", "/opt/app/releases/1", PROVE_AUTO, SOON, &p, &e),
                        -ESTALE);
        assert_non_null(strstr(e.message, "no main process"));
        return 0;
}

/* Not root: over the system bus, where polkit says no to changes and yes to questions. */
static int as_nobody(void *userdata _unused_) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        UnitState s;

        assert_int_equal(seteuid(65534), 0);
        assert_int_equal(bus_new(fiber_event(), &b, &e), 0);
        assert_int_equal(unit_read(b, "life.service", &s, &e), 0);
        assert_string_equal(s.load_state, "loaded");
        assert_int_equal(unit_start(b, "life.service", SOON, NULL, &e), -EACCES);
        assert_string_equal(e.hint, "Run this as root");
        assert_int_equal(seteuid(0), 0);
        return 0;
}

#define IN_FIBER(name)                                                                                       \
        static void test_##name(void **state _unused_) {                                                     \
                run_in_fiber(name);                                                                          \
        }

IN_FIBER(life)
IN_FIBER(refused)
IN_FIBER(crash_loop)
IN_FIBER(fast_loop)
IN_FIBER(start_limit)
IN_FIBER(dependency)
IN_FIBER(deadline)
IN_FIBER(replaced)
IN_FIBER(reexec)
IN_FIBER(watched)
IN_FIBER(tail)
IN_FIBER(proof)
IN_FIBER(as_nobody)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_life),
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_crash_loop),
                        cmocka_unit_test(test_fast_loop),
                        cmocka_unit_test(test_start_limit),
                        cmocka_unit_test(test_dependency),
                        cmocka_unit_test(test_deadline),
                        cmocka_unit_test(test_replaced),
                        cmocka_unit_test(test_reexec),
                        cmocka_unit_test(test_watched),
                        cmocka_unit_test(test_tail),
                        cmocka_unit_test(test_proof),
                        cmocka_unit_test(test_as_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
