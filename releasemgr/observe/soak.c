#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "observe/latency.h"
#include "observe/soak.h"
#include "observe/watch.h"

#define TICK_USEC USEC_PER_SEC

#define FAILURES_DEFAULT       3
#define LATENCY_FACTOR_DEFAULT 10

typedef struct Soak {
        const SoakSpec *spec;
        Watch watch;
        LatencyWatch *latency; /* one a prober */
        unsigned *answered;    /* of each prober, up to the last look */
        uint64_t end_usec;
        uint64_t tick_usec;
        char *sentence; /* why it is not healthy; NULL: it is */
        const Prober *culprit;
} Soak;

static void soak_clear(Soak *s) {
        watch_clear(&s->watch);
        free(s->latency);
        free(s->answered);
        free(s->sentence);
}

static int soak_open(Soak *s, const ProbeContext *c, Error *e) {
        const SoakSpec *spec = s->spec;
        int r;

        r = watch_open(&s->watch, c, spec->probes, spec->n_probes, true, spec->unit, spec->started, e);
        if (r < 0)
                return r;
        s->latency = calloc(spec->n_probes + 1, sizeof(*s->latency));
        s->answered = calloc(spec->n_probes + 1, sizeof(*s->answered));
        if (!s->latency || !s->answered)
                return -ENOMEM;
        r = watch_look(&s->watch, e);
        if (r < 0)
                return r;
        s->end_usec = clock_monotonic() + spec->duration_usec;
        return 0;
}

static int blame(Soak *s, const Prober *culprit, char *sentence) {
        s->culprit = culprit;
        s->sentence = sentence;
        return sentence ? 0 : -ENOMEM;
}

static int look_at_latency(Soak *s, size_t i) {
        unsigned factor = s->spec->latency_factor ? s->spec->latency_factor : LATENCY_FACTOR_DEFAULT;
        const Prober *p = s->watch.probers + i;
        char was_text[CLOCK_TEXT_MAX], is_text[CLOCK_TEXT_MAX];
        uint64_t was, is;
        unsigned growth;

        if (p->answered == s->answered[i] || p->last.verdict != PROBE_GOOD)
                return 0;
        latency_add(s->latency + i, p->last.latency_usec);
        growth = latency_growth(s->latency + i, factor, &was, &is);
        if (growth == 0)
                return 0;
        return blame(s, p,
                        text_format("%s: answers %u times as slowly as at the beginning (%s, was %s)",
                                        p->spec->name ? p->spec->name : p->spec->target, growth,
                                        span_to_text(is, is_text), span_to_text(was, was_text)));
}

static int look_at_probe(Soak *s, size_t i) {
        unsigned failures = s->spec->failures ? s->spec->failures : FAILURES_DEFAULT;
        const Prober *p = s->watch.probers + i;
        _cleanup_free_ char *complaint = NULL;
        int r;

        r = look_at_latency(s, i);
        s->answered[i] = p->answered;
        if (r < 0 || s->sentence || p->bad < failures)
                return r;
        complaint = prober_complaint(p);
        return blame(s, p, complaint ? text_format("%s (%u times in a row)", complaint, p->bad) : NULL);
}

/* Everything that could have turned bad. The first that did is in s->sentence. */
static int soak_look(Soak *s, Error *e) {
        int r;

        r = watch_look(&s->watch, e);
        if (r >= 0 && watch_unit_is_lost(&s->watch))
                return blame(s, NULL, strdup(s->watch.sentence));
        for (size_t i = 0; i < s->watch.n && r >= 0 && !s->sentence; i++)
                r = look_at_probe(s, i);
        return r;
}

/* The end counts only where the last answers were good: a question under way is waited for. */
static bool soak_is_over(const Soak *s, uint64_t now) {
        if (now < s->end_usec)
                return false;
        for (size_t i = 0; i < s->watch.n; i++)
                if (s->watch.probers[i].bad > 0 ||
                                (s->watch.probers[i].asked_usec > 0 &&
                                                s->watch.probers[i].asked_usec < s->end_usec))
                        return false;
        return true;
}

static void soak_tick(Soak *s, uint64_t now) {
        if (now < s->tick_usec)
                return;
        s->tick_usec = now + TICK_USEC;
        if (s->spec->on_time)
                s->spec->on_time(s->end_usec > now ? s->end_usec - now : 0, s->spec->userdata);
}

int soak_wait(const ProbeContext *c, const SoakSpec *spec, HealthReport *ret, Error *e) {
        _cleanup_(soak_clear) Soak s = {.spec = spec};
        uint64_t now, pause;
        int r;

        r = soak_open(&s, c, e);
        while (r >= 0) {
                r = soak_look(&s, e);
                if (r < 0)
                        return r;
                if (s.sentence)
                        return watch_report(&s.watch, s.culprit, false, TAKE(s.sentence), ret);
                now = clock_monotonic();
                if (soak_is_over(&s, now))
                        return watch_report(&s.watch, NULL, true, NULL, ret);
                soak_tick(&s, now);
                pause = s.end_usec > now ? MIN_OF(s.end_usec - now, TICK_USEC) : TICK_USEC;
                r = wakeup_wait(&s.watch.wakeup, pause);
                if (r == -ETIMEDOUT)
                        r = 0;
        }
        return r;
}
