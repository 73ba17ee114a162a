#include "observe/latency.h"

/* Below this, a slower answer is noise: a page that was in no cache, a busy moment. */
#define NOTICED_USEC (100 * USEC_PER_MSEC)

void latency_add(LatencyWatch *w, uint64_t latency_usec) {
        if (w->n < LATENCY_SAMPLES)
                w->first[w->n] = latency_usec;
        w->last[w->n % LATENCY_SAMPLES] = latency_usec;
        w->n++;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return (x > y) - (x < y);
}

static uint64_t median(const uint64_t samples[static LATENCY_SAMPLES]) {
        uint64_t sorted[LATENCY_SAMPLES];

        memcpy(sorted, samples, sizeof(sorted));
        qsort(sorted, LATENCY_SAMPLES, sizeof(sorted[0]), compare);
        return sorted[LATENCY_SAMPLES / 2];
}

unsigned latency_growth(
                const LatencyWatch *w, unsigned factor, uint64_t *ret_was_usec, uint64_t *ret_is_usec) {
        uint64_t was, is;

        if (w->n < 2 * LATENCY_SAMPLES)
                return 0;
        was = MAX_OF(median(w->first), (uint64_t) 1);
        is = median(w->last);
        *ret_was_usec = was;
        *ret_is_usec = is;
        return is >= NOTICED_USEC && is / was >= factor ? (unsigned) MIN_OF(is / was, (uint64_t) 1000000) : 0;
}
