#pragma once

/* What no single line of a configuration can show: keys that need or exclude each other. No I/O. */

#include "cli/config.h"

/* Class ERROR_USAGE, with the file and what to do. */
int config_check(const Config *c, Error *e);
