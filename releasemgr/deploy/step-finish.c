/* The step behind COMMIT: what the host remembers of the release that proved itself, and what it no longer needs. Each
 * part can be repeated. */

#include "base/clock.h"
#include "deploy/context.h"
#include "deploy/retain.h"

#define HOLD_REASON "rolled back by hand"

/* After a rollback by hand the timer must not bring back what the operator took away. */
static int remember_rollback(Deploy *d, Error *e) {
        int r = 0;

        if (d->from)
                r = ledger_abandon(d->ledger, d->from, e);
        return r < 0 ? r : ledger_hold(d->ledger, d->o->by, HOLD_REASON, clock_now(), e);
}

static int finish_start(Deploy *d, Error *e) {
        int r, n;

        if (d->goal == GOAL_ROLLBACK)
                r = remember_rollback(d, e);
        else
                r = ledger_prove(d->ledger, d->target, clock_now(), e);
        if (r < 0)
                return r;
        n = retain_prune(d, false, e);
        if (n > 0)
                progress_summary(d->o->progress, "%d old release%s removed", n, n == 1 ? "" : "s");
        return n < 0 ? n : 0;
}

const StepType step_finish = {.name = "finish", .start = finish_start};
