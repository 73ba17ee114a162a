#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/version.h"
#include "db/migrator-internal.h"
#include "db/runner.h"

#define DEADLINE_USEC (300 * USEC_PER_SEC)

/* How often a connection may be lost without a statement having got done in between. */
#define LOSSES_MAX 5

int migrator_new(const MigratorOptions *options, Migrator **ret) {
        _cleanup_(migrator_free_p) Migrator *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        r = sql_options_copy(&options->sql, &m->sql);
        if (r < 0)
                return r;
        m->deadline_usec = options->deadline_usec ?: DEADLINE_USEC;
        if (options->deployment && !(m->deployment = strdup(options->deployment)))
                return -ENOMEM;
        *ret = TAKE(m);
        return 0;
}

Migrator *migrator_free(Migrator *m) {
        if (!m)
                return NULL;
        guard_close(&m->guard);
        sql_options_clear(&m->sql);
        free(m->deployment);
        free(m);
        return NULL;
}

/* A wait for the server or for the lock. */
static void on_waiting(const char *what, void *userdata) {
        Migrator *m = userdata;
        MigratorProgress p = {.waiting = what};

        if (m->progress)
                m->progress(&p, m->userdata);
}

static void on_progress(const MigratorProgress *p, void *userdata) {
        Migrator *m = userdata;

        if (p->done)
                m->losses = 0;
        if (!p->waiting)
                m->at = *p;
        if (m->progress)
                m->progress(p, m->userdata);
}

int migrator_connect(Migrator *m, Error *e) {
        if (m->guard.sql)
                return 0;
        return guard_open(&m->sql, GUARD_READ, clock_monotonic() + m->deadline_usec, on_waiting, m, &m->guard,
                        e);
}

int migrator_begin(Migrator *m, Records *ret, Error *e) {
        uint64_t deadline = clock_monotonic() + m->deadline_usec;
        int r;

        if (!m->guard.locked) {
                guard_close(&m->guard); /* it may have been opened for reading */
                r = guard_open(&m->sql, m->lost ? GUARD_WRITE_AGAIN : GUARD_WRITE, deadline, on_waiting, m,
                                &m->guard, e);
                if (r >= 0)
                        r = guard_lock(&m->guard, deadline, on_waiting, m, e);
                if (r < 0)
                        return r;
        }
        r = records_read(m->guard.sql, m->guard.database, ret, e);
        if (r >= 0)
                r = records_prepare(m->guard.sql, m->guard.database, ret->schema, e);
        return r;
}

int migrator_end(Migrator *m, int r) {
        guard_close(&m->guard); /* and the lock goes with it */
        return r;
}

/* Waits for a lock that somebody else holds. The session goes first: whoever has the lock may want one of ours. The time is
 * counted from when the same statement first missed one: those before it, in its transaction, may be done again and again. */
static int wait_for_locks(Migrator *m, Error *e) {
        uint64_t now = clock_monotonic(), pause = guard_pause();
        _cleanup_free_ char *blockers = NULL;
        MigratorProgress p = m->at;
        int r;

        r = guard_blockers(&m->guard, &blockers);
        guard_close(&m->guard);
        if (r < 0)
                return r;
        if (m->blocked_usec == 0 || p.migration != m->blocked_at.migration ||
                        p.statement != m->blocked_at.statement)
                m->blocked_usec = now;
        m->blocked_at = p;
        if (now + pause >= m->blocked_usec + m->deadline_usec) {
                r = error_set(e, ERROR_FAILED, -EBUSY, "%s: could not get its locks in time: %s",
                                error_message(e, -EAGAIN), blockers);
                return error_hint(e, r, "End what blocks, or try again later.");
        }
        p.done = false;
        p.took_usec = 0;
        p.waiting = blockers;
        if (m->progress)
                m->progress(&p, m->userdata);
        return fiber_sleep(pause);
}

