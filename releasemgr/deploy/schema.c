#include <errno.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fiber.h"
#include "base/text.h"
#include "base/version.h"
#include "deploy/schema.h"

/* For a rollback: until the database must have answered. */
#define ROLLBACK_WAIT_USEC (2 * USEC_PER_SEC)

/* The least there is: one attempt. */
#define ONE_ATTEMPT_USEC 1

SchemaRange schema_range(const json_t *json) {
        return (SchemaRange){
                        .needs = json_get_string(json, "needs"), .knows = json_get_string(json, "knows")};
}

int schema_find_here(Store *store, SchemaHere *ret) {
        SchemaHere h = {0};

        if (store_list(store, &h.infos, &h.n, NULL, NULL) < 0)
                h = (SchemaHere){0};
        h.releases = calloc(h.n + 1, sizeof(*h.releases));
        if (!h.releases) {
                schema_here_clear(&h);
                return -ENOMEM;
        }
        for (size_t i = 0; i < h.n; i++)
                h.releases[i] = (PlanRelease){h.infos[i]->version, schema_range(h.infos[i]->schema)};
        *ret = h;
        return 0;
}

void schema_here_clear(SchemaHere *h) {
        release_info_free_many(h->infos, h->n);
        free(h->releases);
        *h = (SchemaHere){0};
}

int schema_find_lost(const SchemaHere *h, const SchemaState *now, const char *floor, char ***ret) {
        _cleanup_strv_ char **lost = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < h->n; i++)
                if (schema_admits_now(&h->releases[i].range, now) &&
                                !schema_survives(&h->releases[i].range, floor))
                        r = strv_add(&lost, h->releases[i].version);
        if (r >= 0)
                *ret = TAKE(lost);
        return r;
}

typedef struct Question {
        const MigratorOptions *options;
        int release; /* whose contract migrations are asked about, too; -1: nobody's */
        SchemaState answer;
        char *contracts; /* the newest of those that did not run; NULL: all did */
        bool locks;      /* are asked about, too */
        char *holder;    /* who keeps migrations waiting now; NULL: nobody */
        Error error;
        Fiber *asker;
} Question;

static int ask_of_release(Question *q, Migrator *m) {
        _cleanup_(migrator_plan_free_p) MigratorPlan *plan = NULL;
        const char *newest;
        int r;

        r = migrator_plan(m, q->release, DEPLOY_MIGRATIONS, MIGRATION_CONTRACT, &plan, &q->error);
        if (r < 0)
                return r;
        newest = migrator_plan_newest(plan);
        if (newest && !(q->contracts = strdup(newest)))
                return -ENOMEM;
        q->answer = TAKE(plan->state);
        return 0;
}

static int ask(void *userdata) {
        _cleanup_(migrator_free_p) Migrator *m = NULL;
        Question *q = userdata;
        int r;

        r = migrator_new(q->options, &m);
        if (r >= 0 && q->locks) {
                free(q->holder); /* of the attempt before */
                r = migrator_lock_holder(m, &q->holder, &q->error);
        }
        if (r < 0)
                return r;
        return q->release >= 0 ? ask_of_release(q, m) : migrator_state(m, &q->answer, &q->error);
}

static int hurry(void *userdata) {
        Question *q = userdata;
        int r = fiber_sleep(ROLLBACK_WAIT_USEC);

        if (r >= 0)
                fiber_cancel(q->asker);
        return r;
}

/* As ask(), but gives up with -ETIMEDOUT, wherever the server leaves us hanging. */
static int ask_in_time(Question *q, Error *e) {
        _cleanup_(fiber_stop_p) Fiber *asker = NULL, *watch = NULL;
        int r;

        r = fiber_new(fiber_event(), "ask-schema", ask, q, &asker);
        if (r < 0)
                return r;
        q->asker = asker;
        r = fiber_new(fiber_event(), "hurry-schema", hurry, q, &watch);
        if (r >= 0)
                r = fiber_join(asker);
        if (r != -ECANCELED || !fiber_is_done(asker)) {
                error_move(e, &q->error);
                return r;
        }
        return error_set(e, ERROR_FAILED, -ETIMEDOUT, "it does not answer");
}

static int keep(Deploy *d, Error *e) {
        _cleanup_free_ char *database = sql_options_name(&d->o->migrator->sql);

        if (!database)
                return -ENOMEM;
        return ledger_set_schema(d->ledger, database, &d->schema, clock_now(), e);
}

/* What stands in the ledger. */
static int recall(Deploy *d, const char *why) {
        _cleanup_free_ char *database = sql_options_name(&d->o->migrator->sql);
        const char *since;
        int r;

        if (!database)
                return -ENOMEM;
        r = ledger_get_schema(d->ledger, database, &d->schema, &since);
        if (r == -ENOENT) {
                progress_note(d->o->progress,
                                "the database cannot be asked (%s), and never was from here: going back all "
                                "the same",
                                why);
                return 0;
        }
        if (r < 0)
                return r;
        d->schema_known = true;
        progress_note(d->o->progress,
                        "the database cannot be asked (%s); what it last said counts, of %s: schema at %s, "
                        "contracted to %s",
                        why, since, d->schema.level ?: "nothing", d->schema.floor ?: "nothing");
        return 0;
}

