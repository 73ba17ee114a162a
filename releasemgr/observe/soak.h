#pragma once

/* Watches a service that was healthy, for as long as it may still be taken back. */

#include "observe/health.h"

/* All pointers are borrowed. */
typedef struct SoakSpec {
        const ProbeSpec *probes; /* asked every interval_max_usec */
        size_t n_probes;
        const char *unit;         /* whose failures, restarts and OOM kills count; NULL: none is watched */
        const UnitState *started; /* right after the start; NULL: read at the beginning */
        uint64_t duration_usec;
        unsigned failures;       /* bad answers in a row that end it; 0: 3 */
        unsigned latency_factor; /* how many times slower answers may become; 0: 10 */

        /* Called once a second with what is left. May be NULL. */
        void (*on_time)(uint64_t left_usec, void *userdata);
        void *userdata;
} SoakSpec;

/* 0: it stayed healthy to the end; 1: it did not, and the report says why; @ret is set for both. Negative where it could
 * not be judged. Suspends. */
int soak_wait(const ProbeContext *c, const SoakSpec *spec, HealthReport *ret, Error *e);
