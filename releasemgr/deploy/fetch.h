#pragma once

/* What the step that fetches, and the plan, know of the ways on which a release can come. Internal to deploy/. */

#include "deploy/context.h"
#include "deploy/route.h"

typedef struct FetchRoutes {
        ReleaseInfo **here;
        size_t n_here;
        Route *list; /* the cheapest first */
        size_t n;
} FetchRoutes;

/* Looks at what stands here. */
int fetch_routes(Deploy *d, FetchRoutes *ret, Error *e);
void fetch_routes_clear(FetchRoutes *f);
