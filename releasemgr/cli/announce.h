#pragma once

/* What came of a deployment, told to who did not watch it. */

#include "cli/app.h"

/* Writes the metrics and calls the webhook, where the configuration names them and @report has something to tell. What
 * fails is a warning: the deployment has ended, and is what it is. Takes at most WEBHOOK_DEADLINE_USEC. Suspends. */
void announce(App *app, const DeployReport *report);