int migrator_persist(
                Migrator *m, int (*work)(Migrator *m, void *userdata, Error *e), void *userdata, Error *e) {
        int r;

        m->losses = 0;
        m->lost = false;
        m->at = (MigratorProgress){0};
        m->blocked_usec = 0;
        for (;;) {
                r = work(m, userdata, e);
                if (r == -EAGAIN && m->guard.sql) {
                        r = wait_for_locks(m, e);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (r != -ECONNRESET || !m->guard.sql || m->losses++ == LOSSES_MAX)
                        return r;
                m->lost = true;
                on_waiting(error_message(e, r), m);
                guard_close(&m->guard);
        }
}

typedef struct Applying {
        const MigratorPlan *plan;
        RunnerState state;
        const Migration **pending; /* what is to be run, in order */
        const Migration **ahead;   /* ... of that, what has no records yet */
        size_t n_pending, n_ahead;
} Applying;

static void applying_forget(Applying *a) {
        free(a->pending);
        free(a->ahead);
        a->pending = a->ahead = NULL;
        a->n_pending = a->n_ahead = 0;
}

/* Whether there is anything left to do for a migration. */
static int is_pending(const Migration *m, const Records *records, Error *e) {
        const MigrationRecord *known = records_find(records, m->version);
        int r;

        if (!known || !known->finished)
                return 1;
        if (streq(known->digest, m->digest))
                return 0;
        if (m->repeatable)
                return 1;
        r = error_set(e, ERROR_REFUSED, -EPERM, "%s was changed after it had run here", m->path);
        return error_hint(e, r, "Put it back as it was, and write a new migration for the change.");
}

/* A repeatable migration that changed begins anew. */
static int forget_statements(Migrator *m, const Migration *migration, const Records *records, Error *e) {
        const MigrationRecord *known = records_find(records, migration->version);
        _cleanup_free_ char *version = NULL;

        if (!migration->repeatable || !known || !known->finished)
                return 0;
        version = sql_quote(migration->version, strlen(migration->version));
        if (!version)
                return -ENOMEM;
        return sql_exec(m->guard.sql, e, "DELETE FROM %s.releasemgr_statement WHERE version = %s",
                        m->guard.database, version);
}

/* Makes the lists of what is to be run. */
static int find_pending(Applying *a, const Records *records, Error *e) {
        applying_forget(a);
        a->pending = calloc(a->plan->n_items + 1, sizeof(*a->pending));
        a->ahead = calloc(a->plan->n_items + 1, sizeof(*a->ahead));
        if (!a->pending || !a->ahead)
                return -ENOMEM;
        for (size_t i = 0; i < a->plan->n_items; i++) {
                const Migration *m = a->plan->items[i].migration;
                int r;

                r = is_pending(m, records, e);
                if (r < 0)
                        return r;
                if (r > 0)
                        a->pending[a->n_pending++] = m;
        }
        return 0;
}

/* Those that come right after @m and have no records yet. */
static void find_ahead(Applying *a, size_t after, const Records *records) {
        a->n_ahead = 0;
        for (size_t i = after + 1; i < a->n_pending && !records_find(records, a->pending[i]->version); i++)
                a->ahead[a->n_ahead++] = a->pending[i];
}

static RunnerOptions runner_options(Migrator *m, Applying *a, const Records *records) {
        return (RunnerOptions){
                        .guard = &m->guard,
                        .state = &a->state,
                        .fresh = records->batch == 0,
                        .ahead = a->ahead,
                        .n_ahead = a->n_ahead,
                        .patience_usec = m->deadline_usec,
                        .progress = on_progress,
                        .userdata = m,
        };
}

/* Returns 1 where the lock was given up for a moment, so that the records may have changed. */
static int run_one(Migrator *m, Applying *a, const Migration *migration, const Records *records, Error *e) {
        bool dirty = false, known = records_find(records, migration->version);
        RunnerOptions options = runner_options(m, a, records);
        uint64_t start = clock_monotonic();
        int r;

        r = forget_statements(m, migration, records, e);
        if (r >= 0)
                r = runner_run(&options, migration, known, &dirty, e);
        if (r < 0) {
                if (r != -ECONNRESET && r != -ETIMEDOUT && r != -ECANCELED && r != -EAGAIN)
                        runner_settle(&options);
                return r;
        }
        if (m->progress) {
                MigratorProgress p = {
                                .migration = migration, .done = true, .took_usec = clock_monotonic() - start};

                m->progress(&p, m->userdata);
        }
        if (!dirty)
                return 0;
        runner_state_clear(&a->state); /* runner_run() wrote it; what is announced may be run by others now */
        r = guard_renew(&m->guard, e); /* each file begins in a session like new */
        if (r >= 0)
                r = guard_lock(&m->guard, clock_monotonic() + m->deadline_usec, on_waiting, m, e);
        return r < 0 ? r : 1;
}

static int finish_batch(Migrator *m, Applying *a, const Records *records, Error *e) {
        RunnerOptions options = runner_options(m, a, records);
        int r;

        r = runner_flush(&options, e);
        if (r >= 0)
                r = guard_keep_books(&m->guard, e);
        if (r >= 0)
                r = runner_tidy(&options, e);
        if (r >= 0)
                r = migrator_remember_look(m, e);
        if (r < 0)
                return r;
        return sql_exec(m->guard.sql, e,
                        "REPLACE INTO %s.releasemgr_fact (name, value) VALUES ('batch', '%u')",
                        m->guard.database, records->batch + 1);
}

static int run_pending(Migrator *m, Applying *a, Records *records, Error *e) {
        int r;

        r = find_pending(a, records, e);
        for (size_t i = 0; r >= 0 && i < a->n_pending; i++) {
                find_ahead(a, i, records);
                r = run_one(m, a, a->pending[i], records, e);
                if (r == 0)
                        continue;
                if (r > 0) {
                        records_clear(records);
                        r = records_read(m->guard.sql, m->guard.database, records, e);
                }
                return r < 0 ? r : 1;
        }
        return r;
}

static int apply_all(Migrator *m, void *userdata, Error *e) {
        _cleanup_records_ Records records = {0};
        Applying *a = userdata;
        int r;

        runner_state_clear(&a->state); /* what a lost connection left unwritten is found by looking */
        r = migrator_begin(m, &records, e);
        if (r < 0)
                return r;
        a->state.backlog.batch = records.batch + 1;
        a->state.backlog.deployment = m->deployment;
        do
                r = run_pending(m, a, &records, e);
        while (r > 0);
        return r < 0 ? r : finish_batch(m, a, &records, e);
}

int migrator_apply(Migrator *m, const MigratorPlan *plan, MigratorProgressFunction progress, void *userdata,
                Error *e) {
        Applying a = {.plan = plan};
        int r;

        if (plan->n_pending == 0)
                return 0;
        m->progress = progress;
        m->userdata = userdata;
        r = migrator_end(m, migrator_persist(m, apply_all, &a, e));
        m->progress = NULL;
        runner_state_clear(&a.state);
        applying_forget(&a);
        return r < 0 ? r : (int) a.state.backlog.n_written;
}

static int read_records(Migrator *m, void *userdata, Error *e) {
        int r;

        r = migrator_connect(m, e);
        return r < 0 ? r : records_read(m->guard.sql, m->guard.database, userdata, e);
}

static int raise_version(char **version, const char *to) {
        char *copy;

        if (startswith(to, "R:") || (*version && version_compare(*version, to) >= 0))
                return 0;
        copy = strdup(to);
        if (!copy)
                return -ENOMEM;
        free(*version);
        *version = copy;
        return 0;
}

static int state_from_records(const Records *records, SchemaState *ret) {
        SchemaState s = {0};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < records->n_migrations; i++) {
                const MigrationRecord *m = records->migrations + i;

                if (m->contract) /* begun is enough: what it takes away may be gone */
                        r = raise_version(&s.floor, m->version);
                else if (m->finished)
                        r = raise_version(&s.level, m->version);
        }
        if (r < 0) {
                schema_state_clear(&s);
                return r;
        }
        *ret = s;
        return 0;
}

