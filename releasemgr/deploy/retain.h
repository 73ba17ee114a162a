#pragma once

/* Brings store/retention's judgement and the host together: which releases are here, what goes, whether the next one
 * fits. Internal to deploy/, but for retain_prune(). */

#include "deploy/context.h"

typedef struct RetainSpace {
        uint64_t need_bytes, have_bytes; /* have: free now, and what a prune would free */
        uint64_t need_inodes, have_inodes;
        uint64_t room_bytes; /* free now, beside the release and what stays free */
} RetainSpace;

/* Whether d->bundle would fit. Suspends. */
int retain_measure(Deploy *d, RetainSpace *ret, Error *e);

/* Removes what retention lets go, and the leftovers of crashes. @room: only where
 * d->bundle would not fit otherwise. Returns how many releases went. Suspends. */
int retain_prune(Deploy *d, bool room, Error *e);
