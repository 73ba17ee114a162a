#pragma once

/*
 * Running migrations
 *
 *         migrator_new --> migrator_plan --> migrator_apply
 *
 * The migrator connects when it is first asked, waits for a server that is away (until the deadline), and holds the
 * lock of the database only inside migrator_apply() and the other functions that change something. A lost connection
 * is made again and the work goes on at the statement where it stopped: see db/runner.h for how it knows.
 *
 * Everything but migrator_new() and migrator_free() suspends. Errors: ERROR_FAILED where a statement failed (file, line
 * and the server's words in the message) or the server cannot be reached; ERROR_LOCKED (-EBUSY) where another runner
 * held the lock until the deadline; ERROR_REFUSED (-EPERM) where a migration that ran has been changed since, a
 * statement would stall production, or a question is open.
 */

#include "db/gate.h"
#include "db/migration.h"
#include "db/sql.h"

typedef struct Migrator Migrator;

typedef struct MigratorOptions {
        SqlOptions sql;         /* copied */
        uint64_t deadline_usec; /* how long to wait for the server and for locks in all; 0: 5 min */
        const char *deployment; /* the id that the records will name; may be NULL */
} MigratorOptions;

int migrator_new(const MigratorOptions *options, Migrator **ret);
Migrator *migrator_free(Migrator *m);

DEFINE_CLEANUP(Migrator, migrator_free);

typedef enum MigrationState {
        MIGRATION_PENDING,
        MIGRATION_APPLIED,
        MIGRATION_PARTIAL, /* it stopped in the middle; to be resumed */
} MigrationState;

typedef struct PlannedStatement {
        unsigned number;   /* from 1, in its file */
        unsigned line;     /* in its file */
        char *summary;     /* its first words, for people */
        const char *class; /* "data", "schema", "session", ...; static */
        const char *algorithm; /* INSTANT, NOCOPY, INPLACE, COPY as far as known beforehand; NULL: does not apply; static */
        uint64_t rows;    /* about as many as the table holds that it touches, 0 where none */
        bool destructive; /* the release before does not survive it */
} PlannedStatement;

typedef struct PlannedMigration {
        const Migration *migration; /* borrowed from the plan's list */
        MigrationState state;
        PlannedStatement *statements; /* of what is not applied, once migrator_explain() was called */
        size_t n_statements;
} PlannedMigration;

typedef struct MigratorPlan {
        MigrationList *list;
        PlannedMigration *items; /* of the phases asked for, in the order to run them */
        size_t n_items;
        size_t n_pending; /* and partial ones */
        size_t n_applied;
        char **unknown; /* versions that the database has and the folder lacks: a newer release left them */
        SchemaState state;
} MigratorPlan;

MigratorPlan *migrator_plan_free(MigratorPlan *p);

DEFINE_CLEANUP(MigratorPlan, migrator_plan_free);

/* Reads the migrations of a release (@path is its folder of migrations, relative to @dirfd) and says which of @phase
 * are to be run. Changes nothing. */
int migrator_plan(
                Migrator *m, int dirfd, const char *path, MigrationPhase phase, MigratorPlan **ret, Error *e);

/* The newest version that is to be run, NULL where there is none (or repeatable ones alone). Borrowed from the plan. */
const char *migrator_plan_newest(const MigratorPlan *plan);

/* Adds to a plan what is known beforehand about the statements to be run. */
int migrator_explain(Migrator *m, MigratorPlan *plan, Error *e);

/* Who keeps migrations waiting now, for people; NULL: nobody that is known of. @ret is owned by the caller. */
int migrator_lock_holder(Migrator *m, char **ret, Error *e);

typedef struct MigratorProgress {
        const Migration *migration;
        unsigned statement; /* from 1; 0: the migration as a whole */
        unsigned n_statements;
        bool done;           /* it is done; otherwise it begins */
        const char *waiting; /* not NULL: what it waits for, for people */
        uint64_t took_usec;
} MigratorProgress;

typedef void (*MigratorProgressFunction)(const MigratorProgress *progress, void *userdata);

/* Runs what is pending in @plan; calls @progress (may be NULL) as it goes. Returns how many migrations it ran.
 * -ECANCELED leaves the statement in progress to the next run, which settles it. */
int migrator_apply(Migrator *m, const MigratorPlan *plan, MigratorProgressFunction progress, void *userdata,
                Error *e);

/* Answers the question that stopped a migration: whether its statement in doubt took effect. */
int migrator_resolve(Migrator *m, const char *version, bool applied, Error *e);

/* Takes over the history table of golang-migrate, dbmate or Flyway that the database holds: what it lists and the
 * folder has is recorded as applied, in one transaction. Returns the number, and in @ret_tool the tool's name (static). */
int migrator_adopt(Migrator *m, int dirfd, const char *path, const char **ret_tool, Error *e);

/* What stands recorded in the database. Both members are NULL on one that we never saw. */
int migrator_state(Migrator *m, SchemaState *ret, Error *e);

/* What was changed in the schema since our last run, behind our back: one line for each object ("table user: changed"),
 * owned by the caller; NULL where nothing was. */
int migrator_drift(Migrator *m, char ***ret, Error *e);
