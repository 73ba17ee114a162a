/* The waiter on units and services of a real PID 1. Runs as root inside a throwaway host. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "observe/health.h"

#include "world.h"

/* So long that only what does not wait for it ends before its half. */
#define LONG_USEC (120 * USEC_PER_SEC)

static int wait_healthy(World *w, uint64_t deadline_usec) {
        const ProbeContext context = {.http = w->http, .bus = w->bus, .version = "2.0"};
        ProbeSpec probe = PROBE_SPEC_DEFAULT;
        const HealthSpec spec = {.probes = &probe,
                        .n_probes = 1,
                        .unit = "web.service",
                        .started = &w->outcome.state,
                        .deadline_usec = clock_monotonic() + deadline_usec};

        probe.target = "http://127.0.0.1:8123/health";
        probe.expect_version = "version";
        return health_wait(&context, &spec, &w->report, &w->e);
}

static int gets_well(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "", "if n < 3: status = 503");
        assert_int_equal(wait_healthy(&w, LONG_USEC), 0);
        assert_true(w.report.healthy);
        assert_true(w.report.attempts >= 3);
        assert_string_equal(w.report.unit.active_state, "active");
        assert_true(w.report.took_usec >= 200 * USEC_PER_MSEC); /* two pauses */
        assert_string_equal(w.report.last[0].answered, "200 {\"status\": \"healthy\", \"version\": \"2.0\"}");
        return 0;
}

/* A unit that fails ends the wait at once, in the middle of a question that it will never answer. */
static int dies(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "", "time.sleep(0.5); os._exit(4)");
        assert_int_equal(wait_healthy(&w, LONG_USEC), 1);
        assert_string_equal(w.report.sentence, "web.service exited with status 4");
        assert_null(w.report.probe);
        assert_true(w.report.took_usec < LONG_USEC / 2);
        return 0;
}

static int hangs_then_killed(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "RuntimeMaxSec=700ms", "time.sleep(1000)");
        assert_int_equal(wait_healthy(&w, LONG_USEC), 1);
        assert_string_equal(w.report.sentence,
                        "web.service ran into its TimeoutStartSec=, RuntimeMaxSec= or TimeoutStopSec=");
        assert_true(w.report.took_usec < LONG_USEC / 2);
        return 0;
}

/* Up again before anybody looks, and answering well: but it crashed. */
static int crashes_behind_restart(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "Restart=always\nRestartSec=1ms",
                        "os.path.exists('/run/crashed') or (open('/run/crashed', 'w'), os._exit(5))");
        assert_int_equal(wait_healthy(&w, LONG_USEC), 1);
        assert_true(startswith(w.report.sentence, "web.service "));
        assert_true(w.report.took_usec < LONG_USEC / 2);
        return 0;
}

static int ends_without_error(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "", "os._exit(0)");
        assert_int_equal(wait_healthy(&w, LONG_USEC), 1);
        assert_string_equal(w.report.sentence, "web.service is inactive");
        return 0;
}

static int old_version(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "", "answer['version'] = '1.0'");
        assert_int_equal(wait_healthy(&w, 3 * USEC_PER_SEC), 1);
        assert_string_equal(w.report.probe, "http://127.0.0.1:8123/health");
        assert_non_null(strstr(w.report.sentence, "'version' is '1.0', expected '2.0'"));
        assert_int_equal(w.report.last[0].verdict, PROBE_BAD);
        return 0;
}

/* Without probes the unit's state is all. */
static int unit_alone(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        HealthSpec spec = {.unit = "web.service"};
        ProbeContext context = {0};

        world_open(&w);
        start_web(&w, "", "");
        context.bus = w.bus;
        spec.deadline_usec = SOON;
        assert_int_equal(health_wait(&context, &spec, &w.report, &w.e), 0);
        health_report_clear(&w.report);
        assert_int_equal(unit_stop(w.bus, "web.service", SOON, NULL, &w.e), 0);
        assert_int_equal(health_wait(&context, &spec, &w.report, &w.e), 1);
        assert_string_equal(w.report.sentence, "web.service is inactive");
        return 0;
}

#define IN_FIBER(name)                                                                                       \
        static void test_##name(void **state _unused_) {                                                     \
                assert_int_equal(fiber_run(name, NULL), 0);                                                  \
        }

IN_FIBER(gets_well)
IN_FIBER(dies)
IN_FIBER(hangs_then_killed)
IN_FIBER(crashes_behind_restart)
IN_FIBER(ends_without_error)
IN_FIBER(old_version)
IN_FIBER(unit_alone)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_gets_well),
                        cmocka_unit_test(test_dies),
                        cmocka_unit_test(test_hangs_then_killed),
                        cmocka_unit_test(test_crashes_behind_restart),
                        cmocka_unit_test(test_ends_without_error),
                        cmocka_unit_test(test_old_version),
                        cmocka_unit_test(test_unit_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
