#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/text.h"
#include "deploy/service.h"
#include "fetch/http.h"
#include "host/instance.h"
#include "host/socket.h"

int deploy_unit(const DeployOptions *o, const char *version, char ret[static UNIT_NAME_MAX], Error *e) {
        _cleanup_free_ char *current = NULL;
        int r;

        if (o->strategy != STRATEGY_HANDOVER) {
                (void) snprintf(ret, UNIT_NAME_MAX, "%s", o->unit);
                return 0;
        }
        if (!version) {
                r = store_get_current(o->store, &current, e);
                if (r < 0)
                        return r;
                version = current;
        }
        r = instance_name(o->unit, version, ret);
        return r < 0 ? error_errno(e, r, "%s cannot have an instance for release %s", o->unit, version) : 0;
}

int deploy_start(const DeployOptions *o, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        char unit[UNIT_NAME_MAX];
        int r;

        r = deploy_unit(o, NULL, unit, &error);
        if (r == -ENOENT)
                return 0;
        error_move(e, &error);
        if (r < 0)
                return r;
        r = unit_start(o->bus, unit, clock_monotonic() + o->start_timeout_usec, NULL, e);
        if (r >= 0) /* they cannot be opened here: our own unit is what they start */
                r = sockets_check(o->bus, unit, e);
        return r < 0 ? r : 1;
}

int deploy_is_serving(const DeployOptions *o, const char *version, Error *e) {
        _cleanup_(process_proof_clear) ProcessProof proof = {0};
        _cleanup_free_ char *directory = NULL;
        char unit[UNIT_NAME_MAX];
        UnitState state;
        int r;

        if (!version)
                return 0;
        r = deploy_unit(o, version, unit, e);
        if (r >= 0)
                r = unit_read(o->bus, unit, &state, e);
        if (r < 0)
                return r;
        if (!unit_is_active(&state) || state.main_pid == 0)
                return 0;
        if (o->prove == PROVE_OFF)
                return 1;
        directory = store_release_path(o->store, version);
        if (!directory)
                return -ENOMEM;
        r = process_prove(state.main_pid, directory, o->prove, &proof);
        if (r == -ESRCH || r == -ENOENT) /* the process is gone, or the release */
                return 0;
        return r < 0 ? error_errno(e, r, "Cannot look at process %d of %s", (int) state.main_pid, unit)
                     : proof.proven;
}

/* What may take @span on the way there has what is left of its own deadline on the way back. */
static uint64_t deadline(const Deploy *d, uint64_t span) {
        return d->back_usec > 0 ? d->back_usec + d->o->revert_usec : clock_monotonic() + span;
}

static uint64_t start_deadline(const Deploy *d) {
        return deadline(d, d->o->start_timeout_usec);
}

static uint64_t half_of_the_rest(uint64_t now, uint64_t until) {
        return until > now ? (until - now) / 2 : 0;
}

/* On the way there the unit itself says for how long the old release may finish its work. What is taken back must not keep
 * the old one from serving. */
static int restart(Deploy *d, UnitOutcome *outcome, Error *e) {
        uint64_t now = clock_monotonic(), until = start_deadline(d), kill = USEC_INFINITY;
        int r;

        if (d->abort_usec > 0)
                kill = now + MIN_OF(d->o->drain_usec, half_of_the_rest(now, until));
        r = unit_restart(d->o->bus, d->o->unit, kill, until, outcome, e);
        if (outcome->killed)
                progress_warn(d->o->progress, "%s had not stopped in time and was killed", d->o->unit);
        return r;
}

/* A unit that does not run cannot be reloaded: it is started. Where a reload does not lead back, or one hangs, a restart
 * does. */
