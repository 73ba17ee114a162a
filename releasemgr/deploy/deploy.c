#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "deploy/context.h"
#include "deploy/facts.h"
#include "deploy/fetch.h"
#include "deploy/history.h"
#include "deploy/inquiry.h"
#include "deploy/journal.h"
#include "deploy/lock.h"
#include "deploy/mend.h"
#include "deploy/report.h"
#include "deploy/retain.h"
#include "deploy/schema.h"
#include "fetch/download.h"
#include "fetch/refresh.h"

void deploy_clear(Deploy *d) {
        d->inquiry = inquiry_free(d->inquiry);
        d->ledger = ledger_free(d->ledger);
        d->bundle = offered_bundle_free(d->bundle);
        health_report_clear(&d->health);
        health_report_clear(&d->back);
        schema_state_clear(&d->schema);
        free(d->contracts);
        strv_free(d->lost);
        json_decref(d->hooks);
        json_decref(d->undone);
        free(d->reason);
        free(d->tree_digest);
        free(d->target);
        free(d->from);
}

void deploy_init(Deploy *d, const DeployOptions *o, PlanGoal goal, const char *id) {
        *d = (Deploy){.o = o, .goal = goal, .begun_usec = clock_now(), .here_usec = clock_monotonic()};
        if (id)
                memcpy(d->id, id, strlen(id) + 1);
        else
                id_new(d->begun_usec, d->id);
}

void deploy_undid(Deploy *d, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (!d->undone)
                d->undone = json_array();
        if (text && d->undone)
                (void) json_array_append_new(d->undone, json_string(text));
}

/* The engine's moments as progress: a stage has one more before it, in which the plan was made. */
static void on_moment(EngineMoment moment, const StepType *step, unsigned number, unsigned of,
                const Error *error, void *userdata) {
        Deploy *d = userdata;
        Progress *p = d->o->progress;

        switch (moment) {
        case MOMENT_START:
                (void) lock_set_stage(d->lock, step->name);
                progress_stage(p, step->name, number + 1, of + 1);
                break;
        case MOMENT_DONE:
                progress_done(p);
                break;
        case MOMENT_FAILED:
                progress_failed(p, error, -EIO);
                break;
        case MOMENT_ABORT:
                (void) lock_set_stage(d->lock, "going back");
                d->abort_usec = clock_monotonic();
                free(d->reason);
                d->reason = strdup(error_message(error, -EIO));
                progress_back(p, error_message(error, -EIO));
                break;
        case MOMENT_UNDO_FAILED:
                progress_warn(p, "undoing %s: %s", step->name, error_message(error, -EIO));
                break;
        case MOMENT_COMMIT:
        case MOMENT_UNDO:
        case MOMENT_UNDONE:
                break;
        }
}

/* The engine's table for a plan. */
typedef struct Table {
        const StepType *before[_STEP_MAX + 1];
        const StepType *after[3];
        StepTable table;
} Table;

static void table_init(Table *t, const Plan *plan) {
        size_t n = 0, m = 0;

        *t = (Table){.table = {t->before, t->after}};
        for (size_t i = 0; i < plan->n; i++)
                if (plan->steps[i] >= STEP_FINISH)
                        t->after[m++] = deploy_steps[plan->steps[i]];
                else
                        t->before[n++] = deploy_steps[plan->steps[i]];
}

/* What recovery needs to know, in the journal's BEGIN. */
static json_t *describe_begin(const Deploy *d, const Plan *plan) {
        return json_pack("{ss ss ss ss* ss ss* sI ss* so*}", "id", d->id, "app", d->o->app, "verb",
                        plan_goal_name(d->goal), "from", d->from, "version", d->target, "tree",
                        d->tree_digest, "begun", (json_int_t) d->begun_usec, "by", d->o->by, "steps",
                        plan_describe(plan));
}

