#pragma once

/* Whether a second instance of a service fits beside the first one. */

#include "host/unit.h"

/* What is known of the host and the running instance; UINT64_MAX where it is not. */
typedef struct FitFacts {
        uint64_t instance_memory;  /* bytes that the running instance uses */
        uint64_t available_memory; /* bytes that can be had without swapping, MemAvailable of proc(5) */
        uint64_t total_memory;
        unsigned cpu_pressure; /* percent of the last minute in which somebody waited for a processor (PSI) */
} FitFacts;

/* Reads them; @s is the running instance, or NULL where none runs. Files that are missing are unknown facts. 0 or
 * -ENOMEM. */
int fit_facts_read(const UnitState *s, FitFacts *ret);

/* 0 where it fits, or nothing speaks against it. -EBUSY, of class ERROR_REFUSED, where there is not memory enough. 1 where
 * it will be slow, because the processors are taken, with the sentence in @e: two instances share the work of one, so
 * that is no reason to refuse. No I/O. */
int fit_judge(const FitFacts *f, Error *e);