static int reload_or_start(Deploy *d, UnitOutcome *outcome, Error *e) {
        uint64_t now = clock_monotonic(), until = start_deadline(d);
        _cleanup_error_ Error error = ERROR_INIT;
        UnitState state;
        int r;

        r = unit_read(d->o->bus, d->o->unit, &state, e);
        if (r < 0)
                return r;
        if (!unit_is_active(&state))
                return unit_start(d->o->bus, d->o->unit, until, outcome, e);
        if (d->abort_usec > 0)
                until = now + half_of_the_rest(now, until);
        r = unit_reload(d->o->bus, d->o->unit, until, outcome, &error);
        if (d->abort_usec > 0 && (r == -EIO || r == -ETIMEDOUT)) {
                progress_warn(d->o->progress, "%s; it is restarted", error_message(&error, r));
                return restart(d, outcome, e);
        }
        error_move(e, &error);
        return r;
}

/* What came of a look at the sockets. Closed ones stop what would not be reached; where that is no worse than before, or on
 * the way back, they are told of. */
static int judge_sockets(const Deploy *d, int r, Error *error, bool as_before, Error *e) {
        if ((r == -EADDRNOTAVAIL || r == -EADDRINUSE) && (as_before || d->back_usec > 0)) {
                progress_warn_error(d->o->progress, error, r);
                return 0;
        }
        error_move(e, error);
        return r;
}

int service_drain(Deploy *d, const char *spare, uint64_t until, Error *e) {
        _cleanup_strv_ char **running = NULL;
        int n = 0, r;

        r = instances_running(d->o->bus, d->o->unit, &running, e);
        for (char **i = running; r >= 0 && i && *i; i++) {
                uint64_t now = clock_monotonic();

                if (streq_ptr(*i, spare))
                        continue;
                r = instance_drain(d->o->bus, *i, MIN_OF(d->o->drain_usec, until - MIN_OF(now, until)), e);
                if (r > 0)
                        progress_warn(d->o->progress, "%s had not finished in time and was killed", *i);
                if (r >= 0) /* how it ended concerns nobody any more */
                        r = unit_reset_failed(d->o->bus, *i, e);
                n++;
        }
        return r < 0 ? r : n;
}

/* Nobody serves until what is to come does. On the way back it must not be kept from that by what does not stop. */
static int make_way(Deploy *d, Error *e) {
        uint64_t now = clock_monotonic(), until = USEC_INFINITY;

        if (d->back_usec > 0)
                until = now + half_of_the_rest(now, start_deadline(d));
        error_clear(e);
        if (d->back_usec == 0)
                d->touched = true;
        if (d->down_usec == 0)
                d->down_usec = now;
        return service_drain(d, NULL, until, e);
}

/* What runs may hold the address of a socket that was closed meanwhile. Where the way leads back, it goes first then. */
static int open_sockets(Deploy *d, const char *unit, UnitState *ret, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        int r = sockets_open(d->o->bus, unit, start_deadline(d), ret, &error);

        if (r == -EADDRINUSE && (d->back_usec > 0 || d->goal == GOAL_ROLLBACK)) {
                progress_warn(d->o->progress, "%s; what runs is stopped first", error_message(&error, r));
                r = make_way(d, &error);
                if (r >= 0)
                        r = sockets_open(d->o->bus, unit, start_deadline(d), ret, &error);
        }
        return judge_sockets(d, r, &error, false, e);
}

static int check_sockets(Deploy *d, const char *unit, bool as_before, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        int r = sockets_check(d->o->bus, unit, &error);

        return judge_sockets(d, r, &error, as_before, e);
}

static int bring_beside(Deploy *d, const char *version, UnitOutcome *outcome, Error *e) {
        char unit[UNIT_NAME_MAX];
        UnitState before;
        int r;

        r = deploy_unit(d->o, version, unit, e);
        if (r >= 0)
                r = open_sockets(d, unit, &before, e);
        if (r >= 0)
                r = instance_start(d->o->bus, unit, &before, start_deadline(d), outcome, e);
        if (r < 0)
                return r;
        r = check_sockets(d, unit, false, e);
        if (r == -EADDRNOTAVAIL) /* by then this instance is stopped */
                error_hint(e, r, "releasemgr status names the commands that open it again");
        return r;
}

