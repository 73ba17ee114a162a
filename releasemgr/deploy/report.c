#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "deploy/facts.h"
#include "deploy/report.h"
#include "host/unit-judge.h"
#include "observe/mask.h"

#define TAIL_LINES 10
#define LINE_SHOWN 160

typedef struct Verdict {
        ErrorClass class;
        const char *name;
        char *text;
        char *hint;
} Verdict;

static void verdict_clear(Verdict *v) {
        free(v->text);
        free(v->hint);
}

/* The steps in which the release runs. */
static bool runs_release(const StepType *s) {
        return s == &step_restart || s == &step_reload || s == &step_beside || s == &step_prove ||
               s == &step_soak || s == &step_after_switch;
}

/* What the host refuses says nothing about the release. */
bool report_blames_release(const EngineOutcome *o) {
        return runs_release(o->failed) && o->cause.class != ERROR_REFUSED;
}

/* Whether clients may have met the new release, or missed the old one: with a handover, not before that drains, unless it had
 * to be brought back. */
static bool was_met(const Deploy *d, const EngineOutcome *o) {
        const StepType *s = o->failed;

        return s == &step_drain || s == &step_soak || s == &step_after_switch || d->back_usec > 0 ||
               (d->o->strategy != STRATEGY_HANDOVER && runs_release(s));
}

static void judge_taken_back(const Deploy *d, const EngineOutcome *o, Verdict *v) {
        const char *cause = error_message(&o->cause, o->number);
        const char *hint = error_advice(&o->cause, o->number);
        bool blamed = report_blames_release(o), met = was_met(d, o);
        const char *what = blamed ? d->target : o->failed->name, *failed = blamed ? " failed" : "";

        if (!blamed && !met) {
                v->class = o->cause.class ?: ERROR_FAILED;
                v->name = "failed";
                v->text = text_format("%s: %s; nothing was switched", what, cause);
        } else if (!d->from) {
                v->class = ERROR_FAILED;
                v->name = "failed";
                v->text = text_format("%s%s: %s; there was no release before it, the service is stopped",
                                what, failed, cause);
        } else {
                v->class = ERROR_TAKEN_BACK;
                v->name = "taken-back";
                v->text = text_format("%s%s: %s; %s serves %s", what, failed, cause, d->from,
                                met ? "again" : "on, undisturbed");
        }
        v->hint = hint ? strdup(hint) : text_format("releasemgr show %s has the whole report", d->id);
}

static int judge(const Deploy *d, const EngineOutcome *o, Verdict *v) {
        const char *cause = error_message(&o->cause, o->number), *fault = error_message(&o->fault, -EIO),
                   *further;

        switch (o->result) {
        case ENGINE_COMMITTED:
                v->name = "succeeded";
                v->text = text_format("%s is active and healthy", d->target);
                break;
        case ENGINE_UNFINISHED:
                v->name = "unfinished";
                v->text = text_format("%s is active and healthy, but finishing failed: %s", d->target, fault);
                v->hint = strdup("releasemgr recover tries again");
                break;
        case ENGINE_TAKEN_BACK:
                judge_taken_back(d, o, v);
                break;
        case ENGINE_BACK_BROKEN:
                v->class = ERROR_UNHEALTHY;
                v->name = "broken";
                v->text = text_format("%s failed: %s; and %s is not healthy either: %s", d->target, cause,
                                d->from ?: "the service", fault);
                further = ledger_rollback_target(d->ledger, d->from, facts_release_exists, d->o->store);
                v->hint = text_format(
                                "releasemgr rollback %s goes further back%s; releasemgr logs, releasemgr "
                                "show %s",
                                further ?: "VERSION", further ? "" : " (releasemgr list names what is here)",
                                d->id);
                break;
        case ENGINE_STUCK:
                v->class = ERROR_UNHEALTHY;
                v->name = "stuck";
                v->text = text_format(
                                "%s failed: %s; and it could not be taken back: %s", d->target, cause, fault);
                v->hint = strdup("releasemgr recover tries again");
                break;
        }
        return v->text ? 0 : -ENOMEM;
}

static json_t *describe_probes(const HealthReport *h) {
        json_t *l = json_array();

        for (size_t i = 0; l && i < h->n_last; i++) {
                const ProbeResult *p = &h->last[i];

                (void) json_array_append_new(l, json_pack("{ss* ss* ss* sI}", "asked", p->asked, "answered",
                                                                p->answered, "sentence", p->sentence,
                                                                "latency", (json_int_t) p->latency_usec));
        }
        return l;
}

static json_t *describe_health(const HealthReport *h) {
        return json_pack("{sb si sI ss* so*}", "healthy", h->healthy, "probes", h->attempts, "took",
                        (json_int_t) h->took_usec, "sentence", h->sentence, "last", describe_probes(h));
}

/* What systemd says of every start and stop, ours too, and lines with nothing in them. */
static bool tells_nothing(const char *line) {
        static const char *const words[] = {
                        "Starting ", "Started ", "Stopping ", "Stopped ", "Reloading ", "Reloaded "};
        const char *text = startswith(line, "systemd[1]: ");

        for (size_t i = 0; text && i < ELEMENTS_OF(words); i++)
                if (startswith(text, words[i]))
                        return true;
        return endswith(line, ": Deactivated successfully.") || endswith(line, "]:");
}

