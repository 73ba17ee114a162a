/* What a deployment would do, in words: nothing is changed for it. */

#include "deploy/context.h"
#include "deploy/facts.h"
#include "deploy/fetch.h"
#include "deploy/schema.h"

json_t *plan_describe(const Plan *plan) {
        json_t *l = json_array();

        for (size_t i = 0; l && i < plan->n; i++)
                (void) json_array_append_new(l, json_string(plan_step_name(plan->steps[i])));
        return l;
}

/* How the target would come here, and what of it would be fetched. */
static int describe_fetch(Deploy *d, json_t *j, Error *e) {
        _cleanup_(fetch_routes_clear) FetchRoutes routes = {0};
        const Route *route;
        json_t *o;
        int r = fetch_routes(d, &routes, e);

        if (r < 0)
                return r;
        route = &routes.list[0];
        o = json_pack("{ss ss* ss* sI}", "how", route_kind_name(route->kind), "from", route->from, "through",
                        route->first ? route->first->info->version : NULL, "bytes",
                        (json_int_t) route->bytes);
        return json_object_set_new(j, "fetch", o) < 0 ? -ENOMEM : 0;
}

static json_t *describe_names(char *const *names) {
        json_t *l = json_array();

        for (char *const *i = names; l && i && *i; i++)
                (void) json_array_append_new(l, json_string(*i));
        return l;
}

/* What contracting would run, and what there is no way back to afterwards. */
static int describe_contract(Deploy *d, json_t *j, Error *e) {
        json_t *pending;
        int r;

        r = schema_describe_pending(d, d->from, MIGRATION_CONTRACT, &pending, e);
        if (r < 0)
                return r;
        r = json_object_set_new(j, "contract",
                        json_pack("{ss so so}", "to", d->contracts, "lost", describe_names(d->lost),
                                        "statements", pending));
        return r < 0 ? -ENOMEM : 0;
}

/* What migrating would run, where the release is here to be read. */
static int describe_migrations(Deploy *d, const Plan *plan, json_t *j, Error *e) {
        json_t *pending;
        int r = 0;

        if (plan_has(plan, STEP_CONTRACT))
                r = describe_contract(d, j, e);
        if (r < 0 || !plan_has(plan, STEP_MIGRATE) || plan_has(plan, STEP_FETCH))
                return r;
        r = schema_describe_pending(d, d->target, MIGRATION_EXPAND, &pending, e);
        return r < 0 ? r : json_object_set_new(j, "statements", pending) < 0 ? -ENOMEM : 0;
}

int deploy_plan(const DeployOptions *o, const DeployRequest *request, json_t **ret_plan, Error *e) {
        _cleanup_(deploy_clear) Deploy d = {0};
        _cleanup_json_ json_t *j = NULL;
        Plan plan = {0};
        int r;

        deploy_init(&d, o, request->goal, request->id);
        r = ledger_load(o->state_fd, &d.ledger, e);
        if (r >= 0)
                r = facts_gather(&d, request->version, &plan, e);
        if (r < 0)
                return r;
        j = json_pack("{ss ss* sb so*}", "version", d.target, "from", d.from, "nothing", plan.nothing,
                        "steps", plan_describe(&plan));
        if (!j)
                return -ENOMEM;
        if (d.bundle && plan.n > 0 && plan.steps[0] == STEP_FETCH)
                r = describe_fetch(&d, j, e);
        if (r >= 0)
                r = describe_migrations(&d, &plan, j, e);
        if (r < 0)
                return r;
        *ret_plan = TAKE(j);
        return 0;
}
