#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "host/unit-judge.h"

typedef struct Case {
        const char *load_state, *active_state, *sub_state, *result;
        unsigned n_restarts;
        int code, status;
        UnitCondition condition;
        const char *sentence;
} Case;

static void test_conditions(void **state _unused_) {
        static const Case cases[] = {
                        {"loaded", "active", "running", "success", 0, 0, 0, UNIT_UP, ""},
                        {"loaded", "reloading", "reload", "success", 0, 0, 0, UNIT_UP, ""},
                        {"loaded", "activating", "start", "success", 0, 0, 0, UNIT_STARTING, ""},
                        {"loaded", "inactive", "dead", "success", 0, CLD_EXITED, 0, UNIT_DOWN,
                                        "app.service is inactive: its main process ended with status 0"},
                        {"loaded", "active", "running", "success", 1, 0, 0, UNIT_TROUBLE,
                                        "app.service ended by itself, and systemd started it again"},
                        {"loaded", "active", "running", "success", 4, 0, 0, UNIT_TROUBLE,
                                        "app.service ended by itself, and systemd started it again more than "
                                        "once"},
                        {"not-found", "inactive", "dead", "success", 0, 0, 0, UNIT_TROUBLE,
                                        "app.service is not-found"},
                        {"loaded", "failed", "failed", "exit-code", 0, CLD_EXITED, 3, UNIT_TROUBLE,
                                        "app.service exited with status 3"},
                        {"loaded", "activating", "auto-restart", "core-dump", 0, CLD_DUMPED, SIGSEGV,
                                        UNIT_TROUBLE, "app.service was killed by SIGSEGV and dumped core"},
                        {"loaded", "failed", "failed", "oom-kill", 0, CLD_KILLED, SIGKILL, UNIT_TROUBLE,
                                        "app.service was killed because memory ran out (OOM)"},
                        {"loaded", "failed", "failed", "exit-code", 0, CLD_EXITED, 203, UNIT_TROUBLE,
                                        "app.service could not execute its program (status 203/EXEC)"},
                        {"loaded", "failed", "failed", "exit-code", 1, CLD_EXITED, 1, UNIT_TROUBLE,
                                        "app.service exited with status 1, and systemd started it again"},
                        {"loaded", "deactivating", "stop-sigterm", "watchdog", 0, 0, 0, UNIT_TROUBLE,
                                        "app.service was killed because it missed its watchdog"},
                        {"loaded", "deactivating", "stop-sigterm", "success", 0, 0, 0, UNIT_DOWN,
                                        "app.service is deactivating"},
                        {"loaded", "failed", "failed", "start-limit-hit", 0, 0, 0, UNIT_TROUBLE,
                                        "app.service was started too often in a short time "
                                        "(StartLimitBurst=)"},
                        {"loaded", "failed", "failed", "exit-code", 0, 0, 0, UNIT_TROUBLE,
                                        "app.service failed with result 'exit-code'"},
        };
        char sentence[UNIT_SENTENCE_MAX];

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
                const Case *c = cases + i;
                UnitState now = {.id = "app.service",
                                .n_restarts = c->n_restarts,
                                .exec_main_code = c->code,
                                .exec_main_status = c->status};

                (void) snprintf(now.load_state, sizeof(now.load_state), "%s", c->load_state);
                (void) snprintf(now.active_state, sizeof(now.active_state), "%s", c->active_state);
                (void) snprintf(now.sub_state, sizeof(now.sub_state), "%s", c->sub_state);
                (void) snprintf(now.result, sizeof(now.result), "%s", c->result);
                assert_int_equal(unit_judge(NULL, &now, sentence), c->condition);
                assert_string_equal(sentence, c->sentence);
        }
}

static void test_against_before(void **state _unused_) {
        const UnitState before = {.id = "app.service",
                        .load_state = "loaded",
                        .active_state = "active",
                        .result = "success",
                        .invocation_id = "00000000000000000000000000000001",
                        .n_restarts = 2};
        char sentence[UNIT_SENTENCE_MAX];
        UnitState now = before;

        assert_int_equal(unit_judge(&before, &now, sentence), UNIT_UP);
        now.n_restarts = 3;
        assert_int_equal(unit_judge(&before, &now, sentence), UNIT_TROUBLE);
        assert_string_equal(sentence, "app.service ended by itself, and systemd started it again");

        /* a restart by hand, behind our back */
        now = before;
        now.n_restarts = 0;
        now.invocation_id[0] = 'f';
        assert_int_equal(unit_judge(&before, &now, sentence), UNIT_TROUBLE);
        assert_string_equal(sentence, "app.service was started again by somebody else");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_conditions),
                        cmocka_unit_test(test_against_before),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
