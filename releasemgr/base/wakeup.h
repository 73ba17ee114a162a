#pragma once

/* One fiber waits for something that any other piece of the program may bring about. A wakeup that is set while
 * nobody waits is kept for the next wait; several of them count as one. So whoever waits looks at the facts
 * after each return, and never misses a change. */

#include "base/fiber.h"

typedef struct Wakeup {
        Fiber *waiter;
        bool set;
} Wakeup;

#define WAKEUP_INIT ((Wakeup){0})

/* May be called from the loop's stack or from a fiber. Never switches. */
void wakeup_set(Wakeup *w);

/* Suspends until @w is set, for @timeout µs at most (USEC_INFINITY: for ever), and takes it back. 0, -ETIMEDOUT,
 * -ECANCELED, or an error of the loop. One fiber at a time. */
int wakeup_wait(Wakeup *w, uint64_t timeout_usec);
