#pragma once

/* The journal: structured events, each with a MESSAGE_ID that units/releasemgr.catalog explains. For whoever runs a
 * verb; libraries do not log. */

#include "base/util.h"

/* LOG_INFO and friends. */
#include <syslog.h>

/* @message_id: 32 hex digits (sd-id128), or NULL. @fields: "NAME=value" strings ended by NULL, may be NULL.
 * Never fails: a host without a journal has no log. */
void log_event(int priority, const char *message_id, char *const *fields, const char *format, ...)
                _printf_(4, 5);
