#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "host/unit-setup.h"

#define CURRENT  "/opt/app/current"
#define RELEASES "/opt/app/releases"

static const UnitUse restart = {false, false, CURRENT, RELEASES};
static const UnitUse reload = {true, false, CURRENT, RELEASES};
static const UnitUse handover = {false, true, CURRENT, RELEASES};

static const UnitUse proved = {false, false, CURRENT, RELEASES, .prove = true};
static const UnitUse both_proved = {false, true, CURRENT, RELEASES, .prove = true, .asked = true};
static const UnitUse socket = {false, true, CURRENT, RELEASES, "app.socket"};

static void test_obstacles(void **state _unused_) {
        static const struct {
                const UnitUse *use;
                UnitSetup setup;
                const char *first; /* how the only sentence begins; NULL: there is none */
        } cases[] = {
                        {&restart, {.type = "notify", .kill_mode = "control-group"}, NULL},
                        {&restart, {.type = "dbus", .kill_mode = "mixed", .working_directory = CURRENT},
                                        NULL},
                        {&restart, {.type = "oneshot"}, "Type=oneshot: "},
                        {&handover, {.type = "dbus"}, "Type=dbus: "},
                        {&reload, {.type = "exec"}, "ExecReload=: "},
                        {&reload, {.type = "exec", .can_reload = true}, NULL},
                        {&restart, {.type = "exec", .kill_mode = "none"}, "KillMode=none: "},
                        {&handover, {.type = "exec", .kill_mode = "process"}, "KillMode=process: "},
                        {&handover, {.type = "exec", .working_directory = RELEASES "/1.0.0"}, NULL},
                        {&handover, {.type = "exec", .working_directory = "!" CURRENT "/bin"},
                                        "WorkingDirectory=/opt/app/current/bin: "},
                        {&handover, {.type = "exec", .working_directory = CURRENT "-data"}, NULL},
                        {&restart, {.type = "exec", .working_directory = RELEASES "/1.0.0"},
                                        "WorkingDirectory=/opt/app/releases/1.0.0: "},
                        {&handover, {.type = "exec", .exec_start = CURRENT "/bin/app --x"},
                                        "ExecStart=/opt/app/current/bin/app --x: "},
                        {&handover, {.type = "exec", .exec_start = "/bin/python " CURRENT "/app"},
                                        "ExecStart=/bin/python "},
                        {&restart, {.type = "exec", .exec_start = RELEASES "/1.0.0/app"}, "ExecStart="},
                        {&restart, {.type = "exec", .exec_start = "/usr/bin/app"}, NULL},
                        {&proved, {.type = "exec", .exec_start = "/usr/bin/app"}, "WorkingDirectory=: "},
                        {&proved, {.type = "exec", .exec_start = "/app", .working_directory = CURRENT}, NULL},
                        {&proved, {.type = "exec", .exec_start = CURRENT "/bin/app"}, NULL},
                        {&both_proved, {.type = "exec", .exec_start = RELEASES "/1/app"}, NULL},
                        {&both_proved, {.type = "exec", .exec_start = "/opt/app/current-1/app"},
                                        "WorkingDirectory=: "},
                        {&restart, {.type = "exec", .start_limit_action = "none"}, NULL},
                        {&restart, {.type = "exec", .start_limit_action = "reboot"},
                                        "StartLimitAction=reboot: "},
                        {&restart, {.type = "exec", .failure_action = "exit"}, "FailureAction=exit: "},
                        {&handover, {.type = "exec", .triggered_by = "a.socket", .start_limit_usec = 1},
                                        "StartLimitIntervalSec=: "},
                        {&handover, {.type = "exec", .triggered_by = "a.socket"}, NULL},
                        {&socket, {.type = "exec"}, "Sockets=: "},
                        {&socket, {.type = "exec", .triggered_by = "a.timer app.socket"}, NULL},
                        {&socket, {.type = "exec", .triggered_by = "app.socket b.timer"}, NULL},
                        {&socket, {.type = "exec", .triggered_by = "my-app.socket app.socket2"},
                                        "Sockets=: "},
                        {&handover, {.type = "exec", .triggered_by = "a.timer", .start_limit_usec = 1}, NULL},
                        {&restart, {.type = "exec", .triggered_by = "a.socket", .start_limit_usec = 1}, NULL},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_strv_ char **found = NULL;

                assert_int_equal(unit_obstacles(&cases[i].setup, cases[i].use, &found), 0);
                assert_int_equal(strv_length(found), cases[i].first ? 1 : 0);
                if (cases[i].first)
                        assert_non_null(startswith(found[0], cases[i].first));
        }
}

static void test_advice(void **state _unused_) {
        static const struct {
                const UnitUse *use;
                UnitSetup setup;
                const char *part; /* NULL: there is none */
        } cases[] = {
                        {&restart, {.triggered_by = ""}, "refused while it restarts"},
                        {&restart, {.triggered_by = "a.timer b.path"}, "refused while it restarts"},
                        {&restart, {.triggered_by = "a.timer b.socket"}, NULL},
                        {&restart, {.triggered_by = "b.socket", .start_limit_usec = 1},
                                        "StartLimitIntervalSec=0"},
                        {&reload, {.triggered_by = ""}, NULL},
                        {&handover, {.type = "notify"}, NULL},
                        {&handover, {.type = "exec"}, "Type=notify"},
                        {&both_proved, {.type = "exec"}, NULL},
                        {&handover, {.type = "notify", .triggered_by = "a.socket"}, "NonBlocking=yes"},
                        {&handover, {.type = "notify", .triggered_by = "a.socket", .non_blocking = true},
                                        NULL},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                const char *advice = unit_advice(&cases[i].setup, cases[i].use);

                assert_int_equal(!advice, !cases[i].part);
                if (advice)
                        assert_non_null(strstr(advice, cases[i].part));
        }
}

static void test_all_are_named(void **state _unused_) {
        const UnitSetup setup = {.type = "oneshot",
                        .kill_mode = "none",
                        .working_directory = CURRENT,
                        .start_limit_action = "reboot",
                        .failure_action = "poweroff"};
        _cleanup_strv_ char **found = NULL;

        assert_int_equal(unit_obstacles(&setup, &handover, &found), 0);
        assert_int_equal(strv_length(found), 5);
}

static void test_entry_obstacles(void **state _unused_) {
        static const struct {
                UnitSetup setup;
                const char *first; /* how the only sentence begins; NULL: there is none */
        } cases[] = {
                        {{.type = "oneshot", .triggered_by = "app.socket"}, NULL},
                        {{.type = "oneshot", .start_limit_usec = 1, .condition = "ConditionPathExists"},
                                        NULL},
                        {{.triggered_by = "app.socket", .start_limit_usec = 1}, "StartLimitIntervalSec=: "},
                        {{.triggered_by = "app.socket", .condition = "ConditionPathExists"},
                                        "ConditionPathExists=: "},
                        {{.remain_after_exit = true}, "RemainAfterExit=yes: "},
        };

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                _cleanup_strv_ char **found = NULL;

                assert_int_equal(unit_entry_obstacles(&cases[i].setup, &found), 0);
                assert_int_equal(strv_length(found), cases[i].first ? 1 : 0);
                if (cases[i].first)
                        assert_non_null(startswith(found[0], cases[i].first));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_obstacles),
                        cmocka_unit_test(test_entry_obstacles),
                        cmocka_unit_test(test_advice),
                        cmocka_unit_test(test_all_are_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
