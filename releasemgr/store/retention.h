#pragma once

/*
 * Retention by proof: which releases go, and whether the next one fits
 *
 *  1. What is current, the last one proven, where a rollback goes, pinned or in flight never goes.
 *  2. Of the others, those that failed or never proved themselves go first, and do not use up the count.
 *  3. Of those that proved themselves once, the newest stay, so that with the ones of rule 1 that proved themselves
 *     they are @keep.
 *
 * Pure: facts in, judgement out.
 */

#include "base/util.h"

typedef struct RetentionRelease {
        const char *version; /* borrowed */
        uint64_t bytes;      /* on disk */
        uint64_t inodes;
        uint64_t sealed_usec;
        unsigned proven; /* its place among those that proved themselves here, the last one the highest; 0: never */
        bool way_back; /* where a rollback goes */
        bool failed;   /* its last deployment here was taken back */
        bool current;
        bool pinned;
        bool in_flight; /* a deployment or a running instance needs it */

        bool prune;         /* out: it goes */
        const char *reason; /* out: why it stays or goes, a few words, static */
} RetentionRelease;

typedef struct RetentionNeed {
        unsigned keep;       /* Keep=, at least 1 */
        uint64_t need_bytes; /* of the release to come; 0 where none comes */
        uint64_t need_inodes;
        uint64_t free_bytes;
        uint64_t free_inodes;
        uint64_t spare_bytes; /* to be left free whatever comes */
        uint64_t spare_inodes;
} RetentionNeed;

typedef struct RetentionVerdict {
        size_t n_prune;
        uint64_t freed_bytes; /* by what goes */
        uint64_t freed_inodes;
        uint64_t short_bytes; /* what is missing even then; both 0: it fits */
        uint64_t short_inodes;
} RetentionVerdict;

/* Sets the out members of the @n releases, in whatever order they are, and returns the verdict. */
RetentionVerdict retention_decide(RetentionRelease *releases, size_t n, const RetentionNeed *need);
