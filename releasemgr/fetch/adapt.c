#include "fetch/adapt.h"

/* A measurement: so much at least, and so long. */
#define MEASURE_BYTES (2 * MIB)
#define MEASURE_USEC  (200 * USEC_PER_MSEC)

/* After an experiment that did not pay, and after the last doubling. */
#define REST_BYTES (64 * MIB)

static bool adapt_paid(const Adapt *a, uint64_t rate) {
        return rate / 8 >= a->before / 7; /* by a seventh at least */
}

unsigned adapt_count(Adapt *a, uint64_t bytes, uint64_t usec, uint64_t reader_usec) {
        uint64_t rate;

        a->bytes += bytes;
        a->usec += usec;
        a->reader_usec += reader_usec;
        a->rest -= MIN_OF(a->rest, bytes);
        if (a->bytes < MEASURE_BYTES || a->usec < MEASURE_USEC || a->rest > 0)
                return a->ranges;

        rate = a->bytes * USEC_PER_SEC / a->usec;
        if (a->reader_usec > a->usec / 2) {
                a->before = 0;
                a->rest = REST_BYTES;
        } else if (a->before > 0 && !adapt_paid(a, rate)) {
                a->ranges /= 2;
                a->before = 0;
                a->rest = REST_BYTES;
        } else if (a->ranges < a->max) {
                a->ranges = MIN_OF(a->ranges * 2, a->max);
                a->before = rate;
        } else {
                a->before = 0;
                a->rest = REST_BYTES;
        }
        a->bytes = a->usec = a->reader_usec = 0;
        return a->ranges;
}
