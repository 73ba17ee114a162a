#pragma once

/* Whether a service answers ever more slowly. No I/O. */

#include "base/util.h"

#define LATENCY_SAMPLES 5

/* The first answers, and the last ones. Zero is empty. */
typedef struct LatencyWatch {
        uint64_t first[LATENCY_SAMPLES];
        uint64_t last[LATENCY_SAMPLES]; /* a ring */
        unsigned n;
} LatencyWatch;

void latency_add(LatencyWatch *w, uint64_t latency_usec);

/* Whether the median of the last answers is more than @factor times that of the first ones, and long enough for
 * somebody to notice. Returns that factor in whole numbers, 0 where it is not, or there are too few answers yet.
 * The medians are for the sentence. */
unsigned latency_growth(
                const LatencyWatch *w, unsigned factor, uint64_t *ret_was_usec, uint64_t *ret_is_usec);
