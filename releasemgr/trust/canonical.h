#pragma once

/*
 * Canonical JSON (the OLPC form that TUF 1.0.34 section 4.1 names): the bytes that are signed.
 *
 * No white space; members sorted by the bytes of their names (UTF-8, so by code point); in strings only \ and " are
 * escaped, everything else stands as it is; numbers are integers. Reals have no canonical form: -EINVAL.
 */

#include <jansson.h>

#include "base/text.h"

/* Appends the canonical form of @value to @t. -EINVAL for a real, -ENOMEM. */
int canonical_write(const json_t *value, Text *t);
