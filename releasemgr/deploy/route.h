#pragma once

/* How a release comes to this host: decided from signed sizes and what stands here. Pure: no I/O. */

#include "deploy/offer.h"
#include "store/release.h"

typedef enum RouteKind {
        ROUTE_COPY,   /* the same tree stands here under another version: nothing is fetched */
        ROUTE_PATCH,  /* the difference from a release that stands here */
        ROUTE_CHAIN,  /* two of them, by way of a release that does not */
        ROUTE_BUNDLE, /* the whole */
} RouteKind;

/* Everything is borrowed from what the decision was made of. */
typedef struct Route {
        RouteKind kind;
        const char *from;          /* the release it starts from; NULL for the bundle */
        const OfferedPatch *first; /* of a chain, to the release between */
        const OfferedFile *file;   /* what is fetched, of a chain at last; NULL for a copy */
        uint64_t bytes;            /* that are fetched, block lists and all */
} Route;

/* The cheapest way from each of the sealed releases @here, the cheapest of all first, and the bundle last: what is not
 * cheaper than that is left out, and so is a chain whose release between, which is written down as a tar stream
 * meanwhile, has more than @room bytes. A patch starts from any release with the tree that it was made from, whatever
 * its version. The array is owned by the caller. */
int route_list(const OfferedBundle *bundle, ReleaseInfo *const *here, size_t n_here, uint64_t room,
                Route **ret, size_t *ret_n);

/* "copy", "patch", "chain", "bundle" */
const char *route_kind_name(RouteKind kind);

/* Whether another way may go well where one failed with @r. Not where we were stopped, where this host has no room, or
 * where the repository cannot be reached. */
bool route_may_go_on(int r);
