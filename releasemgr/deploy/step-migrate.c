/* The steps that change the schema, while the release before still serves. DDL commits by itself, so there is no honest
 * undo: only what that release survives may stand here, which is what the target expands, and what that release itself
 * contracts. */

#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "deploy/context.h"
#include "deploy/schema.h"

static void on_progress(const MigratorProgress *p, void *userdata) {
        Deploy *d = userdata;
        char took[CLOCK_TEXT_MAX];

        if (p->waiting)
                progress_note(d->o->progress, "%s", p->waiting);
        else if (p->done && p->statement == 0)
                progress_note(d->o->progress, "%s %s in %s", p->migration->version, p->migration->name,
                                span_to_text(p->took_usec, took));
}

/* Runs what is pending of a release here. A failure may have come in the middle; but where it was the connection's,
 * nobody can be asked. */
static int run_phase(Deploy *d, const char *version, MigrationPhase phase, Error *e) {
        _cleanup_(migrator_plan_free_p) MigratorPlan *plan = NULL;
        _cleanup_(migrator_free_p) Migrator *m = NULL;
        _cleanup_close_ int release = -1;
        MigratorOptions options = *d->o->migrator;
        int r;

        release = store_open_release(d->o->store, version, e);
        if (release < 0)
                return release;
        options.deployment = d->id;
        r = migrator_new(&options, &m);
        if (r >= 0)
                r = migrator_plan(m, release, DEPLOY_MIGRATIONS, phase, &plan, e);
        if (r >= 0)
                r = migrator_apply(m, plan, on_progress, d, e);
        if (r > 0 || r == -EREMOTEIO || r == -EPERM || r == -EBUSY)
                schema_remember(d, m);
        if (r >= 0)
                progress_summary(d->o->progress, "%d applied, %zu already there", r, plan->n_applied);
        return MIN_OF(r, 0);
}

static int contract_start(Deploy *d, Error *e) {
        _cleanup_text_ Text lost = TEXT_INIT;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < strv_length(d->lost); i++)
                r = text_addf(&lost, "%s%s", i > 0 ? ", " : "", d->lost[i]);
        if (r < 0)
                return r;
        if (d->lost)
                progress_note(d->o->progress, "from here on there is no way back to %s", lost.data);
        r = schema_expect_contract(d, e);
        return r < 0 ? r : run_phase(d, d->from, MIGRATION_CONTRACT, e);
}

static int contract_undo(Deploy *d, Error *e _unused_) {
        progress_note(d->o->progress, "what was contracted stays: it is what %s itself no longer needs",
                        d->from);
        return 0;
}

static int migrate_start(Deploy *d, Error *e) {
        return run_phase(d, d->target, MIGRATION_EXPAND, e);
}

static int migrate_undo(Deploy *d, Error *e _unused_) {
        progress_note(d->o->progress, "what was migrated stays: the release before it runs on it as well");
        deploy_undid(d, "migrations stay, %s runs on them as well", d->from ?: "nothing");
        return 0;
}

const StepType step_contract = {.name = "contract", .start = contract_start, .undo = contract_undo};
const StepType step_migrate = {.name = "migrate", .start = migrate_start, .undo = migrate_undo};
