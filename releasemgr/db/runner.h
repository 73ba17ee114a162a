#pragma once

/*
 * Running one migration, statement by statement, exactly once
 *
 * Each statement has a record in releasemgr_statement. What the record promises depends on the statement's class:
 *
 *   data          The record is written in the statement's transaction: both are there, or neither is. Some statements
 *                 may share one, for a few milliseconds: each commit costs, and holds up who waits for it.
 *   schema        A record "started", with the look of the objects, is committed before the statement, which commits by
 *                 itself; "done" follows. A record that stays "started" is settled by looking: the lock is ours, so
 *                 nobody executes the statement any longer, and MariaDB's DDL is atomic. Objects that look as before
 *                 mean that it did not happen; otherwise it did. Tables that do not exist yet can be announced several
 *                 at a time, with nothing but data in between: each is settled by itself. Where the server can, one
 *                 question commits the record, runs the statement if that went well, and asks for the look that the
 *                 next statement will need.
 *   session       SET, USE, temporary tables: repeated in each new session, up to the statement to go on with. User
 *                 variables are restored to the values that were recorded.
 *   transaction   The file's own transaction: its records are written inside, and go as it goes.
 *   repeatable    Run again where in doubt.
 *   opaque        CALL and others that nobody can judge afterwards: a record that stays "started" is a question for a
 *                 person, unless the statement is marked idempotent.
 *
 * Invariants:
 *  1. Nothing is committed unless the lock was seen to be ours since the last statement that could have lost it without
 *     losing the connection, too: that is any but making a table, and a statement of data commits only together with
 *     a look at the lock.
 *  2. "done" of a statement that commits by itself may be written late, together with the next record, never after
 *     the next statement has taken effect for good; but for tables that were announced, as long as nothing but data is
 *     changed, and for the last statement of a migration, whose own record tells: these are written when all is
 *     over. That a migration ended may be written late where it was announced, with the next record that is not of data.
 *  3. A statement that the server refused left nothing behind, and has no record; so it may be edited. What has a record
 *     may not.
 */

#include "db/backlog.h"
#include "db/guard.h"
#include "db/migrator.h"
#include "db/records.h"
#include "trust/digest.h"

/* What the runs of one session share. */
typedef struct RunnerState {
        Backlog backlog;     /* flush it with runner_flush() */
        bool open;           /* autocommit is off, by us: statements of data wait for their records */
        bool transacted;     /* ... and have changed something */
        unsigned n_data;     /* ... so many */
        unsigned n_blocks;   /* that were sent with a statement */
        uint64_t since_usec; /* ... since then (clock_monotonic()) */
        bool singly;         /* each is committed by itself: together they were rolled back once */
        bool oracle;         /* the file has set that sql_mode */
        char **announced;    /* statements: see announcement_key() */
        Backlog ended;       /* rows of migrations that were announced and have ended */
        uint64_t ended_usec; /* ... the first of them then (clock_monotonic()) */
        char **safe;         /* names of tables that know transactions */

        /* How a table looked a moment ago. */
        char *look_of; /* its name; NULL: nothing is known */
        char look[DIGEST_TEXT_MAX];
        uint64_t look_usec; /* clock_monotonic() */
} RunnerState;

void runner_state_clear(RunnerState *s);

typedef struct RunnerOptions {
        Guard *guard; /* locked */
        RunnerState *state;
        bool fresh; /* no run was ever finished here: there is no release before that could suffer */
        const Migration *const *ahead; /* what runs afterwards and has no records yet */
        size_t n_ahead;
        uint64_t patience_usec; /* how long a statement may be retried that cannot get its locks */
        MigratorProgressFunction progress;
        void *userdata;
} RunnerOptions;

/* Runs what is left of @m. @known: it has records already. @ret_dirty: the session is not as new. Suspends. -ECONNRESET and
 * -EAGAIN (the server rolled back more than the last statement, or a look or record of ours waits for a lock): to be begun
 * again at what is recorded, in a new session. */
int runner_run(const RunnerOptions *options, const Migration *m, bool known, bool *ret_dirty, Error *e);

/* Writes the records that are late, and commits what waits for them. Suspends. */
int runner_flush(const RunnerOptions *options, Error *e);

/* Writes "done" of the statements that need none while they run. Suspends. */
int runner_tidy(const RunnerOptions *options, Error *e);

/* After a failure: writes what was done before it, and takes back what was announced and did not come about. */
void runner_settle(const RunnerOptions *options);
