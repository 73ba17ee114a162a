#pragma once

/*
 * Adapt: how many ranges to fetch at a time
 *
 * More connections help where the way is long and one cannot fill it; elsewhere they cost requests. So it is tried: the
 * number is doubled as long as that pays, and halved again when it did not. Where the reader is the slow one nothing is
 * tried. Pure.
 */

#include "base/util.h"

typedef struct Adapt {
        unsigned ranges; /* now */
        unsigned max;
        uint64_t before; /* bytes a second with half as many; 0: not known */
        uint64_t rest;   /* bytes until the next experiment */
        /* of the measurement under way */
        uint64_t bytes;
        uint64_t usec;
        uint64_t reader_usec;
} Adapt;

#define ADAPT_INIT(m) ((Adapt){.ranges = 1, .max = (m)})

/* Counts @bytes that took @usec to arrive and to be read, @reader_usec of it with the reader at work. Returns the number
 * of ranges from now on. */
unsigned adapt_count(Adapt *a, uint64_t bytes, uint64_t usec, uint64_t reader_usec);
