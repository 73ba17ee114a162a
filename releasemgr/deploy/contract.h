#pragma once

/* Contract migrations by hand (`migrate contract`): whether they may run. */

#include "deploy/deploy.h"
#include "deploy/lock.h"

/* Takes the lock of the app, so that nothing is under way that might go back behind what is contracted, and sees that
 * the current release proved itself and knows the contract migrations up to @floor (NULL: there is none to run); writes
 * them down as run in what is known of @database (see sql_options_name()). -EPERM with class ERROR_REFUSED, or -EBUSY. */
int contract_allow(const DeployOptions *o, const char *database, const char *floor, Lock **ret, Error *e);
