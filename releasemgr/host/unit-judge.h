#pragma once

/* What a unit's state means for the release that runs in it. No I/O. */

#include "host/unit.h"

typedef enum UnitCondition {
        UNIT_STARTING, /* on its way, nothing bad seen */
        UNIT_UP,       /* active, and not restarted since @before */
        UNIT_DOWN,     /* stopped without a failure */
        UNIT_TROUBLE,  /* failed, crashed, killed, or restarted by systemd since @before */
} UnitCondition;

#define UNIT_SENTENCE_MAX 512

/* Judges @now against @before, the state right after the (re)start that is to be judged; NULL: against a unit that
 * was never restarted. @sentence gets what happened, for people: "app.service exited with status 3 and was
 * started again 2 times". */
UnitCondition unit_judge(
                const UnitState *before, const UnitState *now, char sentence[static UNIT_SENTENCE_MAX]);

/* "exited with status 3", "was killed by signal SIGSEGV", "ran out of memory and was killed", ... from Result and
 * ExecMain*. Returns @sentence. */
char *unit_describe_result(const UnitState *s, char sentence[static UNIT_SENTENCE_MAX]);
