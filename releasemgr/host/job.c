#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "host/job.h"
#include "host/unit-judge.h"

/* Ask for a job, and wait for this very one. Others may work on the same unit
 * meanwhile, so a change of its state alone proves nothing; and a job may go on for ever in the restarts of a unit that
 * cannot start, so the job alone is not enough either. */

typedef struct Job {
        Bus *bus;
        const JobKind *kind;
        const void *userdata;
        UnitState before;
        char *path;        /* NULL until systemd has answered */
        char **removed;    /* path, result, path, result, ... of this unit's jobs that ended */
        bool lost;         /* the connection was, and perhaps a signal with it */
        unsigned restarts; /* by Restart=, that are none of our job's */
        Wakeup wakeup;
        BusListener *listener;
        UnitWatch *watch;
        uint64_t start_usec;
        uint64_t kill_usec;
        uint64_t deadline_usec;
        uint64_t stop_usec;     /* that the unit may take to stop before it is started, beyond the deadline */
        uint64_t stopping_usec; /* that it took of it */
        bool stopping;
} Job;

static void job_clear(Job *j) {
        j->watch = unit_watch_free(j->watch);
        j->listener = bus_unlisten(j->listener);
        j->removed = strv_free(j->removed);
        free(j->path);
}

/* JobRemoved may come before our fiber has seen the answer that names the job: so every one is kept. */
static void on_manager_signal(sd_bus_message *signal, void *userdata) {
        const char *path, *unit, *result;
        Job *j = userdata;
        uint32_t id;

        if (!signal)
                j->lost = true;
        else {
                if (sd_bus_message_is_signal(signal, SYSTEMD_MANAGER, "JobRemoved") <= 0 ||
                                sd_bus_message_read(signal, "uoss", &id, &path, &unit, &result) < 0 ||
                                !streq(unit, j->before.id))
                        return;
                if (strv_add(&j->removed, path) < 0 || strv_add(&j->removed, result) < 0)
                        return;
        }
        wakeup_set(&j->wakeup);
}

static const char *job_result(const Job *j) {
        for (size_t i = 0; i + 1 < strv_length(j->removed); i += 2)
                if (streq(j->removed[i], j->path))
                        return j->removed[i + 1];
        return NULL;
}

/* After a lost connection the signal may be lost as well: a job that is no more has ended somehow, and the unit's
 * state tells how. */
static int job_is_gone(Job *j, Error *e) {
        unsigned tries = 0;
        uint32_t id = 0;
        int r;

        if (sscanf(j->path, "/org/freedesktop/systemd1/job/%u", &id) != 1)
                return error_set(e, ERROR_FAILED, -EBADMSG, "systemd named a job '%s'", j->path);
        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

                r = manager_call(j->bus, "GetJob", 0, &reply, e, "u", id);
        } while (bus_ask_again(j->bus, r, &tries, e));
        if (r != -ESRCH)
                return r;
        if (e)
                error_clear(e);
        return 1;
}

static int job_begin(Job *j, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = bus_listen(j->bus, SYSTEMD_PATH, on_manager_signal, j, &j->listener);
        if (r < 0)
                return r;
        r = unit_watch_new(j->bus, j->before.id, &j->wakeup, &j->watch);
        if (r < 0)
                return r;
        r = j->kind->submit(j->bus, j->before.id, j->userdata, &reply, e);
        if (r < 0)
                return error_prefix(e, r, "Cannot %s %s: ", j->kind->verb, j->before.id);
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return error_errno(e, r, "Cannot understand systemd's answer about %s", j->before.id);
        j->path = strdup(path);
        return j->path ? 0 : -ENOMEM;
}

/* Our job finds a unit that Restart= starts again and again: systemd may make one of those starts, before it or in its
 * place. */
static bool is_restarting(const UnitState *s) {
        return s->n_restarts > 0 || streq(s->active_state, "activating");
}

/* A failure of the start that our job made, not of the one before it. */
static bool job_has_failed(Job *j, const UnitState *now, char *sentence) {
        UnitState begun = {0};

        if (!j->kind->starts || streq(now->invocation_id, j->before.invocation_id))
                return false;
        begun.n_restarts = j->restarts = MIN_OF(j->restarts, now->n_restarts);
        if (streq(now->active_state, "failed") || streq(now->sub_state, "auto-restart") ||
                        now->n_restarts > j->restarts)
                return unit_judge(&begun, now, sentence) == UNIT_TROUBLE;
        return false;
}

static int job_explain(const Job *j, const char *result, const UnitState *now, Error *e) {
        const char *what = j->kind->verb, *unit = j->before.id;
        char sentence[UNIT_SENTENCE_MAX];
        int r;

        if (streq(result, "done") || streq(result, "skipped"))
                return 0;
        if (streq(result, "canceled")) {
                r = error_set(e, ERROR_FAILED, -EBUSY, "Somebody cancelled our job to %s %s", what, unit);
                return error_hint(e, r, "See `systemctl list-jobs`, and who else works on the unit");
        }
        if (streq(result, "timeout")) {
                r = error_set(e, ERROR_FAILED, -ETIMEDOUT, "systemd gave up waiting to %s %s", what, unit);
                return error_hint(e, r, "JobTimeoutSec= of the unit has run out");
        }
        if (streq(result, "dependency")) {
                r = error_set(e, ERROR_FAILED, -EIO, "Cannot %s %s: a unit that it requires failed", what,
                                unit);
                return error_hint(e, r, "`systemctl list-dependencies %s` shows which", unit);
        }
        unit_describe_result(now, sentence);
        if (streq(result, "failed") && !streq(now->result, "success"))
                return error_set(e, ERROR_FAILED, -EIO, "Cannot %s %s: it %s", what, unit, sentence);
        return error_set(e, ERROR_FAILED, -EIO, "Cannot %s %s: the job ended as '%s'", what, unit, result);
}

