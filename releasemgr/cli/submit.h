#pragma once

/* Has a deployment run in a systemd unit of its own, and follows it: what happens to us, our terminal or our connection
 * changes nothing for it. */

#include "cli/app.h"

/* Submits @request and follows it to its end, or attaches to a deployment under way that does the very same. Returns
 * its exit code. Ctrl-C asks it to stop, a second one lets it go on alone. Suspends. */
int submit_run(Session *s, const Arguments *a, App *app, const DeployRequest *request, Error *e);

/* Follows the deployment that holds the lock now, and returns its exit code; 0 where there is none. Ctrl-C lets it go on
 * alone. Suspends. */
int submit_attach(Session *s, App *app, Error *e);
