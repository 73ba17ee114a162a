#pragma once

/* Ids of deployments: "20261123T195420.123-4f2a9c", which sort by time as text. */

#include "base/util.h"

#define ID_TEXT_MAX 32

/* Makes one for @usec (µs since 1970). The last part is random. Returns @buffer. */
char *id_new(uint64_t usec, char buffer[static ID_TEXT_MAX]);

bool id_is_valid(const char *id);
