#pragma once

/* One job of systemd, from its submission to its end: what the verbs of unit.h and transient.h share. For host/
 * alone. */

#include "host/call.h"
#include "host/unit.h"

typedef struct JobKind {
        const char *verb; /* for messages: "restart" */
        bool starts;      /* the unit is to run afterwards: its failure ends the wait */

        /* Asks systemd for the job; the answer holds its path. Suspends. */
        int (*submit)(Bus *b, const char *unit, const void *userdata, sd_bus_message **ret_reply, Error *e);
} JobKind;

/* As the verbs of unit.h say. @before is the unit's state before the job, with its canonical name. @kill_usec: when what
 * has not stopped by then is killed. Suspends. */
int job_run(Bus *b, const JobKind *kind, const UnitState *before, const void *userdata, uint64_t kill_usec,
                uint64_t deadline_usec, UnitOutcome *outcome, Error *e);
