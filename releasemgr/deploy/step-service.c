/* The steps that touch the running service: anchor, switch, restart, prove. */

#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "deploy/service.h"
#include "host/instance.h"

/* The anchor: its undo, which comes after those of switch and restart, brings the service back to the release that
 * `current` names again. */

static int anchor_start(Deploy *d, Error *e) {
        UnitState state;
        int r;

        /* of a handover this is found as the instance is started, when nothing has changed yet */
        r = d->o->strategy == STRATEGY_HANDOVER ? 0 : unit_require(d->o->bus, d->o->unit, &state, e);
        if (r < 0)
                return r;
        progress_summary(d->o->progress, d->from ? "%s is the way back" : "the first release: no way back",
                        d->from);
        return 0;
}

/* There was no release before: the service did not run, and must not run now. */
static int stop_service(Deploy *d, Error *e) {
        char unit[UNIT_NAME_MAX];
        int r;

        r = deploy_unit(d->o, d->target, unit, e);
        if (r >= 0)
                r = instance_drain(d->o->bus, unit, d->o->drain_usec, e);
        if (r >= 0)
                deploy_undid(d, "%s stopped", unit);
        return r < 0 ? r : unit_reset_failed(d->o->bus, unit, e);
}

static int anchor_undo(Deploy *d, Error *e) {
        int r;

        if (d->boot)
                return 0;
        if (!d->from)
                return stop_service(d, e);
        r = deploy_is_serving(d->o, d->from, e);
        if (r < 0)
                return r;
        if (r > 0 && !d->touched && !(d->recovering && d->o->prove == PROVE_OFF))
                return d->back_broken ? ENGINE_UNHEALTHY : 0;
        return service_revert(d, e);
}

const StepType step_anchor = {.name = "anchor", .start = anchor_start, .undo = anchor_undo};

static int switch_start(Deploy *d, Error *e) {
        int r = store_set_current(d->o->store, d->target, e);

        if (r >= 0)
                progress_summary(d->o->progress, "current -> %s", d->target);
        return r;
}

static int switch_undo(Deploy *d, Error *e) {
        int r = d->from ? store_set_current(d->o->store, d->from, e) : store_unset_current(d->o->store, e);

        if (r >= 0)
                deploy_undid(d, d->from ? "current -> %s" : "current removed", d->from);
        return r;
}

static int switch_inspect(Deploy *d, Error *e) {
        _cleanup_free_ char *current = NULL;
        int r = store_get_current(d->o->store, &current, e);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return streq(current, d->target);
}

const StepType step_switch = {
                .name = "switch", .start = switch_start, .undo = switch_undo, .inspect = switch_inspect};

static int restart_start(Deploy *d, Error *e) {
        char took[CLOCK_TEXT_MAX];
        UnitOutcome outcome = {0};
        int r;

        r = service_bring(d, d->target, &outcome, e);
        d->started = outcome.state;
        if (r >= 0)
                progress_summary(d->o->progress, "%s in %s", d->o->unit,
                                span_to_text(outcome.took_usec, took));
        return r;
}

/* What undoes a restart is another one, of the release that `current` will name by then: the anchor's. */
static int nothing_to_undo(Deploy *d _unused_, Error *e _unused_) {
        return 0;
}

const StepType step_restart = {.name = "restart", .start = restart_start, .undo = nothing_to_undo};
const StepType step_reload = {.name = "reload", .start = restart_start, .undo = nothing_to_undo};

static int prove_start(Deploy *d, Error *e) {
        char took[CLOCK_TEXT_MAX];
        int r;

        r = service_prove(d, d->target, &d->started, &d->health, e);
        if (r > 0)
                return -EIO;
        if (r < 0)
                return r;
        progress_summary(d->o->progress, "%s is healthy, %u probe%s in %s", d->target, d->health.attempts,
                        d->health.attempts == 1 ? "" : "s", span_to_text(d->health.took_usec, took));
        return 0;
}

const StepType step_prove = {.name = "prove", .start = prove_start, .undo = nothing_to_undo};
