#pragma once

/* Gathers what a plan rests on: from the store, the ledger, the repository, systemd and the disk. Internal. */

#include "deploy/context.h"

/* Sets d's target, from, bundle and tree_digest, and makes the plan. @version: see DeployRequest. Suspends. */
int facts_gather(Deploy *d, const char *version, Plan *ret, Error *e);

/* For ledger_rollback_target(): whether @version is sealed in the Store @store. */
bool facts_release_exists(const char *version, void *store);