/* While the service runs its sockets cannot be opened: systemd does so as it starts it again. */
static int bring_anew(Deploy *d, UnitOutcome *outcome, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        const char *unit = d->o->unit;
        bool closed;
        int r;

        r = sockets_check(d->o->bus, unit, &error);
        closed = r == -EADDRNOTAVAIL;
        if (closed)
                r = sockets_forget(d->o->bus, unit, e);
        else
                error_move(e, &error);
        if (r >= 0)
                r = restart(d, outcome, e);
        return r < 0 ? r : check_sockets(d, unit, closed, e);
}

static int prepare_probes(void *userdata) {
        const Deploy *d = userdata;

        for (size_t i = 0; i < d->o->n_probes; i++)
                if (d->o->probes[i].kind == PROBE_HTTP && d->o->http)
                        http_prepare(d->o->http);
        return 0;
}

/* The start limit is forgotten first: a release that crashed in a loop must not use up the starts of the one that
 * follows it. */
static int bring(Deploy *d, const char *version, UnitOutcome *outcome, Error *e) {
        int r;

        if (d->o->strategy == STRATEGY_HANDOVER)
                return bring_beside(d, version, outcome, e);
        r = unit_reset_failed(d->o->bus, d->o->unit, e);
        if (r < 0)
                return r;
        d->touched = true;
        if (d->down_usec == 0)
                d->down_usec = clock_monotonic();
        return d->o->strategy == STRATEGY_RELOAD ? reload_or_start(d, outcome, e) : bring_anew(d, outcome, e);
}

/* What is going to ask it is got ready while systemd works. */
int service_bring(Deploy *d, const char *version, UnitOutcome *outcome, Error *e) {
        _cleanup_(fiber_stop_p) Fiber *fiber = NULL;
        int r;

        r = fiber_new(fiber_event(), "prepare", prepare_probes, d, &fiber);
        return r < 0 ? r : bring(d, version, outcome, e);
}

/* @text with each "%v" replaced by @version, added to @texts. */
static int expand_into(char ***texts, const char *text, const char *version) {
        _cleanup_text_ Text t = TEXT_INIT;
        const char *mark;
        int r = 0;

        for (; r >= 0 && (mark = strstr(text, "%v")); text = mark + 2) {
                r = text_add(&t, text, mark - text);
                if (r >= 0)
                        r = text_adds(&t, version);
        }
        if (r >= 0)
                r = text_adds(&t, text);
        return r < 0 ? r : strv_add(texts, t.data);
}

/* As above, where there is anything to replace; *@place, which names the text, then names the new one. */
static int expand(char ***texts, const char **place, const char *version) {
        int r;

        if (!*place || !strstr(*place, "%v"))
                return 0;
        r = expand_into(texts, *place, version);
        if (r >= 0)
                *place = (*texts)[strv_length(*texts) - 1];
        return r;
}

static int expand_probe(ServiceProbes *s, size_t i, const ProbeSpec *from, const char *version) {
        ProbeSpec *p = s->probes + i;
        int r;

        *p = *from;
        r = expand(&s->texts, &p->target, version);
        if (r >= 0)
                r = expand(&s->texts, &p->unix_socket, version);
        for (char *const *w = from->argv; r >= 0 && w && *w; w++)
                r = expand_into(s->commands + i, *w, version);
        p->argv = s->commands[i];
        return r;
}

int service_user(const DeployOptions *o, const char *version, char ret[static UNIT_USER_MAX], Error *e) {
        char unit[UNIT_NAME_MAX];
        UnitSetup setup;
        int r;

        r = deploy_unit(o, version, unit, e);
        if (r >= 0)
                r = unit_read_setup(o->bus, unit, &setup, e);
        if (r >= 0)
                memcpy(ret, setup.user, UNIT_USER_MAX);
        return r;
}

