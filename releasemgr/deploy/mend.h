#pragma once

/* What is damaged of the app's own memory is kept for forensics, and made anew of what else the host knows: nothing of it
 * stands in the way of a rollback. For who has the lock; each says what it did as a warning. */

#include "deploy/deploy.h"

/* A ledger that cannot be read. */
int mend_ledger(const DeployOptions *o, Error *e);

/* `current`, where it names no sealed release, or one that did not prove itself and @lost, a sentence, says why nobody
 * knows whether it may stay (NULL: that is known): then it names the one that proved itself last, if there is one. 1 where
 * it named something else before. */
int mend_current(const DeployOptions *o, const char *lost, Error *e);

/* The service, where it does not run what `current` names, and that alone. @boot: systemd starts it. Class ERROR_UNHEALTHY where it runs and
 * is not well. */
int mend_service(const DeployOptions *o, bool boot, Error *e);
