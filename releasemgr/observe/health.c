#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "observe/health.h"
#include "observe/watch.h"

void health_report_clear(HealthReport *r) {
        for (size_t i = 0; i < r->n_last; i++)
                probe_result_clear(r->last + i);
        free(r->last);
        free(r->sentence);
        free(r->probe);
        *r = (HealthReport){0};
}

/* The first prober that is not yet content; NULL: all are. */
static const Prober *waits_for(const Watch *w) {
        for (size_t i = 0; i < w->n; i++)
                if (w->probers[i].good < w->probers[i].spec->successes)
                        return w->probers + i;
        return NULL;
}

/* Until it is healthy, or known that it will not be, or the deadline has come. */
static int wait_for_verdict(Watch *w, uint64_t deadline_usec, Error *e) {
        uint64_t now;
        int r;

        for (;;) {
                r = watch_look(w, e);
                if (r < 0)
                        return r;
                if (watch_unit_is_lost(w) || (w->condition == UNIT_UP && !waits_for(w)))
                        return 0;
                now = clock_monotonic();
                if (now >= deadline_usec)
                        return 0;
                r = wakeup_wait(&w->wakeup,
                                deadline_usec == USEC_INFINITY ? USEC_INFINITY : deadline_usec - now);
                if (r < 0 && r != -ETIMEDOUT)
                        return r;
        }
}

static int report_verdict(Watch *w, HealthReport *ret) {
        const Prober *p = waits_for(w);
        _cleanup_free_ char *complaint = NULL;
        char span[CLOCK_TEXT_MAX];

        if (watch_unit_is_lost(w))
                return watch_report(w, NULL, false, strdup(w->sentence), ret);
        if (w->condition == UNIT_UP && !p)
                return watch_report(w, NULL, true, NULL, ret);
        span_to_text(clock_monotonic() - w->start_usec, span);
        if (!p)
                return watch_report(w, NULL, false,
                                text_format("%s is still %s (%s) after %s", w->now.id, w->now.active_state,
                                                w->now.sub_state, span),
                                ret);
        complaint = prober_complaint(p);
        return watch_report(w, p, false,
                        complaint ? text_format("%s (not healthy after %s)", complaint, span) : NULL, ret);
}

int health_wait(const ProbeContext *c, const HealthSpec *spec, HealthReport *ret, Error *e) {
        _cleanup_(watch_clear) Watch w;
        int r;

        r = watch_open(&w, c, spec->probes, spec->n_probes, false, spec->unit, spec->started, e);
        if (r >= 0)
                r = wait_for_verdict(&w, spec->deadline_usec, e);
        return r < 0 ? r : report_verdict(&w, ret);
}