/* What a service wrote may be anything. */
static json_t *describe_lines(const UnitState *s) {
        _cleanup_strv_ char **lines = NULL;
        json_t *l = json_array();

        if (!s->invocation_id[0] || unit_tail(s, 3 * TAIL_LINES, &lines) < 0)
                return l;
        for (char **i = lines; l && i && *i; i++) {
                _cleanup_free_ char *line = text_excerpt(*i, strlen(*i), LINE_SHOWN);

                if (line && !tells_nothing(line))
                        (void) json_array_append_new(l, json_string(line));
        }
        while (l && json_array_size(l) > TAIL_LINES)
                (void) json_array_remove(l, 0);
        return l;
}

/* What the unit did since it was started, with what was seen @last or else right then. NULL where it was not. */
static json_t *describe_unit(const UnitState *last, const UnitState *started) {
        const UnitState *s = last->id[0] ? last : started;
        char sentence[UNIT_SENTENCE_MAX];
        json_t *j;

        if (!s->id[0])
                return NULL;
        j = json_pack("{ss ss ss ss si so*}", "name", s->id, "active", s->active_state, "sub", s->sub_state,
                        "result", s->result, "restarts", s->n_restarts, "lines", describe_lines(s));
        if (j && s->exec_main_code != 0)
                (void) json_object_set_new(j, "exit", json_string(unit_describe_result(s, sentence)));
        return j;
}

/* How a release did, as far as it came. */
static void add_release(json_t *failure, const char *health_key, const HealthReport *health,
                const char *unit_key, const UnitState *started) {
        json_t *unit = describe_unit(&health->unit, started);

        if (health->took_usec > 0)
                (void) json_object_set_new(failure, health_key, describe_health(health));
        if (unit)
                (void) json_object_set_new(failure, unit_key, unit);
}

static int add_failure(json_t *entry, const Deploy *d, const EngineOutcome *o) {
        json_t *failure;

        failure = json_pack("{ss ss* ss*}", "stage", o->failed->name, "reason",
                        error_message(&o->cause, o->number), "fault", o->fault.message);
        if (!failure)
                return -ENOMEM;
        if (runs_release(o->failed) && !d->recovering) {
                add_release(failure, "health", &d->health, "unit", &d->started);
                add_release(failure, "back", &d->back, "back_unit", &d->back_started);
        }
        if (d->undone)
                (void) json_object_set(failure, "undone", d->undone);
        return json_object_set_new(entry, "failure", failure) < 0 ? -ENOMEM : 0;
}

/* The wall clock, which may jump, is only asked where the process that began it is gone. */
static uint64_t time_taken(const Deploy *d, uint64_t now) {
        if (!d->recovering)
                return clock_monotonic() - d->here_usec;
        return now > d->begun_usec ? now - d->begun_usec : 0;
}

/* For how long clients were affected. NULL where that is not known: nobody measured it while the process that began it was
 * dead, and the host may have been off. */
static json_t *describe_outage(const Deploy *d, const EngineOutcome *o) {
        uint64_t outage = d->outage_usec;

        if (d->recovering && (d->boot || !o->failed || was_met(d, o)))
                return NULL;
        if (d->down_usec > 0)
                outage += clock_monotonic() - d->down_usec;
        return json_integer((json_int_t) outage);
}

int report_make(Deploy *d, const EngineOutcome *o, DeployReport *ret) {
        _cleanup_(verdict_clear) Verdict v = {0};
        char begun[CLOCK_TEXT_MAX], ended[CLOCK_TEXT_MAX];
        _cleanup_json_ json_t *entry = NULL;
        uint64_t now = clock_now();
        int r;

        r = judge(d, o, &v);
        if (r < 0)
                return r;
        entry = json_pack("{ss ss ss ss* ss* ss ss sI si ss ss ss* so* sb so*}", "id", d->id, "verb",
                        plan_goal_name(d->goal), "version", d->target, "from", d->from, "by", d->o->by,
                        "begun", clock_to_text(d->begun_usec, begun), "ended", clock_to_text(now, ended),
                        "took", (json_int_t) time_taken(d, now), "exit", v.class, "verdict", v.name, "text",
                        v.text, "hint", v.hint, "outage", describe_outage(d, o), "down", d->down_usec > 0,
                        "stages", progress_stages(d->o->progress));
        if (!entry)
                return -ENOMEM;
        if (d->quarantined) /* what a damaged ledger is made of again */
                (void) json_object_set_new(entry, "quarantined", json_string(d->tree_digest));
        if (d->hooks)
                (void) json_object_set(entry, "hooks", d->hooks);
        if (d->abort_usec > 0)
                (void) json_object_set_new(entry, "revert", json_integer(clock_monotonic() - d->abort_usec));
        r = o->failed ? add_failure(entry, d, o) : 0;
        if (r < 0)
                return r;
        *ret = (DeployReport){.class = v.class, .entry = TAKE(entry)};
        return 0;
}
