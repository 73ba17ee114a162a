#include <errno.h>

#include "base/text.h"
#include "base/version.h"
#include "deploy/plan.h"

static const char *const step_names[_STEP_MAX] = {
                [STEP_AFTER_FAILURE] = "after-failure",
                [STEP_FETCH] = "fetch",
                [STEP_CONTRACT] = "contract",
                [STEP_MIGRATE] = "migrate",
                [STEP_ANCHOR] = "anchor",
                [STEP_BEFORE_SWITCH] = "before-switch",
                [STEP_SWITCH] = "switch",
                [STEP_RESTART] = "restart",
                [STEP_RELOAD] = "reload",
                [STEP_BESIDE] = "start",
                [STEP_PROVE] = "prove",
                [STEP_DRAIN] = "drain",
                [STEP_AFTER_SWITCH] = "after-switch",
                [STEP_SOAK] = "soak",
                [STEP_FINISH] = "finish",
                [STEP_AFTER_SUCCESS] = "after-success",
};

static const char *const goal_names[] = {
                [GOAL_ACTIVATE] = "activate",
                [GOAL_PULL] = "pull",
                [GOAL_ROLLBACK] = "rollback",
};

const char *plan_goal_name(PlanGoal g) {
        return goal_names[g];
}

int plan_goal_from_name(const char *name, PlanGoal *ret) {
        for (size_t i = 0; name && i < ELEMENTS_OF(goal_names); i++)
                if (streq(goal_names[i], name)) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

int strategy_from_name(const char *name, Strategy *ret) {
        static const char *const names[] = {[STRATEGY_RESTART] = "restart",
                        [STRATEGY_RELOAD] = "reload",
                        [STRATEGY_HANDOVER] = "handover"};

        for (size_t i = 0; i < ELEMENTS_OF(names); i++)
                if (streq(names[i], name)) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

const char *plan_step_name(PlanStep s) {
        return step_names[s];
}

bool plan_has(const Plan *p, PlanStep s) {
        for (size_t i = 0; i < p->n; i++)
                if (p->steps[i] == s)
                        return true;
        return false;
}

static int refuse_space(const PlanFacts *f, Error *e) {
        char need[SIZE_TEXT_MAX], have[SIZE_TEXT_MAX];

        if (f->need_bytes > f->have_bytes)
                error_set(e, ERROR_REFUSED, -ENOSPC, "release %s needs %s on the disk, and %s can be had",
                                f->target, size_to_text(f->need_bytes, need),
                                size_to_text(f->have_bytes, have));
        else
                error_set(e, ERROR_REFUSED, -ENOSPC, "release %s needs %llu inodes, and %llu can be had",
                                f->target, (unsigned long long) f->need_inodes,
                                (unsigned long long) f->have_inodes);
        return error_hint(e, -ENOSPC, "make room, or keep fewer releases (Keep= in [Retention])");
}

static bool may_run(const PlanFacts *f, const PlanRelease *r) {
        return f->goal == GOAL_ROLLBACK ? schema_admits_now(&r->range, f->schema)
                                        : schema_admits(&r->range, f->schema);
}

/* The release here that may run and is the next one after the target, or else the last one before it. */
static const char *find_nearest(const PlanFacts *f) {
        const char *above = NULL, *below = NULL;

        for (size_t i = 0; i < f->n_here; i++) {
                const char *version = f->here[i].version;
                int order = version_compare(version, f->target);

                if (!may_run(f, f->here + i))
                        continue;
                if (order > 0 && (!above || version_compare(version, above) < 0))
                        above = version;
                if (order < 0 && (!below || version_compare(version, below) > 0))
                        below = version;
        }
        return above ?: below;
}

/* The gates, in the order in which a person would want to hear of them. */
static int check_gates(const PlanFacts *f, Error *e) {
        if (f->goal == GOAL_PULL && f->hold) {
                error_set(e, ERROR_REFUSED, -EPERM, "held by %s: %s", f->hold_by ?: "somebody", f->hold);
                return error_hint(e, -EPERM, "releasemgr unhold lets the timer go on");
        }
        if (f->goal != GOAL_ROLLBACK && f->quarantine) {
                error_set(e, ERROR_REFUSED, -EPERM, "release %s is in quarantine on this host: %s", f->target,
                                f->quarantine);
                return error_hint(e, -EPERM, "releasemgr quarantine lift %s allows it again", f->target);
        }
        if (f->goal != GOAL_ROLLBACK && f->yanked) {
                error_set(e, ERROR_REFUSED, -EPERM, "release %s was taken back by its publisher: %s",
                                f->target, f->yanked);
                return error_hint(e, -EPERM, "activate another one; releasemgr list shows them");
        }
        if (f->goal == GOAL_ROLLBACK && !f->sealed) {
                error_set(e, ERROR_REFUSED, -ENOENT, "release %s is not on this host", f->target);
                return error_hint(e, -ENOENT, "releasemgr list shows what a rollback can go to");
        }
        if (f->schema) {
                int r = schema_gate(&f->range, f->schema, f->goal == GOAL_ROLLBACK, f->target,
                                find_nearest(f), e);

                if (r < 0)
                        return r;
        }
        if (!f->sealed && (f->need_bytes > f->have_bytes || f->need_inodes > f->have_inodes))
                return refuse_space(f, e);
        return 0;
}

static void add_hook(const PlanFacts *f, Hook hook, PlanStep step, Plan *p) {
        if (f->hooks & HOOK_BIT(hook))
                p->steps[p->n++] = step;
}

/* A handover proves the new instance before any client can depend on it alone; the others can only prove what has taken
 * the old one's place. */
static void add_strategy(const PlanFacts *f, Plan *p) {
        static const PlanStep in_place[] = {STEP_SWITCH, STEP_RESTART, STEP_PROVE},
                              by_itself[] = {STEP_SWITCH, STEP_RELOAD, STEP_PROVE},
                              side_by_side[] = {STEP_BESIDE, STEP_PROVE, STEP_SWITCH, STEP_DRAIN};
        static const struct {
                const PlanStep *steps;
                size_t n;
        } ways[] = {
                        [STRATEGY_RESTART] = {in_place, ELEMENTS_OF(in_place)},
                        [STRATEGY_RELOAD] = {by_itself, ELEMENTS_OF(by_itself)},
                        [STRATEGY_HANDOVER] = {side_by_side, ELEMENTS_OF(side_by_side)},
        };

        for (size_t i = 0; i < ways[f->strategy].n; i++) {
                if (ways[f->strategy].steps[i] == STEP_SWITCH)
                        add_hook(f, HOOK_BEFORE_SWITCH, STEP_BEFORE_SWITCH, p);
                p->steps[p->n++] = ways[f->strategy].steps[i];
        }
}

bool plan_may_contract(const PlanFacts *f) {
        return f->has_database && f->contract && f->goal != GOAL_ROLLBACK && f->serving && f->proven &&
               !streq_ptr(f->current, f->target);
}

bool plan_leaves_alone(const PlanFacts *f) {
        return f->goal == GOAL_PULL && (f->hold || f->quarantine || f->yanked);
}

int plan_make(const PlanFacts *f, Plan *ret, Error *e) {
        Plan p = {0};
        int r;

        if (streq_ptr(f->current, f->target) && f->serving) {
                p.nothing = true;
                *ret = p;
                return 0;
        }
        r = check_gates(f, e);
        if (r < 0)
                return r;
        add_hook(f, HOOK_AFTER_FAILURE, STEP_AFTER_FAILURE, &p);
        if (!f->sealed)
                p.steps[p.n++] = STEP_FETCH;
        /* an older release may be activated, too: what it would not survive waits */
        if (plan_may_contract(f) && f->contracts && schema_survives(&f->range, f->contracts))
                p.steps[p.n++] = STEP_CONTRACT;
        if (f->has_database && f->goal != GOAL_ROLLBACK)
                p.steps[p.n++] = STEP_MIGRATE;
        p.steps[p.n++] = STEP_ANCHOR;
        add_strategy(f, &p);
        add_hook(f, HOOK_AFTER_SWITCH, STEP_AFTER_SWITCH, &p);
        if (f->soak)
                p.steps[p.n++] = STEP_SOAK;
        p.steps[p.n++] = STEP_FINISH;
        add_hook(f, HOOK_AFTER_SUCCESS, STEP_AFTER_SUCCESS, &p);
        *ret = p;
        return 0;
}
