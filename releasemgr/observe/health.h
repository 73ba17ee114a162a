#pragma once

/* Waits until a service is well, or until it is known that it will not be. */

#include "host/process.h"
#include "host/unit.h"
#include "observe/probe.h"

/* All pointers are borrowed. */
typedef struct HealthSpec {
        const ProbeSpec *probes; /* all must hold; with none, the unit's state alone decides */
        size_t n_probes;
        const char *unit; /* whose failure ends the wait at once; NULL: none is watched */
        const UnitState *
                        started; /* its state right after the (re)start (UnitOutcome.state); NULL: read at the beginning */
        uint64_t deadline_usec; /* clock_monotonic(); for the whole wait */
} HealthSpec;

typedef struct HealthReport {
        bool healthy;
        char *sentence;    /* why not; owned; NULL where healthy */
        char *probe;       /* name of the probe that failed; owned; NULL: it was the unit, or healthy */
        ProbeResult *last; /* n_probes results, the last of each; owned */
        size_t n_last;
        unsigned attempts; /* probes sent, all together */
        uint64_t took_usec;
        uint64_t bad_usec; /* clock_monotonic() since when it was not; 0 where healthy */
        UnitState unit;    /* at the end; zero where no unit was watched */
} HealthReport;

void health_report_clear(HealthReport *r);

/* The first probes go out at once, then at short intervals that back off. 0: healthy; 1: not, and the report says
 * why; @ret is set for both and cleared by the caller. Negative where it could not be judged: -ENOMEM, -ECANCELED,
 * no bus. Suspends. */
int health_wait(const ProbeContext *c, const HealthSpec *spec, HealthReport *ret, Error *e);
