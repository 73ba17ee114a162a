/* The steps of a handover: the new instance starts beside the old one on the same sockets, and, once it has proved
 * itself and `current` names it, the old one drains. Going back is the same the other way round: the drain's undo brings
 * the old instance up beside the new one and proves it, the switch's undo names it, the start's undo drains the new. */

#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "deploy/service.h"
#include "host/fit.h"
#include "host/instance.h"

int handover_check_fit(Deploy *d, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        char unit[UNIT_NAME_MAX];
        UnitState state;
        FitFacts facts;
        int r;

        if (!d->from || streq(d->from, d->target))
                return 0;
        r = deploy_unit(d->o, d->from, unit, e);
        if (r >= 0)
                r = unit_read(d->o->bus, unit, &state, e);
        if (r < 0)
                return r;
        if (!unit_is_active(&state))
                return 0;
        r = fit_facts_read(&state, &facts);
        if (r >= 0)
                r = fit_judge(&facts, &error);
        if (r > 0 || (r == -EBUSY && d->goal == GOAL_ROLLBACK)) {
                progress_warn(d->o->progress, "%s", error_message(&error, -EBUSY));
                return 0;
        }
        error_move(e, &error);
        return r;
}

static int beside_start(Deploy *d, Error *e) {
        char took[CLOCK_TEXT_MAX];
        UnitOutcome outcome = {0};
        int r;

        r = handover_check_fit(d, e);
        if (r < 0)
                return r;
        r = service_bring(d, d->target, &outcome, e);
        d->started = outcome.state;
        if (r >= 0)
                progress_summary(d->o->progress, "%s beside %s in %s", outcome.state.id, d->from ?: "nothing",
                                span_to_text(outcome.took_usec, took));
        return r;
}

/* Stops the new instance. One that served before the deployment is left alone. */
static int beside_undo(Deploy *d, Error *e) {
        char unit[UNIT_NAME_MAX];
        int r;

        if (d->boot || streq_ptr(d->from, d->target))
                return 0;
        r = deploy_unit(d->o, d->target, unit, e);
        if (r >= 0)
                r = instance_drain(d->o->bus, unit, d->o->drain_usec, e);
        if (r >= 0)
                deploy_undid(d, "%s %s", unit, r > 0 ? "killed, since it did not stop" : "stopped");
        return r < 0 ? r : unit_reset_failed(d->o->bus, unit, e);
}

const StepType step_beside = {.name = "start", .start = beside_start, .undo = beside_undo};

/* All instances but that of the target: the old one, and what an earlier accident may have left. */
static int drain_start(Deploy *d, Error *e) {
        uint64_t start = clock_monotonic();
        char unit[UNIT_NAME_MAX], took[CLOCK_TEXT_MAX];
        int r;

        r = deploy_unit(d->o, d->target, unit, e);
        if (r >= 0)
                r = service_drain(d, unit, USEC_INFINITY, e);
        if (r > 0)
                progress_summary(d->o->progress, "%s drained in %s", d->from ?: "an old instance",
                                span_to_text(clock_monotonic() - start, took));
        return MIN_OF(r, 0);
}

static int drain_undo(Deploy *d, Error *e) {
        int r;

        if (d->boot || !d->from)
                return 0;
        r = deploy_is_serving(d->o, d->from, e);
        return r != 0 ? MIN_OF(r, 0) : service_revert(d, e);
}

const StepType step_drain = {.name = "drain", .start = drain_start, .undo = drain_undo};