int migrator_state(Migrator *m, SchemaState *ret, Error *e) {
        _cleanup_records_ Records records = {0};
        int r;

        r = migrator_persist(m, read_records, &records, e);
        return r < 0 ? r : state_from_records(&records, ret);
}

static int read_holder(Migrator *m, void *userdata, Error *e) {
        int r = migrator_connect(m, e);

        return r < 0 ? r : guard_lock_holder(&m->guard, userdata);
}

int migrator_lock_holder(Migrator *m, char **ret, Error *e) {
        *ret = NULL;
        return migrator_persist(m, read_holder, ret, e);
}

/* Versions that ran here and that this folder does not have. */
static int plan_unknown(MigratorPlan *plan, const Records *records) {
        _cleanup_free_ bool *found = calloc(records->n_migrations + 1, sizeof(*found));
        int r = 0;

        if (!found)
                return -ENOMEM;
        for (size_t i = 0; i < plan->list->n; i++) {
                const MigrationRecord *record = records_find(records, plan->list->items[i]->version);

                if (record)
                        found[record - records->migrations] = true;
        }
        for (size_t i = 0; r >= 0 && i < records->n_migrations; i++)
                if (!found[i])
                        r = strv_add(&plan->unknown, records->migrations[i].version);
        return r;
}

static int plan_items(MigratorPlan *plan, MigrationPhase phase, const Records *records, Error *e) {
        plan->items = calloc(plan->list->n + 1, sizeof(*plan->items));
        if (!plan->items)
                return -ENOMEM;
        for (size_t i = 0; i < plan->list->n; i++) {
                const Migration *migration = plan->list->items[i];
                PlannedMigration *item = plan->items + plan->n_items;
                int r;

                if (migration->phase != phase)
                        continue;
                r = is_pending(migration, records, e);
                if (r < 0)
                        return r;
                item->migration = migration;
                item->state = !r ? MIGRATION_APPLIED
                              : records_find(records, migration->version) && !migration->repeatable
                                              ? MIGRATION_PARTIAL
                                              : MIGRATION_PENDING;
                plan->n_items++;
                *(r ? &plan->n_pending : &plan->n_applied) += 1;
        }
        return 0;
}

int migrator_plan(Migrator *m, int dirfd, const char *path, MigrationPhase phase, MigratorPlan **ret,
                Error *e) {
        _cleanup_(migrator_plan_free_p) MigratorPlan *plan = calloc(1, sizeof(*plan));
        _cleanup_records_ Records records = {0};
        int r;

        if (!plan)
                return -ENOMEM;
        r = migration_list_read(dirfd, path, &plan->list, e);
        if (r >= 0)
                r = migrator_persist(m, read_records, &records, e);
        if (r >= 0)
                r = state_from_records(&records, &plan->state);
        if (r >= 0)
                r = plan_items(plan, phase, &records, e);
        if (r >= 0)
                r = plan_unknown(plan, &records);
        if (r < 0)
                return r;
        *ret = TAKE(plan);
        return 0;
}