/* The other way round, for recovery. */
static int read_begin(Deploy *d, const json_t *begin, Plan *ret_plan, Error *e) {
        const char *id = json_get_string(begin, "id"), *version = json_get_string(begin, "version");
        const char *from = json_get_string(begin, "from"), *tree = json_get_string(begin, "tree"), *name;
        json_t *value;
        size_t i;

        if (!id || !id_is_valid(id) || !version ||
                        plan_goal_from_name(json_get_string(begin, "verb"), &d->goal) < 0)
                return error_set(e, ERROR_FAILED, -EUCLEAN,
                                "%s: its first record does not describe a deployment", JOURNAL_FILE);
        memcpy(d->id, id, strlen(id) + 1);
        d->begun_usec = json_get_integer(begin, "begun", 0);
        d->target = strdup(version);
        d->from = from ? strdup(from) : NULL;
        d->tree_digest = tree ? strdup(tree) : NULL;
        if (!d->target || (from && !d->from) || (tree && !d->tree_digest))
                return -ENOMEM;
        *ret_plan = (Plan){0};
        json_array_foreach(json_object_get(begin, "steps"), i, value) {
                name = json_string_value(value);
                for (PlanStep s = 0; name && s < _STEP_MAX && ret_plan->n < _STEP_MAX; s++)
                        if (streq(plan_step_name(s), name))
                                ret_plan->steps[ret_plan->n++] = s;
        }
        return 0;
}

/* A release that failed here for a reason of its own is remembered, so that the timer does not bring it again. What a
 * person stopped, and what never got as far as the release, says nothing about it. */
static void remember_failure(Deploy *d, const EngineOutcome *outcome) {
        bool own = report_blames_release(outcome) ||
                   (outcome->failed == &step_migrate && outcome->number == -EREMOTEIO);
        _cleanup_error_ Error error = ERROR_INIT;

        if (d->goal == GOAL_ROLLBACK || !own || !outcome->at_fault || !d->tree_digest)
                return;
        if (ledger_quarantine(d->ledger, d->tree_digest, d->target,
                            error_message(&outcome->cause, outcome->number), clock_now(), &error) < 0)
                progress_warn(d->o->progress, "%s", error_message(&error, -EIO));
        else
                d->quarantined = true;
}

/* Writes down what came of it, while the journal is still open: killed here, we come by once more. */
static int on_outcome(const EngineOutcome *outcome, void *userdata) {
        _cleanup_error_ Error error = ERROR_INIT;
        Deploy *d = userdata;
        int r;

        if (outcome->failed)
                remember_failure(d, outcome);
        if (ledger_unsynced(d->ledger) < 0)
                progress_warn(d->o->progress, LEDGER_UNSYNCED, strerror(-ledger_unsynced(d->ledger)));
        r = report_make(d, outcome, d->report);
        if (r >= 0)
                r = history_append(d->o->state_fd, d->report->entry, &error);
        if (r < 0)
                progress_warn(d->o->progress, "%s", error_message(&error, r));
        return r;
}

static int tell_end(const Deploy *d) {
        if (!d->report->entry)
                return -ENOMEM;
        progress_end(d->o->progress, d->report->entry);
        return 0;
}

static int run_plan(Deploy *d, const Plan *plan, DeployReport *ret, Error *e) {
        const EngineObserver observer = {on_moment, d, on_outcome};
        _cleanup_(engine_outcome_clear) EngineOutcome outcome = {0};
        _cleanup_(journal_free_p) Journal *j = NULL;
        _cleanup_json_ json_t *begin = describe_begin(d, plan);
        Table t;
        int r;

        if (!begin)
                return -ENOMEM;
        table_init(&t, plan);
        r = journal_create(d->o->state_fd, JOURNAL_FILE, begin, t.before[0]->name, &j, e);
        if (r < 0)
                return r;
        d->report = ret;
        r = engine_run(&t.table, j, d, &observer, &outcome);
        return r < 0 ? r : tell_end(d);
}

/* The journal is damaged, as @e says: what was under way is not known. It is kept for forensics, once `current` names a
 * release that may stay and the service runs it. */
