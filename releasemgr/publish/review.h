#pragma once

/* What one version of a file changes in another, in words. Pure: no I/O. */

#include <jansson.h>

#include "base/text.h"

/* Appends a sentence for each difference between two signed parts of the same role, the older of which may be NULL. */
int review_changes(const char *role, const json_t *from, const json_t *to, char ***sentences);
