#pragma once

/* One probe that is asked again and again, in a fiber of its own, while somebody else judges. For the files of
 * observe/ alone. */

#include "base/fiber.h"
#include "base/wakeup.h"
#include "observe/probe.h"

typedef struct Prober {
        const ProbeContext *context;
        const ProbeSpec *spec;
        Wakeup *wakeup; /* set after each answer */
        Fiber *fiber;
        bool steady; /* no back-off: ask at interval_max_usec */

        ProbeResult last;
        unsigned attempts;   /* questions */
        unsigned answered;   /* of them, well or not */
        unsigned good;       /* in a row, up to now */
        unsigned bad;        /* in a row, up to now */
        uint64_t asked_usec; /* clock_monotonic() of the question under way, 0 between questions */
        uint64_t bad_usec;   /* the same of the first bad one in a row, up to now */
        int error;           /* it could not be asked at all; the fiber has ended */
        Error explanation;
} Prober;

/* @context, @spec and @wakeup must outlive the prober. */
int prober_start(Prober *p, const ProbeContext *context, const ProbeSpec *spec, bool steady, Wakeup *wakeup);

/* Ends the question under way and the fiber, and frees what the prober holds. Suspends. */
void prober_clear(Prober *p);

/* Why the last question was not answered well, "NAME: SENTENCE", also where it still waits for an answer. Owned by
 * the caller, NULL when memory ran out. */
char *prober_complaint(const Prober *p);

/* The pause behind the n-th pause: half as much again, up to the limit. No I/O. */
uint64_t prober_next_pause(const ProbeSpec *spec, uint64_t pause_usec);