/* The result of a job that is no more, where the signal that told it was lost: read from the unit, once that has come to
 * rest. systemd may lose a job when it is re-executed, and what the job began goes on. */
static const char *job_guess(const Job *j, const UnitState *now) {
        if (streq(now->active_state, "activating") || streq(now->active_state, "deactivating"))
                return NULL;
        return !j->kind->starts || unit_is_active(now) ? "done" : "failed";
}

/* One look at the facts: 1 where the wait goes on, 0 where the job is done, an error where it failed. The result must
 * be known before the state is read, or the state might be the one before the end. */
static int job_look(Job *j, UnitOutcome *outcome, Error *e) {
        const char *result = job_result(j);
        char sentence[UNIT_SENTENCE_MAX];
        int r;

        if (!result && j->lost) {
                r = job_is_gone(j, e);
                if (r < 0)
                        return r;
                j->lost = r > 0; /* where it lives, its end will be told */
        }
        r = unit_read(j->bus, j->before.id, &outcome->state, e);
        if (r < 0)
                return r;
        if (job_has_failed(j, &outcome->state, sentence))
                return error_set(e, ERROR_FAILED, -EIO, "Cannot %s: %s", j->kind->verb, sentence);
        if (!result && j->lost)
                result = job_guess(j, &outcome->state);
        if (!result)
                return 1;
        (void) snprintf(outcome->job_result, sizeof(outcome->job_result), "%s", result);
        return job_explain(j, result, &outcome->state, e);
}

/* What the old process takes to stop is none of the new one's time. */
static uint64_t job_deadline(Job *j, uint64_t now, const UnitState *s) {
        bool stopping = streq(s->active_state, "deactivating");

        if (stopping || j->stopping)
                j->stopping_usec = MIN_OF(now - j->start_usec, j->stop_usec);
        j->stopping = stopping;
        return j->deadline_usec == USEC_INFINITY ? USEC_INFINITY : j->deadline_usec + j->stopping_usec;
}

/* Kills what should have stopped by now, once. */
static void job_kill(Job *j, uint64_t now, UnitOutcome *outcome) {
        if (now < j->kill_usec)
                return;
        j->kill_usec = USEC_INFINITY;
        if (!j->kind->starts || streq(outcome->state.active_state, "deactivating"))
                outcome->killed = unit_kill(j->bus, j->before.id, "all", SIGKILL, NULL) >= 0;
}

static int job_wait(Job *j, UnitOutcome *outcome, Error *e) {
        char span[CLOCK_TEXT_MAX];
        uint64_t now, next, deadline;
        int r;

        for (;;) {
                r = job_look(j, outcome, e);
                if (r <= 0)
                        return r;
                now = clock_monotonic();
                job_kill(j, now, outcome);
                deadline = job_deadline(j, now, &outcome->state);
                next = MIN_OF(j->kill_usec, deadline);
                r = now >= deadline ? -ETIMEDOUT
                                    : wakeup_wait(&j->wakeup, next == USEC_INFINITY ? next : next - now);
                if (r == -ETIMEDOUT && now < deadline)
                        continue;
                if (r == -ETIMEDOUT) {
                        r = error_set(e, ERROR_FAILED, r,
                                        "%s was asked to %s and had not done so after %s (it is %s, %s)",
                                        j->before.id, j->kind->verb, span_to_text(now - j->start_usec, span),
                                        outcome->state.active_state, outcome->state.sub_state);
                        return error_hint(e, r, "`journalctl -u %s` shows what it is doing", j->before.id);
                }
                if (r < 0)
                        return r;
        }
}

int job_run(Bus *b, const JobKind *kind, const UnitState *before, const void *userdata, uint64_t kill_usec,
                uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        _cleanup_(job_clear) Job job = {.bus = b,
                        .kind = kind,
                        .userdata = userdata,
                        .before = *before,
                        .restarts = is_restarting(before) ? UINT_MAX : 0,
                        .kill_usec = kill_usec,
                        .stop_usec = kind->starts && kill_usec == USEC_INFINITY &&
                                                                     before->timeout_stop_usec !=
                                                                                     USEC_INFINITY
                                                     ? before->timeout_stop_usec
                                                     : 0,
                        .deadline_usec = deadline_usec,
                        .start_usec = clock_monotonic()};
        UnitOutcome own, *o = outcome ? outcome : &own;
        int r;

        *o = (UnitOutcome){.state = *before};
        r = job_begin(&job, e);
        if (r >= 0)
                r = job_wait(&job, o, e);
        o->took_usec = clock_monotonic() - job.start_usec;
        return r;
}
