#pragma once

/*
 * The engine runs the steps of one deployment, and alone decides the direction.
 *
 * A step says whether it happened. Before COMMIT, a failure (or a cancel) undoes in reverse order whatever began. After
 * COMMIT, steps are only repeated until they hold. What fails on the way back or behind COMMIT is tried a few times. The steps are handed in, so that the tests give the engine steps that
 * fail, hang, lie and die. Everything here suspends.
 */

#include "deploy/journal.h"

/* What the steps work on; the engine only hands it through. */
typedef struct Deploy Deploy;

typedef struct StepType {
        const char *name;

        /* Does it. 0, or a negative errno with @e set. -EIO, -ETIMEDOUT and -EREMOTEIO say that what it brings does not
         * work, -ECANCELED that the deployment was asked to stop; any other, that it could not be tried. */
        int (*start)(Deploy *d, Error *e);

        /* Takes it back; idempotent: also right where the step happened only in part, or not at all. 0; or
         * ENGINE_UNHEALTHY where everything is as it was but does not work; or a negative errno where it could not
         * be taken back, and must be tried again. NULL only behind COMMIT. */
        int (*undo)(Deploy *d, Error *e);

        /* After a crash in the middle: 1 it happened, 0 it did not, -EUCLEAN in part. NULL: nobody can tell, which is
         * treated as in part. */
        int (*inspect)(Deploy *d, Error *e);
} StepType;

#define ENGINE_UNHEALTHY 1

typedef struct StepTable {
        const StepType *const *before; /* COMMIT; ended by NULL, at least one */
        const StepType *const *after;  /* COMMIT; ended by NULL; may be empty */
} StepTable;

typedef enum EngineMoment {
        MOMENT_START,
        MOMENT_DONE,
        MOMENT_FAILED,
        MOMENT_COMMIT,
        MOMENT_ABORT, /* @step is the one that failed; what follows goes backwards */
        MOMENT_UNDO,
        MOMENT_UNDONE,
        MOMENT_UNDO_FAILED,
} EngineMoment;

typedef struct EngineOutcome EngineOutcome;

/* Who watches. @number counts from 1 to @of over all steps. @error is set at FAILED, ABORT and UNDO_FAILED. */
typedef struct EngineObserver {
        void (*on_moment)(EngineMoment moment, const StepType *step, unsigned number, unsigned of,
                        const Error *error, void *userdata);
        void *userdata;

        /* What came of it, before the journal is closed: what is written down here is not lost in a crash, but may be
         * written down once more. A negative return leaves the journal open, for recover. May be NULL. */
        int (*on_outcome)(const EngineOutcome *outcome, void *userdata);
} EngineObserver;

typedef enum EngineResult {
        ENGINE_COMMITTED,  /* every step holds */
        ENGINE_UNFINISHED, /* committed, but a step behind COMMIT does not hold yet: recover goes on with it */
        ENGINE_TAKEN_BACK,  /* everything that began was undone, and works */
        ENGINE_BACK_BROKEN, /* everything that began was undone, and does not work */
        ENGINE_STUCK, /* something could not be undone, or nobody knows whether COMMIT is on disk: all is left as it
                             * is, and recover tries again */
} EngineResult;

struct EngineOutcome {
        EngineResult result;
        const StepType *failed; /* the step that failed or was under way, NULL where none was */
        int number;             /* the negative errno it ended with */
        bool at_fault;          /* it found that what it brings does not work */
        Error cause;            /* why; owned */
        Error fault;            /* what went wrong on the way back, or behind COMMIT; owned */
};

void engine_outcome_clear(EngineOutcome *o);

/* Runs a deployment whose journal was just created (journal_create with the first step's name). Returns 0 with the
 * outcome set, whatever came of the steps. */
int engine_run(const StepTable *table, Journal *j, Deploy *d, const EngineObserver *observer,
                EngineOutcome *ret);

/* Finishes, in the direction that the journal demands, what a crash left. As engine_run(). */
int engine_recover(const StepTable *table, Journal *j, Deploy *d, const EngineObserver *observer,
                EngineOutcome *ret);
