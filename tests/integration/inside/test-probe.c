/* Probes that need systemd: commands and units. Runs as root inside a throwaway host. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/probe.h"

#include "world.h"

static int commands(void *userdata _unused_) {
        const char *argv[] = {"/bin/sh", "-c", NULL, NULL};
        _cleanup_(probe_result_clear) ProbeResult result = {0};
        _cleanup_(bus_free_p) Bus *b = NULL;
        _cleanup_error_ Error e = ERROR_INIT;
        ProbeContext context = {.version = "2.0"};
        ProbeSpec s = PROBE_SPEC_DEFAULT;

        assert_int_equal(bus_new(fiber_event(), &b, &e), 0);
        context.bus = b;
        s.kind = PROBE_COMMAND;
        s.target = "sh";
        s.argv = (char *const *) argv;
        assert_int_equal(probe_check(&s, &e), 0);

        argv[2] = "echo asked $RELEASEMGR_VERSION; echo token=abc; ! touch /etc/x";
        assert_int_equal(probe_run(&context, &s, &result, &e), 0);
        assert_int_equal(result.verdict, PROBE_GOOD);
        assert_string_equal(result.asked, "run sh");
        assert_true(startswith(result.answered, "asked 2.0 | token=*** | touch: "));
        assert_null(result.sentence);
        assert_true(result.latency_usec > 0);
        probe_result_clear(&result);

        argv[2] = "echo not yet; exit 3";
        assert_int_equal(probe_run(&context, &s, &result, &e), 0);
        assert_int_equal(result.verdict, PROBE_BAD);
        assert_string_equal(result.sentence, "/bin/sh exited with status 3");
        assert_string_equal(result.answered, "not yet");
        probe_result_clear(&result);

        argv[2] = "sleep 1000";
        s.timeout_usec = 300 * USEC_PER_MSEC;
        assert_int_equal(probe_run(&context, &s, &result, &e), 0);
        assert_int_equal(result.verdict, PROBE_BAD);
        assert_string_equal(result.sentence, "/bin/sh was killed after 300ms");
        return 0;
}

static void test_commands(void **state _unused_) {
        assert_int_equal(fiber_run(commands, NULL), 0);
}

static void ask_unit(World *w, uint64_t since, ProbeVerdict verdict, const char *sentence) {
        const ProbeContext context = {.bus = w->bus, .since_usec = since};
        _cleanup_(probe_result_clear) ProbeResult result = {0};
        ProbeSpec s = PROBE_SPEC_DEFAULT;

        s.kind = PROBE_UNIT;
        s.target = "web.service";
        assert_int_equal(probe_check(&s, &w->e), 0);
        assert_int_equal(probe_run(&context, &s, &result, &w->e), 0);
        if (result.verdict != verdict)
                fail_msg("%s: %s", result.answered, result.sentence);
        assert_string_equal(result.asked, "state of web.service");
        if (!sentence)
                assert_null(result.sentence);
        else if (!startswith(result.sentence, sentence))
                fail_msg("%s", result.sentence);
}

static int units(void *userdata _unused_) {
        _cleanup_(world_clear) World w;

        world_open(&w);
        start_web(&w, "", "");
        ask_unit(&w, 0, PROBE_GOOD, NULL);
        assert_int_equal(unit_stop(w.bus, "web.service", SOON, NULL, &w.e), 0);
        ask_unit(&w, 0, PROBE_BAD, "web.service is inactive");
        return 0;
}

/* Up most of the time, and yet not well. */
static int unit_that_falls(void *userdata _unused_) {
        const char *again = "web.service ended by itself, and systemd started it again ";
        _cleanup_(world_clear) World w;
        UnitState state = {0};

        world_open(&w);
        start_web(&w, "Restart=always\nRestartSec=1ms", "");
        assert_int_equal(unit_kill(w.bus, "web.service", "main", 9, &w.e), 0);
        while (state.n_restarts == 0 || !unit_is_active(&state))
                assert_int_equal(unit_read(w.bus, "web.service", &state, &w.e), 0);
        ask_unit(&w, 0, PROBE_BAD, again);
        ask_unit(&w, state.inactive_enter_usec, PROBE_BAD, again); /* it fell, since */
        ask_unit(&w, state.inactive_enter_usec + 1, PROBE_GOOD, NULL);
        ask_unit(&w, state.active_enter_usec + 1, PROBE_BAD, again); /* nobody started it since */
        return 0;
}

static int unit_that_is_none(void *userdata _unused_) {
        ProbeSpec s = PROBE_SPEC_DEFAULT;
        _cleanup_error_ Error e = ERROR_INIT;

        s.kind = PROBE_UNIT;
        s.target = "web";
        assert_int_equal(probe_check(&s, &e), -EINVAL);
        assert_string_equal(e.message, "'web' is no name of a unit");
        return 0;
}

static void test_units(void **state _unused_) {
        assert_int_equal(fiber_run(units, NULL), 0);
        assert_int_equal(fiber_run(unit_that_falls, NULL), 0);
        assert_int_equal(fiber_run(unit_that_is_none, NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_commands),
                        cmocka_unit_test(test_units),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
