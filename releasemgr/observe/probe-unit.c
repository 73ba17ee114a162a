#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "host/unit-judge.h"
#include "observe/probe-kind.h"

/* A unit that systemd had to start again is not well before it ran for so long: one that falls every few seconds is
 * found running most of the time. */
#define SETTLED_USEC (10 * USEC_PER_SEC)

/* Whether it may fall again any moment, for all one knows. What fell before @since and was started after that has a new
 * beginning: where it is restarted along with the release, systemd's own start may have taken the place of that. */
static bool is_unsettled(const UnitState *s, uint64_t now, uint64_t since) {
        uint64_t fell = MAX_OF(s->active_exit_usec, s->inactive_enter_usec);

        if (s->n_restarts == 0 || now >= s->active_enter_usec + SETTLED_USEC)
                return false;
        return fell >= since || s->active_enter_usec < since;
}

static int judge_unit(const UnitState *s, uint64_t since, ProbeResult *ret) {
        char why[UNIT_SENTENCE_MAX], span[CLOCK_TEXT_MAX];
        uint64_t now = clock_monotonic();

        switch (unit_judge(&(UnitState){.n_restarts = s->n_restarts}, s, why)) {
        case UNIT_UP:
                break;
        case UNIT_STARTING:
                return probe_verdict(ret, PROBE_NO_ANSWER,
                                text_format("%s is %s (%s)", s->id, s->active_state, s->sub_state));
        case UNIT_DOWN:
        case UNIT_TROUBLE:
                return probe_verdict(ret, PROBE_BAD, strdup(why));
        }
        if (is_unsettled(s, now, since))
                return probe_verdict(ret, PROBE_BAD,
                                text_format("%s ended by itself, and systemd started it again %s ago", s->id,
                                                span_to_text(now - s->active_enter_usec, span)));
        ret->verdict = PROBE_GOOD;
        return 0;
}

int probe_unit(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e) {
        uint64_t start = clock_monotonic();
        UnitState state;
        int r;

        ret->asked = text_format("state of %s", s->target);
        if (!ret->asked)
                return -ENOMEM;
        r = unit_read(c->bus, s->target, &state, e);
        if (r < 0)
                return r;
        ret->latency_usec = clock_monotonic() - start;
        ret->answered = text_format("%s (%s), result %s, %u restarts", state.active_state, state.sub_state,
                        state.result, state.n_restarts);
        return ret->answered ? judge_unit(&state, c->since_usec, ret) : -ENOMEM;
}
