#pragma once

/* Why a deployment failed, on one screen: as it ends, and in show. */

#include "base/json.h"

/* "        name: value", where there is a value. */
void print_pair(const char *name, const char *value);

/* Prints what @report, a line of the history, says of its failure; nothing where there was none. @all: also the probes
 * that were answered well. */
void failure_print(const json_t *report, bool all);
