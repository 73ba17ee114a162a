/* The soak on units and services of a real PID 1. Runs as root inside a throwaway host. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/soak.h"

#include "world.h"

/* So long that only what does not wait for its end comes back before it. */
#define LONG_USEC (120 * USEC_PER_SEC)

typedef struct Ticks {
        unsigned n;
        uint64_t left_usec;
} Ticks;

static void on_time(uint64_t left_usec, void *userdata) {
        Ticks *t = userdata;

        t->n++;
        t->left_usec = left_usec;
}

static int soak(World *w, uint64_t duration_usec, Ticks *ticks) {
        const ProbeContext context = {.http = w->http, .bus = w->bus, .version = "2.0"};
        ProbeSpec probe = PROBE_SPEC_DEFAULT;
        const HealthSpec health = {.probes = &probe,
                        .n_probes = 1,
                        .unit = "web.service",
                        .started = &w->outcome.state,
                        .deadline_usec = SOON};
        const SoakSpec spec = {.probes = &probe,
                        .n_probes = 1,
                        .unit = "web.service",
                        .started = &w->outcome.state,
                        .duration_usec = duration_usec,
                        .on_time = on_time,
                        .userdata = ticks};

        probe.target = "http://127.0.0.1:8123/health";
        probe.expect_version = "version";
        probe.interval_max_usec = 100 * USEC_PER_MSEC;
        assert_int_equal(health_wait(&context, &health, &w->report, &w->e), 0);
        health_report_clear(&w->report);
        return soak_wait(&context, &spec, &w->report, &w->e);
}

static int stays_well(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "", "");
        assert_int_equal(soak(&w, 4 * USEC_PER_SEC, &ticks), 0);
        assert_true(w.report.healthy);
        assert_true(w.report.took_usec >= 4 * USEC_PER_SEC);
        assert_in_range(w.report.attempts, 3, w.report.took_usec / (100 * USEC_PER_MSEC) + 1);
        assert_in_range(ticks.n, 2, w.report.took_usec / USEC_PER_SEC + 1);
        assert_true(ticks.left_usec <= 3 * USEC_PER_SEC);
        return 0;
}

static int turns_bad(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "", "if n > 8: status = 500");
        assert_int_equal(soak(&w, LONG_USEC, &ticks), 1);
        assert_string_equal(w.report.sentence,
                        "http://127.0.0.1:8123/health: the status is 500, expected 200 (3 times in a row)");
        assert_true(w.report.took_usec < LONG_USEC);
        return 0;
}

/* The end comes during the first bad answer: the soak does not end on it. */
static int turns_bad_at_the_end(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "", "time.sleep(2 if n == 3 else 0); status = 500 if n > 2 else 200");
        assert_int_equal(soak(&w, 2 * USEC_PER_SEC, &ticks), 1);
        assert_non_null(strstr(w.report.sentence, "(3 times in a row)"));
        return 0;
}

/* One bad answer among good ones is no reason to go back. */
static int hiccups(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "", "if n % 4 == 3: status = 500");
        assert_int_equal(soak(&w, USEC_PER_SEC, &ticks), 0);
        return 0;
}

static int restarts(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "Restart=always\nRestartSec=10ms", "if n > 5: os._exit(6)");
        assert_int_equal(soak(&w, LONG_USEC, &ticks), 1);
        assert_true(startswith(w.report.sentence, "web.service "));
        assert_null(w.report.probe);
        return 0;
}

static int becomes_slow(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "", "time.sleep(2 if n > 8 else 0.005)");
        assert_int_equal(soak(&w, LONG_USEC, &ticks), 1);
        assert_non_null(strstr(w.report.sentence, "times as slowly as at the beginning"));
        return 0;
}

static int old_version_comes_back(void *userdata _unused_) {
        _cleanup_(world_clear) World w;
        Ticks ticks = {0};

        world_open(&w);
        start_web(&w, "", "if n > 5: answer['version'] = '1.0'");
        assert_int_equal(soak(&w, LONG_USEC, &ticks), 1);
        assert_non_null(strstr(w.report.sentence, "'version' is '1.0', expected '2.0'"));
        return 0;
}

#define IN_FIBER(name)                                                                                       \
        static void test_##name(void **state _unused_) {                                                     \
                assert_int_equal(fiber_run(name, NULL), 0);                                                  \
        }

IN_FIBER(stays_well)
IN_FIBER(turns_bad)
IN_FIBER(turns_bad_at_the_end)
IN_FIBER(hiccups)
IN_FIBER(restarts)
IN_FIBER(becomes_slow)
IN_FIBER(old_version_comes_back)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_stays_well),
                        cmocka_unit_test(test_turns_bad),
                        cmocka_unit_test(test_turns_bad_at_the_end),
                        cmocka_unit_test(test_hiccups),
                        cmocka_unit_test(test_restarts),
                        cmocka_unit_test(test_becomes_slow),
                        cmocka_unit_test(test_old_version_comes_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
