#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "observe/prober.h"

uint64_t prober_next_pause(const ProbeSpec *spec, uint64_t pause_usec) {
        if (pause_usec >= spec->interval_max_usec)
                return MAX_OF(spec->interval_max_usec, spec->interval_usec);
        return MIN_OF(pause_usec + pause_usec / 2 + 1, spec->interval_max_usec);
}

static int prober_ask(Prober *p) {
        ProbeResult result = {0};
        int r;

        p->asked_usec = clock_monotonic();
        p->attempts++;
        r = probe_run(p->context, p->spec, &result, &p->explanation);
        if (r < 0)
                return r;
        if (result.verdict != PROBE_GOOD && p->bad == 0)
                p->bad_usec = p->asked_usec;
        p->asked_usec = 0;
        probe_result_clear(&p->last);
        p->last = result;
        p->answered++;
        p->good = result.verdict == PROBE_GOOD ? p->good + 1 : 0;
        p->bad = result.verdict == PROBE_GOOD ? 0 : p->bad + 1;
        wakeup_set(p->wakeup);
        return 0;
}

static int prober_loop(Prober *p) {
        uint64_t pause = p->steady ? p->spec->interval_max_usec : p->spec->interval_usec;
        int r;

        for (;;) {
                r = prober_ask(p);
                if (r < 0)
                        return r;
                if (p->good > 0 && !p->steady)
                        pause = p->spec->interval_usec;
                r = fiber_sleep(pause);
                if (r < 0)
                        return r;
                if (!p->steady)
                        pause = prober_next_pause(p->spec, pause);
        }
}

static int prober_main(void *userdata) {
        Prober *p = userdata;

        p->error = prober_loop(p);
        wakeup_set(p->wakeup);
        return p->error;
}

int prober_start(Prober *p, const ProbeContext *context, const ProbeSpec *spec, bool steady, Wakeup *wakeup) {
        *p = (Prober){.context = context, .spec = spec, .steady = steady, .wakeup = wakeup};
        return fiber_new(fiber_event(), "prober", prober_main, p, &p->fiber);
}

void prober_clear(Prober *p) {
        p->fiber = fiber_stop(p->fiber);
        probe_result_clear(&p->last);
        error_clear(&p->explanation);
}

char *prober_complaint(const Prober *p) {
        const char *name = p->spec->name ? p->spec->name : p->spec->target;
        char span[CLOCK_TEXT_MAX];

        if (p->last.sentence)
                return !p->spec->name && strstr(p->last.sentence, name)
                                       ? strdup(p->last.sentence)
                                       : text_format("%s: %s", name, p->last.sentence);
        if (p->asked_usec > 0)
                return text_format("%s: no answer for %s", name,
                                span_to_text(clock_monotonic() - p->asked_usec, span));
        return text_format("%s: was good %u times in a row, of %u that are needed", name, p->good,
                        p->spec->successes);
}
