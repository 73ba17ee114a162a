#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "host/unit-judge.h"

char *unit_describe_result(const UnitState *s, char sentence[static UNIT_SENTENCE_MAX]) {
        static const struct {
                const char *result;
                const char *sentence;
        } results[] = {
                        {"success", "ended without an error"},
                        {"oom-kill", "was killed because memory ran out (OOM)"},
                        {"timeout", "ran into its TimeoutStartSec=, RuntimeMaxSec= or TimeoutStopSec="},
                        {"watchdog", "was killed because it missed its watchdog"},
                        {"start-limit-hit", "was started too often in a short time (StartLimitBurst=)"},
                        {"resources", "could not be started for want of a resource, or of a file it names"},
                        {"protocol", "did not keep to its Type='s protocol"},
                        {"exec-condition", "was skipped by its ExecCondition="},
        };
        const char *core = s->exec_main_code == CLD_DUMPED ? " and dumped core" : "", *name;

        for (size_t i = 0; i < ELEMENTS_OF(results); i++)
                if (streq(s->result, results[i].result)) {
                        (void) snprintf(sentence, UNIT_SENTENCE_MAX, "%s", results[i].sentence);
                        return sentence;
                }
        if (s->exec_main_code == CLD_EXITED && s->exec_main_status == 203)
                (void) snprintf(sentence, UNIT_SENTENCE_MAX,
                                "could not execute its program (status 203/EXEC)");
        else if (s->exec_main_code == CLD_EXITED && s->exec_main_status == 200)
                (void) snprintf(sentence, UNIT_SENTENCE_MAX,
                                "could not enter its working directory (status 200/CHDIR)");
        else if (s->exec_main_code == CLD_EXITED && s->exec_main_status != 0)
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "exited with status %d", s->exec_main_status);
        else if (s->exec_main_code == CLD_KILLED || s->exec_main_code == CLD_DUMPED) {
                name = sigabbrev_np(s->exec_main_status);
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "was killed by SIG%s%s", name ? name : "?",
                                core);
        } else /* ExecStartPre=, ExecStartPost= and the like: the main process has nothing to tell */
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "failed with result '%s'", s->result);
        return sentence;
}

static UnitCondition trouble(const UnitState *now, unsigned restarts, char *sentence) {
        char why[UNIT_SENTENCE_MAX], again[64] = "";

        if (restarts > 0)
                (void) snprintf(again, sizeof(again), ", and systemd started it again%s",
                                restarts > 1 ? " more than once" : "");
        if (restarts > 0 && unit_is_active(now)) /* what the last run came to is overwritten by the new run */
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "%s ended by itself%s", now->id, again);
        else
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "%.200s %.200s%s", now->id,
                                unit_describe_result(now, why), again);
        return UNIT_TROUBLE;
}

UnitCondition unit_judge(
                const UnitState *before, const UnitState *now, char sentence[static UNIT_SENTENCE_MAX]) {
        unsigned was = before ? before->n_restarts : 0;
        unsigned restarts = now->n_restarts > was ? now->n_restarts - was : 0;

        sentence[0] = '\0';
        if (!streq(now->load_state, "loaded")) {
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "%s is %s", now->id, now->load_state);
                return UNIT_TROUBLE;
        }
        if (streq(now->active_state, "deactivating") && !streq(now->result, "success"))
                return trouble(now, restarts, sentence); /* systemd ends it for this */
        if (streq(now->active_state, "failed") || streq(now->sub_state, "auto-restart") || restarts > 0)
                return trouble(now, restarts, sentence);
        if (before && !isempty(before->invocation_id) && !isempty(now->invocation_id) &&
                        !streq(before->invocation_id, now->invocation_id)) {
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "%s was started again by somebody else",
                                now->id);
                return UNIT_TROUBLE;
        }
        if (unit_is_active(now))
                return UNIT_UP;
        if (streq(now->active_state, "activating"))
                return UNIT_STARTING;
        if (now->exec_main_code == CLD_EXITED)
                (void) snprintf(sentence, UNIT_SENTENCE_MAX,
                                "%s is %s: its main process ended with status %d", now->id, now->active_state,
                                now->exec_main_status);
        else
                (void) snprintf(sentence, UNIT_SENTENCE_MAX, "%s is %s", now->id, now->active_state);
        return UNIT_DOWN;
}
