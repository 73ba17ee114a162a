#pragma once

/* Runs hooks: the operator's, from the configuration, then the release's own. Each is a sandboxed transient unit with a
 * deadline; what it wrote is in the journal and in the report. Internal to deploy/. */

#include "deploy/context.h"

/* The hooks that there are for the target, as a set: the configuration's, and those of the release. Of a release that is
 * not here yet, those that its publisher signed. */
int hooks_wanted(Deploy *d, unsigned *ret, Error *e);

/* 0 where all ended with status 0, or there was none; 1 where one did not, or was killed at its deadline, with the sentence
 * in @e; negative where it could not be run. Suspends. */
int hook_run(Deploy *d, Hook hook, Error *e);

/* Ends what a process that died may have left running. Suspends. */
int hook_end(Deploy *d, Hook hook, Error *e);
