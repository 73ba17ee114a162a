#pragma once

/* Push: a repository goes up to a bucket
 *
 * In the order that keeps the copy good for a client at every moment: targets, then the metadata that lists them, snapshot,
 * timestamp, and roots last (repository-internal.h, invariant 3). What is there already is not sent again. What has a
 * number or a hash in its name may be cached for ever; the timestamp must be asked for anew. Nothing is removed. */

#include "fetch/source.h"
#include "publish/repository.h"

typedef struct PushReport {
        unsigned sent, there; /* files */
        uint64_t bytes;       /* that were sent */
} PushReport;

/* Needs no key. Suspends. */
int repository_push(Repository *r, Source *to, PushReport *ret, Error *e);
