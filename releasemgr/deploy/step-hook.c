/* The steps that run hooks. Before COMMIT they can stop or turn a deployment; but not a rollback, which is what helps when
 * everything else fails: there they are only reported on. The hook that follows a failure is what undoes the
 * very first step, so that it comes when all else is undone. */

#include <errno.h>

#include "base/clock.h"
#include "deploy/hook.h"

static int run(Deploy *d, Hook hook, Error *e) {
        uint64_t start = clock_monotonic();
        char took[CLOCK_TEXT_MAX];
        int r;

        r = hook_run(d, hook, e);
        if (r == 0)
                progress_summary(d->o->progress, "done in %s", span_to_text(clock_monotonic() - start, took));
        return r > 0 ? -EIO : r;
}

/* What cannot change the deployment any more, or must not. A hook that was asked to stop is over, too. */
static void run_and_report(Deploy *d, Hook hook) {
        _cleanup_error_ Error error = ERROR_INIT;
        int r = run(d, hook, &error);

        if (r < 0)
                progress_warn(d->o->progress, "%s: %s", hook_name(hook), error_message(&error, r));
}

static int obey(Deploy *d, Hook hook, Error *e) {
        if (d->goal != GOAL_ROLLBACK)
                return run(d, hook, e);
        run_and_report(d, hook);
        return 0;
}

/* Systemd ended it with the host, where that is what happened. */
static int end(Deploy *d, Hook hook, Error *e) {
        return d->recovering && !d->boot ? hook_end(d, hook, e) : 0;
}

static int before_switch_start(Deploy *d, Error *e) {
        return obey(d, HOOK_BEFORE_SWITCH, e);
}

static int before_switch_undo(Deploy *d, Error *e) {
        return end(d, HOOK_BEFORE_SWITCH, e);
}

const StepType step_before_switch = {
                .name = "before-switch", .start = before_switch_start, .undo = before_switch_undo};

static int after_switch_start(Deploy *d, Error *e) {
        return obey(d, HOOK_AFTER_SWITCH, e);
}

static int after_switch_undo(Deploy *d, Error *e) {
        return end(d, HOOK_AFTER_SWITCH, e);
}

const StepType step_after_switch = {
                .name = "after-switch", .start = after_switch_start, .undo = after_switch_undo};

static int after_success_start(Deploy *d, Error *e _unused_) {
        if (d->boot)
                progress_warn(d->o->progress, "after-success: not run, the host was started anew");
        else
                run_and_report(d, HOOK_AFTER_SUCCESS);
        return 0;
}

const StepType step_after_success = {.name = "after-success", .start = after_success_start};

static int after_failure_start(Deploy *d, Error *e _unused_) {
        progress_summary(d->o->progress, "is run should this fail");
        return 0;
}

static int after_failure_undo(Deploy *d, Error *e _unused_) {
        if (d->boot)
                progress_warn(d->o->progress, "after-failure: not run, the host was started anew");
        else
                run_and_report(d, HOOK_AFTER_FAILURE);
        return 0;
}

const StepType step_after_failure = {
                .name = "after-failure", .start = after_failure_start, .undo = after_failure_undo};
