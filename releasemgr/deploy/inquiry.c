#include <errno.h>

#include "base/fiber.h"
#include "deploy/inquiry.h"
#include "deploy/schema.h"

struct Inquiry {
        Deploy *d;
        PlanFacts facts;
        Plan plan;
        Fiber *fiber;
        Fiber *waiting; /* resumed at the end */
        Fiber *guarded; /* cancelled where the answer is no */
        Error error;
};

/* Asks the database, and makes the plan again on what it says. */
static int plan_with_schema(Inquiry *q, Error *e) {
        _cleanup_(schema_here_clear) SchemaHere here = {0};
        PlanFacts *f = &q->facts;
        Deploy *d = q->d;
        int r;

        r = schema_ask(d, plan_may_contract(f), e);
        if (r >= 0 && d->schema_known) {
                f->schema = &d->schema;
                f->contracts = d->contracts;
                r = schema_find_here(d->o->store, &here);
        }
        if (r < 0)
                return r;
        f->here = here.releases;
        f->n_here = here.n;
        r = plan_make(f, &q->plan, e);
        if (r >= 0 && plan_has(&q->plan, STEP_CONTRACT))
                r = schema_find_lost(&here, &d->schema, d->contracts, &d->lost);
        else if (r >= 0 && d->contracts)
                progress_note(d->o->progress, "contract migration %s waits: %s does not know it",
                                d->contracts, d->target);
        return MIN_OF(r, 0);
}

static int inquire(void *userdata) {
        Inquiry *q = userdata;
        int r = plan_with_schema(q, &q->error);

        if (r < 0 && q->guarded)
                fiber_cancel(q->guarded);
        if (q->waiting)
                fiber_resume(q->waiting, 0);
        return r;
}

int inquiry_begin(Deploy *d, const PlanFacts *facts, Inquiry **ret) {
        Inquiry *q = calloc(1, sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        q->d = d;
        q->facts = *facts;
        /* what the host says was heard already, and may be gone by then */
        q->facts.hold = q->facts.hold_by = q->facts.quarantine = q->facts.yanked = NULL;
        r = fiber_new(fiber_event(), "inquiry", inquire, q, &q->fiber);
        if (r < 0)
                return inquiry_free(q), r;
        *ret = q;
        return 0;
}

int inquiry_wait(Inquiry *q, uint64_t usec, Plan *ret, Error *e) {
        int r = 0;

        if (!fiber_is_done(q->fiber)) {
                q->waiting = fiber_current();
                r = fiber_await_fd(-1, 0, usec);
                q->waiting = NULL;
        }
        if (r == -ETIMEDOUT && !fiber_is_done(q->fiber))
                return -EAGAIN;
        if (r == -ECANCELED)
                return r;
        r = fiber_join(q->fiber);
        if (r < 0)
                error_move(e, &q->error);
        else
                *ret = q->plan;
        return r;
}

static bool is_refused(const Inquiry *q) {
        return fiber_is_done(q->fiber) && fiber_result(q->fiber) < 0;
}

void inquiry_guard(Inquiry *q) {
        if (!q)
                return;
        q->guarded = fiber_current();
        if (is_refused(q))
                fiber_cancel(q->guarded);
}

int inquiry_settle(Inquiry *q, int r, Error *e) {
        Plan plan;

        if (!q)
                return r;
        q->guarded = NULL;
        if (r < 0 && !is_refused(q))
                return r;
        if (is_refused(q))
                (void) fiber_take_cancel();
        if (e)
                error_clear(e);
        return inquiry_wait(q, USEC_INFINITY, &plan, e);
}

Inquiry *inquiry_free(Inquiry *q) {
        if (!q)
                return NULL;
        fiber_stop(q->fiber);
        error_clear(&q->error);
        free(q);
        return NULL;
}