int service_probes(const DeployOptions *o, const char *version, ServiceProbes *ret, Error *e) {
        bool commands = false;
        int r;

        *ret = (ServiceProbes){.probes = calloc(o->n_probes + 1, sizeof(*ret->probes)),
                        .commands = calloc(o->n_probes + 1, sizeof(*ret->commands)),
                        .n = o->n_probes};
        if (!ret->probes || !ret->commands)
                return -ENOMEM;
        for (size_t i = 0; i < o->n_probes; i++)
                commands = commands || o->probes[i].kind == PROBE_COMMAND;
        r = commands ? service_user(o, version, ret->user, e) : 0;
        for (size_t i = 0; r >= 0 && i < o->n_probes; i++)
                r = expand_probe(ret, i, o->probes + i, version);
        ret->context = (ProbeContext){.http = o->http,
                        .bus = o->bus,
                        .version = version,
                        .user = isempty(ret->user) ? NULL : ret->user};
        return r;
}

void service_probes_clear(ServiceProbes *s) {
        for (size_t i = 0; s->commands && i < s->n; i++)
                strv_free(s->commands[i]);
        free(s->commands);
        strv_free(s->texts);
        free(s->probes);
}

/* The process of a release: with a reload it is the old one, so nothing can be said of it. */
static int prove_process(Deploy *d, const char *version, const char *unit, uint64_t deadline, Error *e) {
        _cleanup_free_ char *directory = store_release_path(d->o->store, version);

        if (!directory)
                return -ENOMEM;
        if (d->o->strategy == STRATEGY_RELOAD)
                return 0;
        return unit_prove_process(d->o->bus, unit, directory, d->o->prove, deadline, NULL, e);
}

int service_prove(Deploy *d, const char *version, const UnitState *started, HealthReport *report, Error *e) {
        _cleanup_(service_probes_clear) ServiceProbes probes = {0};
        HealthSpec spec = {.started = started};
        char unit[UNIT_NAME_MAX];
        int r;

        r = deploy_unit(d->o, version, unit, e);
        if (r >= 0)
                r = service_probes(d->o, version, &probes, e);
        if (r < 0)
                return r;
        /* on the way back systemd may start what goes along with the unit a moment before the unit itself */
        probes.context.since_usec = d->back_usec > 0 ? d->back_usec : started->inactive_exit_usec;
        spec.probes = probes.probes;
        spec.n_probes = probes.n;
        spec.unit = unit;
        spec.deadline_usec = deadline(d, d->o->health_timeout_usec);
        health_report_clear(report);
        r = health_wait(&probes.context, &spec, report, e);
        if (r == 1)
                error_set(e, ERROR_FAILED, -EIO, "%s", report->sentence);
        if (r != 0)
                return r;
        r = prove_process(d, version, unit, spec.deadline_usec, e);
        if (r < 0) /* -ESTALE: it does not run from the release; anything else says nothing about that */
                return r == -ESTALE ? 1 : r;
        if (d->down_usec > 0)
                d->outage_usec += clock_monotonic() - d->down_usec;
        d->down_usec = 0;
        return 0;
}

static int bring_back(Deploy *d, Error *e) {
        UnitOutcome outcome = {0};
        int r = service_bring(d, d->from, &outcome, e);

        d->back_started = outcome.state;
        if (r == -EIO || r == -ETIMEDOUT)
                return ENGINE_UNHEALTHY;
        if (r >= 0)
                r = service_prove(d, d->from, &outcome.state, &d->back, e);
        return r > 0 ? ENGINE_UNHEALTHY : r;
}

int service_revert(Deploy *d, Error *e) {
        char took[CLOCK_TEXT_MAX];
        int r;

        if (d->back_broken)
                return ENGINE_UNHEALTHY;
        d->back_usec = clock_monotonic();
        r = bring_back(d, e);
        d->back_broken = r > 0;
        if (r == 0)
                deploy_undid(d, "%s %s, healthy after %s", d->from,
                                d->o->strategy == STRATEGY_HANDOVER ? "started anew"
                                : d->o->strategy == STRATEGY_RELOAD ? "loaded again"
                                                                    : "started again",
                                span_to_text(clock_monotonic() - d->abort_usec, took));
        return r;
}
