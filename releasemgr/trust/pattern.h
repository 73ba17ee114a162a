#pragma once

/* The path patterns of delegations (TUF 1.0.34 section 4.5, PATHPATTERN). No I/O. */

#include "base/util.h"

/* Whether @path matches @pattern: '*' stands for any number of characters and '?' for one, and neither for a '/';
 * everything else stands for itself. */
bool pattern_matches(const char *pattern, const char *path);

/* Whether some path that begins with @prefix might match. May say yes where none does. */
bool pattern_may_match_prefix(const char *pattern, const char *prefix);
