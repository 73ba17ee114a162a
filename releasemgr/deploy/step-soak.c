/* The soak: the release is healthy and serves, and may still be taken back. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "deploy/service.h"
#include "observe/soak.h"

/* Who asks for the status, or wants to deploy something else, is told how long it will be. */
static void on_time(uint64_t left_usec, void *userdata) {
        char stage[64], left[CLOCK_TEXT_MAX];
        Deploy *d = userdata;

        (void) snprintf(stage, sizeof(stage), DEPLOY_SOAK_STAGE ", %s left", span_to_text(left_usec, left));
        if (d->lock)
                (void) lock_set_stage(d->lock, stage);
}

static int soak(Deploy *d, const char *unit, HealthReport *report, Error *e) {
        _cleanup_(service_probes_clear) ServiceProbes probes = {0};
        SoakSpec spec = {.unit = unit, .duration_usec = d->o->soak_usec, .on_time = on_time, .userdata = d};
        int r;

        r = service_probes(d->o, d->target, &probes, e);
        if (r < 0)
                return r;
        probes.context.since_usec = d->started.inactive_exit_usec;
        spec.probes = probes.probes;
        spec.n_probes = probes.n;
        spec.started = isempty(d->started.id) ? NULL : &d->started;
        return soak_wait(&probes.context, &spec, report, e);
}

static int soak_start(Deploy *d, Error *e) {
        _cleanup_(health_report_clear) HealthReport report = {0};
        char span[CLOCK_TEXT_MAX], unit[UNIT_NAME_MAX];
        int r;

        r = deploy_unit(d->o, d->target, unit, e);
        if (r >= 0)
                r = soak(d, unit, &report, e);
        if (r < 0)
                return r;
        span_to_text(report.took_usec, span);
        if (r > 0) {
                d->down_usec = report.bad_usec;
                r = error_set(e, ERROR_FAILED, -EIO, "%s, %s after it was healthy", report.sentence, span);
                health_report_clear(&d->health);
                d->health = TAKE(report);
                return r;
        }
        progress_summary(d->o->progress, "%s stayed healthy for %s, %u probes", d->target, span,
                        report.attempts);
        return 0;
}

/* What the soak watched is undone by the steps before it. */
static int soak_undo(Deploy *d _unused_, Error *e _unused_) {
        return 0;
}

const StepType step_soak = {.name = DEPLOY_SOAK_STAGE, .start = soak_start, .undo = soak_undo};
