#pragma once

/* The running service, as the steps see it: bringing a release up, and proving it. How differs with the strategy.
 * Internal to deploy/. */

#include "deploy/context.h"
#include "host/unit-setup.h"

/* Has the unit run @version, which `current` names (but with a handover, where that does not matter): restarts it,
 * reloads it, or starts the instance. Suspends. */
int service_bring(Deploy *d, const char *version, UnitOutcome *outcome, Error *e);

/* Brings the release before back and proves it, before RevertDeadline= is over; once: what came of it is known from then
 * on. As an undo of engine.h. Suspends. */
int service_revert(Deploy *d, Error *e);

/* Waits until the service is known to be @version and well. 0; 1 where it is not, with the sentence in @e; or a negative
 * errno where it could not be judged. @report is set for 0 and 1, and for those alone. Suspends. */
int service_prove(Deploy *d, const char *version, const UnitState *started, HealthReport *report, Error *e);

/* Drains all instances but @spare (NULL: none is spared), also what is stopping already; what has not finished by @until
 * (clock_monotonic()) is killed. Returns how many. Suspends. */
int service_drain(Deploy *d, const char *spare, uint64_t until, Error *e);

/* Whether two instances fit on the host, for a handover: -EBUSY where they do not. What is only slow is told, as is what
 * might not fit where the way leads back: that goes on. Suspends. */
int handover_check_fit(Deploy *d, Error *e);

/* Who runs the service in which @version is; "" for root. Suspends. */
int service_user(const DeployOptions *o, const char *version, char ret[static UNIT_USER_MAX], Error *e);

/* The probes that ask one version: those of DeployOptions, with "%v" in addresses and commands replaced by it. */
typedef struct ServiceProbes {
        ProbeSpec *probes;
        size_t n;
        char **texts;     /* what the probes borrow, and DeployOptions does not hold */
        char ***commands; /* the same, of each probe */
        char user[UNIT_USER_MAX];
        ProbeContext context;
} ServiceProbes;

/* To be cleared by the caller, also where it fails. Suspends. */
int service_probes(const DeployOptions *o, const char *version, ServiceProbes *ret, Error *e);
void service_probes_clear(ServiceProbes *s);
