#pragma once

/* What came of a deployment, as one JSON object: the line of the history, what `show` prints and what --json ends with.
 * Internal. */

#include "deploy/context.h"

/* Sets @ret. Suspends (it asks the journal for the unit's last lines where the release failed). */
int report_make(Deploy *d, const EngineOutcome *outcome, DeployReport *ret);

/* Whether the release itself is at fault, having been started. */
bool report_blames_release(const EngineOutcome *o);