static int recover_without_journal(const DeployOptions *o, bool boot, DeployReport *ret, Error *e) {
        _cleanup_error_ Error damage = ERROR_INIT, error = ERROR_INIT;
        _cleanup_free_ char *kept = NULL, *path = NULL;
        int r;

        if (e)
                error_move(&damage, e);
        r = mend_current(o, error_message(&damage, -EUCLEAN), e);
        if (r < 0)
                return r;
        r = mend_service(o, boot, &error);
        if (r < 0) {
                progress_warn_error(o->progress, &error, r);
                ret->class = ERROR_UNHEALTHY;
        }
        r = journal_set_aside(o->state_fd, JOURNAL_FILE, clock_now(), &kept);
        if (r < 0)
                return error_errno(e, r, "cannot put the damaged %s aside", JOURNAL_FILE);
        path = fs_full_path(o->state_fd, kept);
        progress_warn(o->progress, "%s; it is kept as %s", error_message(&damage, -EUCLEAN), path ?: kept);
        return 0;
}

/* Who follows the deployment that died is told how it ends. -1 where nobody does. */
static int open_follower(const Deploy *d) {
        _cleanup_free_ char *file = progress_file(d->id);

        return file ? fd_openat(d->o->run_fd, file, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
}

/* Finishes what the journal holds. The lock is held. */
static int recover_locked(const DeployOptions *o, Lock *lock, bool boot, DeployReport *ret, Error *e) {
        _cleanup_(engine_outcome_clear) EngineOutcome outcome = {0};
        _cleanup_(journal_free_p) Journal *j = NULL;
        _cleanup_(deploy_clear) Deploy d = {0};
        const EngineObserver observer = {on_moment, &d, on_outcome};
        _cleanup_close_ int follower = -1;
        Plan plan = {0};
        Table t;
        int r;

        r = mend_ledger(o, e);
        if (r < 0)
                return r;
        r = journal_open(o->state_fd, JOURNAL_FILE, &j, e);
        if (r == -EUCLEAN)
                return recover_without_journal(o, boot, ret, e);
        if (r == -ENOENT || (r >= 0 && journal_is_finished(j))) {
                if (e)
                        error_clear(e);
                return 0;
        }
        if (r < 0)
                return r;
        deploy_init(&d, o, GOAL_ACTIVATE, NULL);
        r = ledger_load(o->state_fd, &d.ledger, e);
        if (r >= 0)
                r = read_begin(&d, journal_begin(j), &plan, e);
        if (r < 0)
                return r;
        d.boot = boot;
        d.lock = lock;
        d.recovering = true;
        follower = open_follower(&d);
        if (follower >= 0)
                progress_listen(o->progress, progress_to_file, &follower);
        progress_begin(o->progress, d.id, "recover", d.target, d.from);
        table_init(&t, &plan);
        d.report = ret;
        r = engine_recover(&t.table, j, &d, &observer, &outcome);
        return r < 0 ? r : tell_end(&d);
}

static int take_lock(const DeployOptions *o, const char *id, const char *verb, const char *version,
                Lock **ret, Error *e) {
        char since[CLOCK_TEXT_MAX];
        _cleanup_json_ json_t *holder = json_pack("{ss* ss ss* ss* ss}", "id", id, "verb", verb, "version",
                        version, "by", o->by, "since", clock_to_text(clock_now(), since));

        return holder ? lock_take(o->run_fd, holder, o->wait_usec, ret, e) : -ENOMEM;
}

/* Removes what killed processes left beside their files: nobody looks at it again. */
static void sweep(const DeployOptions *o) {
        (void) store_clean(o->store, NULL, NULL);
        (void) fs_remove_temporaries(o->state_fd, JOURNAL_FILE);
        refresh_sweep(o->trust_fd);
}

int deploy_recover(const DeployOptions *o, bool boot, DeployReport *ret, Error *e) {
        _cleanup_(lock_free_p) Lock *lock = NULL;
        int r;

        *ret = (DeployReport){0};
        r = take_lock(o, NULL, "recover", NULL, &lock, e);
        if (r >= 0)
                r = recover_locked(o, lock, boot, ret, e);
        if (r >= 0)
                r = mend_current(o, NULL, e);
        if (r > 0)
                r = mend_service(o, boot, e);
        if (r >= 0)
                sweep(o);
        return r;
}

/* Takes the lock and finishes what a crash left. */
static int begin(Deploy *d, const DeployOptions *o, const DeployRequest *request, const char *verb,
                Lock **ret, Error *e) {
        DeployReport recovered = {0};
        int r;

        deploy_init(d, o, request->goal, request->id);
        r = take_lock(o, d->id, verb, request->version, ret, e);
        if (r >= 0)
                r = recover_locked(o, *ret, false, &recovered, e);
        deploy_report_clear(&recovered);
        if (r >= 0)
                r = ledger_load(o->state_fd, &d->ledger, e);
        d->lock = *ret;
        d->verify = request->verify;
        return r;
}

int deploy_fetch(const DeployOptions *o, const DeployRequest *request, Error *e) {
        _cleanup_(lock_free_p) Lock *lock = NULL;
        _cleanup_(deploy_clear) Deploy d = {0};
        Plan plan = {0};
        int r;

        r = begin(&d, o, request, "fetch", &lock, e);
        if (r >= 0)
                r = facts_gather(&d, request->version, &plan, e);
        if (r < 0 || !plan_has(&plan, STEP_FETCH))
                return r;
        progress_begin(o->progress, d.id, "fetch", d.target, NULL);
        progress_stage(o->progress, "fetch", 1, 1);
        (void) lock_set_stage(lock, "fetch");
        r = step_fetch.start(&d, e);
        if (r >= 0)
                progress_done(o->progress);
        else
                (void) step_fetch.undo(&d, NULL);
        return r;
}

static void tell_nothing(Progress *p) {
        _cleanup_json_ json_t *end =
                        json_pack("{ss si ss}", "verdict", "nothing", "exit", 0, "text", "nothing to do");

        if (end)
                progress_end(p, end);
}

int deploy_run(const DeployOptions *o, const DeployRequest *request, DeployReport *ret, Error *e) {
        _cleanup_(lock_free_p) Lock *lock = NULL;
        _cleanup_(deploy_clear) Deploy d = {0};
        Plan plan = {0};
        int r;

        *ret = (DeployReport){0};
        r = begin(&d, o, request, plan_goal_name(request->goal), &lock, e);
        if (r < 0)
                return r;
        progress_files_clean(o->run_fd);
        progress_begin(o->progress, d.id, plan_goal_name(d.goal), request->version, NULL);
        progress_stage(o->progress, "plan", 1, 0);
        r = facts_gather(&d, request->version, &plan, e);
        if (r < 0) {
                progress_failed(o->progress, e, r);
                return r;
        }
        progress_number(o->progress, 1, plan.n + 1);
        progress_done(o->progress);
        if (plan.nothing) {
                tell_nothing(o->progress);
                return 0;
        }
        return run_plan(&d, &plan, ret, e);
}

int deploy_prune(const DeployOptions *o, Error *e) {
        _cleanup_(lock_free_p) Lock *lock = NULL;
        _cleanup_(deploy_clear) Deploy d = {0};
        int r;

        deploy_init(&d, o, GOAL_ACTIVATE, NULL);
        r = take_lock(o, d.id, "prune", NULL, &lock, e);
        if (r >= 0)
                r = ledger_load(o->state_fd, &d.ledger, e);
        if (r >= 0)
                r = download_partial_clean(store_releases_dirfd(o->store), NULL, e);
        return r < 0 ? r : retain_prune(&d, false, e);
}

void deploy_report_clear(DeployReport *r) {
        json_decref(r->entry);
        *r = (DeployReport){0};
}
