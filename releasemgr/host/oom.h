#pragma once

/* Processes of a unit that the kernel killed for want of memory. With OOMPolicy=continue the unit lives on, and its
 * state says nothing of it. */

#include "host/unit.h"

/* How many there were since the unit was started. UINT64_MAX where the kernel does not count them for this unit. */
uint64_t unit_oom_kills(const UnitState *s);

/* How many there were on the whole host since it was booted. UINT64_MAX where that is not known. */
uint64_t host_oom_kills(void);

/* "oom_kill N" in /proc/vmstat, and in a cgroup's memory.events (v2) or memory.oom_control (v1). UINT64_MAX where it is missing. No I/O. */
uint64_t oom_kills_from_text(const char *text);
