#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "host/oom.h"
#include "observe/watch.h"

/* Whether its end may have been a SIGKILL of the kernel; of one that was started again nobody knows. */
static bool may_be_killed(const UnitState *s) {
        return unit_is_active(s) || (streq(s->result, "signal") && s->exec_main_status == SIGKILL);
}

/* Processes that were killed for want of memory. Systemd tells of them with cgroups v2 alone, and not where the unit
 * lives on (OOMPolicy=continue). */
static void look_at_memory(Watch *w) {
        uint64_t kills = unit_oom_kills(&w->now), host;
        size_t n = strlen(w->sentence);

        if (!watch_unit_is_lost(w)) {
                if (kills == UINT64_MAX || w->oom_kills == UINT64_MAX || kills <= w->oom_kills)
                        return;
                w->condition = UNIT_TROUBLE;
                (void) snprintf(w->sentence, sizeof(w->sentence),
                                "%s lost a process because memory ran out (OOM)", w->now.id);
                return;
        }
        host = host_oom_kills();
        if (may_be_killed(&w->now) && host != UINT64_MAX && host > w->host_oom_kills)
                (void) snprintf(w->sentence + n, sizeof(w->sentence) - n,
                                ", while memory ran out and the kernel killed for it (OOM)");
}

static int watch_open_unit(Watch *w, const UnitState *started, Error *e) {
        int r;

        w->condition = w->unit ? UNIT_STARTING : UNIT_UP;
        if (!w->unit)
                return 0;
        w->started = w->now = started && *started->id ? *started : (UnitState){0};
        r = *w->now.id ? 0 : unit_read(w->context->bus, w->unit, &w->now, e); /* its canonical name */
        if (r >= 0)
                r = unit_watch_new(w->context->bus, w->now.id, &w->wakeup, &w->unit_watch);
        if (r >= 0 && !*w->started.id)
                r = unit_read(w->context->bus, w->unit, &w->started, e);
        w->oom_kills = unit_oom_kills(&w->now);
        w->host_oom_kills = host_oom_kills();
        return r;
}

int watch_open(Watch *w, const ProbeContext *context, const ProbeSpec *probes, size_t n, bool steady,
                const char *unit, const UnitState *started, Error *e) {
        int r;

        *w = (Watch){.context = context, .unit = unit, .start_usec = clock_monotonic()};
        r = watch_open_unit(w, started, e);
        if (r < 0)
                return r;
        w->probers = calloc(n + 1, sizeof(*w->probers));
        if (!w->probers)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = prober_start(w->probers + i, context, probes + i, steady, &w->wakeup);
                if (r < 0)
                        return r;
                w->n++;
        }
        return 0;
}

void watch_clear(Watch *w) {
        for (size_t i = 0; i < w->n; i++)
                prober_clear(w->probers + i);
        free(w->probers);
        unit_watch_free(w->unit_watch);
}

int watch_look(Watch *w, Error *e) {
        int r;

        for (size_t i = 0; i < w->n; i++)
                if (w->probers[i].error < 0) {
                        error_move(e, &w->probers[i].explanation);
                        return w->probers[i].error;
                }
        if (!w->unit)
                return 0;
        r = unit_read(w->context->bus, w->unit, &w->now, e);
        if (r >= 0)
                w->condition = unit_judge(&w->started, &w->now, w->sentence);
        if (r >= 0)
                look_at_memory(w);
        return r;
}

bool watch_unit_is_lost(const Watch *w) {
        return w->condition == UNIT_TROUBLE || w->condition == UNIT_DOWN;
}

int watch_report(Watch *w, const Prober *culprit, bool healthy, char *sentence, HealthReport *ret) {
        _cleanup_(health_report_clear) HealthReport report = {.healthy = healthy, .sentence = sentence};

        report.took_usec = clock_monotonic() - w->start_usec;
        report.unit = w->now;
        if (!healthy)
                report.bad_usec = culprit && culprit->bad > 0 ? culprit->bad_usec : clock_monotonic();
        if (culprit)
                report.probe = strdup(culprit->spec->name ? culprit->spec->name : culprit->spec->target);
        report.last = calloc(w->n + 1, sizeof(*report.last));
        if (!report.last || (culprit && !report.probe) || (!healthy && !sentence))
                return -ENOMEM;
        for (size_t i = 0; i < w->n; i++) {
                report.attempts += w->probers[i].attempts;
                report.last[report.n_last++] = TAKE(w->probers[i].last);
        }
        *ret = TAKE(report);
        return !healthy;
}