static int ask_going_back(Deploy *d, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        MigratorOptions options = *d->o->migrator;
        Question q = {.options = &options, .release = -1};
        int r;

        options.deadline_usec = ONE_ATTEMPT_USEC;
        options.sql.connect_timeout_usec = ROLLBACK_WAIT_USEC;
        r = ask_in_time(&q, &error);
        error_clear(&q.error);
        if (r < 0)
                schema_state_clear(&q.answer);
        if (r == -ECANCELED || r == -ENOMEM) {
                error_move(e, &error);
                return r;
        }
        if (r < 0)
                return recall(d, error_message(&error, r));
        d->schema = q.answer;
        d->schema_known = true;
        return 0;
}

/* Whether the target needs more than @now has. */
static bool will_migrate(const Deploy *d, const SchemaState *now) {
        SchemaRange range = schema_range(d->bundle ? d->bundle->info->schema : NULL);

        return range.needs && (!now->level || version_compare(range.needs, now->level) > 0);
}

/* The first attempt by itself, so that somebody who watches knows what the wait is for. */
static int ask_patiently(Deploy *d, int release, Error *e) {
        MigratorOptions options = *d->o->migrator;
        Question q = {.options = &options, .release = release, .locks = d->lock};
        int r;

        options.deadline_usec = ONE_ATTEMPT_USEC;
        r = ask(&q);
        if (r == -ECONNRESET || r == -ETIMEDOUT) {
                progress_note(d->o->progress, "waiting for the database: %s", error_message(&q.error, r));
                error_clear(&q.error);
                options.deadline_usec = d->o->migrator->deadline_usec;
                r = ask(&q);
        }
        error_move(e, &q.error);
        if (r >= 0 && q.holder && will_migrate(d, &q.answer))
                progress_note(d->o->progress, "%s: migrations will wait for it", q.holder);
        free(q.holder);
        if (r < 0)
                return r;
        d->schema = q.answer;
        d->schema_known = true;
        d->contracts = q.contracts;
        return 0;
}

int schema_ask(Deploy *d, bool contract, Error *e) {
        _cleanup_close_ int release = contract ? store_open_release(d->o->store, d->from, e) : -1;
        _cleanup_error_ Error error = ERROR_INIT;
        int r;

        if (contract && release < 0)
                return release;
        r = d->goal == GOAL_ROLLBACK ? ask_going_back(d, e) : ask_patiently(d, release, e);
        /* who only makes a plan holds no lock, and changes nothing */
        if (r >= 0 && d->schema_known && d->lock && keep(d, &error) < 0)
                progress_warn(d->o->progress, "%s", error_message(&error, -EIO));
        return r;
}

int schema_expect_contract(Deploy *d, Error *e) {
        _cleanup_free_ char *database = sql_options_name(&d->o->migrator->sql);

        if (!database)
                return -ENOMEM;
        return ledger_set_floor(d->ledger, database, d->contracts, clock_now(), e);
}

void schema_remember(Deploy *d, Migrator *m) {
        _cleanup_error_ Error error = ERROR_INIT;
        SchemaState now;
        int r;

        r = migrator_state(m, &now, &error);
        if (r >= 0) {
                schema_state_clear(&d->schema);
                d->schema = now;
                r = keep(d, &error);
        }
        if (r < 0 && r != -ECANCELED)
                progress_warn(d->o->progress, "what the database's schema is now was not kept: %s",
                                error_message(&error, r));
}

static json_t *describe_pending(const MigratorPlan *plan) {
        json_t *list = json_array();

        for (size_t i = 0; i < plan->n_items; i++) {
                const PlannedMigration *item = plan->items + i;

                for (size_t j = 0; j < item->n_statements; j++) {
                        const PlannedStatement *s = item->statements + j;

                        (void) json_array_append_new(list,
                                        json_pack("{ss si ss ss ss* sI sb}", "path", item->migration->path,
                                                        "line", (int) s->line, "text", s->summary, "class",
                                                        s->class, "algorithm", s->algorithm, "rows",
                                                        (json_int_t) s->rows, "destructive", s->destructive));
                }
        }
        return list;
}

int schema_describe_pending(Deploy *d, const char *version, MigrationPhase phase, json_t **ret, Error *e) {
        _cleanup_(migrator_plan_free_p) MigratorPlan *plan = NULL;
        _cleanup_(migrator_free_p) Migrator *m = NULL;
        _cleanup_close_ int release = -1;
        int r;

        release = store_open_release(d->o->store, version, e);
        if (release < 0)
                return release;
        r = migrator_new(d->o->migrator, &m);
        if (r >= 0)
                r = migrator_plan(m, release, DEPLOY_MIGRATIONS, phase, &plan, e);
        if (r >= 0)
                r = migrator_explain(m, plan, e);
        if (r < 0)
                return r;
        *ret = describe_pending(plan);
        return *ret ? 0 : -ENOMEM;
}
