#pragma once

/*
 * Inquiry: may the target run on the database's schema?
 *
 * Asked in a fiber of its own, beside what else is done, since a database may be slow to answer or away for a while. What
 * the question needs of the target is signed in the metadata. Internal to deploy/.
 */

#include "deploy/context.h"

/* Begins to ask. @facts are those of a plan that the host by itself takes; what they point at, and @d, must outlive the
 * inquiry. The answer sets what @d knows of the schema. */
int inquiry_begin(Deploy *d, const PlanFacts *facts, Inquiry **ret);

/* What came of it: 0 and the plan, or why the target may not run; -EAGAIN (and no message) where there is no answer yet
 * after @usec. Suspends. */
int inquiry_wait(Inquiry *q, uint64_t usec, Plan *ret, Error *e);

/* From now on a refusal cancels the running fiber, until inquiry_settle(). @q may be NULL, here and there. */
void inquiry_guard(Inquiry *q);

/* What guarded work that ended with @r comes to: where the target was refused, that; where the work went well, what the
 * answer is, which is waited for. Suspends. */
int inquiry_settle(Inquiry *q, int r, Error *e);

/* Stops asking. Suspends. Returns NULL. */
Inquiry *inquiry_free(Inquiry *q);
