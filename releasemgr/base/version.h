#pragma once

/* Versions of releases: what may be one, and which of two is newer. No I/O. */

#include "base/util.h"

#define VERSION_MAX 64

/* 1 to 64 letters, digits, '.', '-', '+', '_', beginning with a letter or digit: safe as a file name, as a unit's
 * instance and in an address. */
bool version_is_valid(const char *v);

/* < 0, 0 or > 0. Numeric by part as Semantic Versioning 2.0.0 section 11 says, where the versions have that form;
 * any number of dotted parts is taken, a missing part counts as 0; a pre-release ("-rc.1") comes before its
 * release; build metadata ("+...") decides nothing but breaks the tie bytewise, so that the order is total. */
int version_compare(const char *a, const char *b);
