#include <errno.h>

#include "host/job.h"

/* What somebody else asked for at the same time gives way to us, as with systemctl. */
static int submit(Bus *b, const char *method, const char *unit, sd_bus_message **ret_reply, Error *e) {
        return manager_call(b, method, 0, ret_reply, e, "ss", unit, "replace");
}

static int submit_start(
                Bus *b, const char *unit, const void *userdata _unused_, sd_bus_message **ret, Error *e) {
        return submit(b, "StartUnit", unit, ret, e);
}

static int submit_stop(
                Bus *b, const char *unit, const void *userdata _unused_, sd_bus_message **ret, Error *e) {
        return submit(b, "StopUnit", unit, ret, e);
}

static int submit_restart(
                Bus *b, const char *unit, const void *userdata _unused_, sd_bus_message **ret, Error *e) {
        return submit(b, "RestartUnit", unit, ret, e);
}

static int submit_reload(
                Bus *b, const char *unit, const void *userdata _unused_, sd_bus_message **ret, Error *e) {
        int r = submit(b, "ReloadUnit", unit, ret, e);

        if (r == -EOPNOTSUPP)
                error_hint(e, r, "%s has no ExecReload=: use Strategy=restart, or give it one", unit);
        return r;
}

static int unit_run_job(Bus *b, const JobKind *kind, const char *unit, uint64_t kill_usec,
                uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        UnitState before;
        int r;

        if (outcome)
                *outcome = (UnitOutcome){0};
        r = unit_require(b, unit, &before, e);
        return r < 0 ? r : job_run(b, kind, &before, NULL, kill_usec, deadline_usec, outcome, e);
}

static const JobKind start = {"start", true, submit_start}, stop = {"stop", false, submit_stop},
                     restart = {"restart", true, submit_restart}, reload = {"reload", false, submit_reload};

int unit_start(Bus *b, const char *unit, uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        return unit_run_job(b, &start, unit, USEC_INFINITY, deadline_usec, outcome, e);
}

int unit_start_known(
                Bus *b, const UnitState *before, uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        return job_run(b, &start, before, NULL, USEC_INFINITY, deadline_usec, outcome, e);
}

int unit_stop(Bus *b, const char *unit, uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        return unit_run_job(b, &stop, unit, USEC_INFINITY, deadline_usec, outcome, e);
}

int unit_reload(Bus *b, const char *unit, uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        return unit_run_job(b, &reload, unit, USEC_INFINITY, deadline_usec, outcome, e);
}

int unit_stop_or_kill(Bus *b, const char *unit, uint64_t kill_usec, uint64_t deadline_usec,
                UnitOutcome *outcome, Error *e) {
        return unit_run_job(b, &stop, unit, kill_usec, deadline_usec, outcome, e);
}

int unit_restart(Bus *b, const char *unit, uint64_t kill_usec, uint64_t deadline_usec, UnitOutcome *outcome,
                Error *e) {
        return unit_run_job(b, &restart, unit, kill_usec, deadline_usec, outcome, e);
}
