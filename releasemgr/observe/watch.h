#pragma once

/* Probes and a unit, watched together: what health.c and soak.c share. For observe/ alone. */

#include "host/unit-judge.h"
#include "observe/health.h"
#include "observe/prober.h"

typedef struct Watch {
        const ProbeContext *context;
        const char *unit; /* NULL: none */
        Wakeup wakeup;    /* set whenever there is something new to look at */
        Prober *probers;
        size_t n;
        UnitWatch *unit_watch;
        UnitState started;
        UnitState now;
        UnitCondition condition;
        char sentence[UNIT_SENTENCE_MAX]; /* of the unit, where it is in trouble or down */
        uint64_t start_usec;
        uint64_t oom_kills, host_oom_kills; /* before */
} Watch;

/* Begins to watch: @probes (all borrowed), asked steadily or with growing pauses, and @unit, judged against @started
 * (NULL: its state now). Suspends. */
int watch_open(Watch *w, const ProbeContext *context, const ProbeSpec *probes, size_t n, bool steady,
                const char *unit, const UnitState *started, Error *e);

/* Stops everything and frees it. Suspends. */
void watch_clear(Watch *w);

/* Reads the unit's state. A negative errno where that, or a probe, cannot be asked. Suspends. */
int watch_look(Watch *w, Error *e);

/* Whether the unit is known to be lost. */
bool watch_unit_is_lost(const Watch *w);

/* The report of all that was seen. @culprit: the probe that decided against it, NULL where the unit did; @sentence is
 * taken over; NULL, and healthy, where nothing did. Returns 0 where healthy, 1 where not, or -ENOMEM. */
int watch_report(Watch *w, const Prober *culprit, bool healthy, char *sentence, HealthReport *ret);
