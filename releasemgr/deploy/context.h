#pragma once

/* One deployment under way: what its steps share. Internal to deploy/. */

#include "base/id.h"
#include "deploy/deploy.h"
#include "deploy/engine.h"
#include "deploy/ledger.h"
#include "deploy/lock.h"
#include "deploy/offer.h"

typedef struct Inquiry Inquiry;

struct Deploy {
        const DeployOptions *o;
        char id[ID_TEXT_MAX];
        PlanGoal goal;
        char *target;
        char *from;          /* NULL: the host had no release */
        bool verify;         /* the sealed target, first */
        bool boot;           /* recovery before systemd starts the service: it is left to systemd */
        bool recovering;     /* the process that began it died */
        uint64_t begun_usec; /* clock_now() */
        uint64_t here_usec;  /* clock_monotonic() when this process came to it */

        Lock *lock;           /* borrowed; told of each stage */
        DeployReport *report; /* what came of it goes here; borrowed */
        Ledger *ledger;
        OfferedBundle *bundle; /* of the target; NULL where it was not looked up */
        SchemaState schema;    /* what the database says of itself, or last said */
        bool schema_known;
        Inquiry *inquiry;  /* whether the target may run on it; NULL: nobody asked */
        char *contracts;   /* the newest contract migration of @from that is to run first; NULL: none */
        char **lost;       /* the releases here that do not survive it */
        char *tree_digest; /* of the target, in hex; NULL where it is not known */

        UnitState started;      /* right after the restart */
        HealthReport health;    /* of the target */
        HealthReport back;      /* of the release that was gone back to */
        UnitState back_started; /* right after that was started; zero: it was not */
        bool back_broken;       /* it is not healthy either */
        bool touched;           /* the old process was asked to stop, or to reload */
        uint64_t down_usec;     /* clock_monotonic() since when clients are affected; 0: they are not */
        uint64_t outage_usec;   /* for how long they were, up to then */
        json_t *undone;         /* what was taken back, in words; owned; may be NULL */
        bool quarantined;       /* the target failed for a reason of its own, and is remembered for it */
        json_t *hooks;          /* what became of those that ran; owned; may be NULL */
        char *reason;           /* why it went backwards; NULL: it did not; owned */
        uint64_t abort_usec;    /* clock_monotonic() when it went backwards; 0: it did not */
        uint64_t back_usec;     /* ... when the release before was asked for again */
};

/* @id: NULL for a new one. */
void deploy_init(Deploy *d, const DeployOptions *o, PlanGoal goal, const char *id);
void deploy_clear(Deploy *d);

/* Remembers for the report what was taken back. */
_printf_(2, 3) void deploy_undid(Deploy *d, const char *format, ...);

/* The names of its steps, as an array owned by the caller; NULL when memory ran out. */
json_t *plan_describe(const Plan *plan);

/* The folder of migrations in a release. */
#define DEPLOY_MIGRATIONS "migrations"

/* The steps by PlanStep. */
extern const StepType *const deploy_steps[_STEP_MAX];

extern const StepType step_after_failure;
extern const StepType step_fetch;
extern const StepType step_contract;
extern const StepType step_migrate;
extern const StepType step_anchor;
extern const StepType step_before_switch;
extern const StepType step_switch;
extern const StepType step_restart;
extern const StepType step_reload;
extern const StepType step_beside;
extern const StepType step_prove;
extern const StepType step_drain;
extern const StepType step_after_switch;
extern const StepType step_soak;
extern const StepType step_finish;
extern const StepType step_after_success;
