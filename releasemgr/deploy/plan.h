#pragma once

/* What a deployment will do, decided from facts alone: no I/O. */

#include "base/error.h"
#include "db/gate.h"
#include "store/hooks.h"

typedef enum PlanGoal {
        GOAL_ACTIVATE, /* a person named a version, or "latest" */
        GOAL_PULL,     /* the timer follows the channel */
        GOAL_ROLLBACK, /* a person goes back */
} PlanGoal;

/* The verb's name, and back: -EINVAL. */
const char *plan_goal_name(PlanGoal g);
int plan_goal_from_name(const char *name, PlanGoal *ret);

/* How the running service comes to the new release. */
typedef enum Strategy {
        STRATEGY_RESTART,  /* stop, start */
        STRATEGY_RELOAD,   /* the process stays, and reads the new release by itself */
        STRATEGY_HANDOVER, /* the new one beside the old one, on the same sockets; then the old one drains */
} Strategy;

/* "restart", "reload", "handover". -EINVAL. */
int strategy_from_name(const char *name, Strategy *ret);

/* A release that stands on this host, and what it says of the database. */
typedef struct PlanRelease {
        const char *version;
        SchemaRange range;
} PlanRelease;

/* Everything that the decision rests on. Texts are borrowed; NULL: there is none. */
typedef struct PlanFacts {
        PlanGoal goal;
        const char *target;  /* the version to bring about */
        const char *current; /* what `current` names */

        bool serving; /* the service runs, from `current` */
        bool sealed;  /* the target stands sealed on this host */

        const char *quarantine; /* why the target's bundle is in quarantine here */
        const char *yanked;     /* why the publisher took it back */
        const char *hold;       /* why the timer must leave the app alone */
        const char *hold_by;

        bool has_database;
        bool contract;         /* contract migrations may run at an activation */
        bool proven;           /* the current release proved itself here */
        const char *contracts; /* the newest contract migration of the current release that did not run; NULL: none */
        SchemaRange range;         /* of the target */
        const SchemaState *schema; /* what the database says of itself, or last said; NULL: nobody knows */
        const PlanRelease *here;   /* the releases on this host, for advice */
        size_t n_here;

        Strategy strategy;
        unsigned hooks; /* that there are, as a set */
        bool soak;      /* the release is watched before COMMIT */

        /* Only where the target must be fetched. Bytes and inodes; what prune would free is counted by the caller. */
        uint64_t need_bytes, have_bytes;
        uint64_t need_inodes, have_inodes;
} PlanFacts;

typedef enum PlanStep {
        STEP_AFTER_FAILURE, /* the hook that runs when all else is undone: first, so that it is undone last */
        STEP_FETCH,         /* download, verify, unpack, seal */
        STEP_CONTRACT,      /* contract migrations of the current release */
        STEP_MIGRATE,       /* expand migrations of the target */
        STEP_ANCHOR,        /* remember what runs, so that there is a way back */
        STEP_BEFORE_SWITCH, /* a hook */
        STEP_SWITCH,        /* `current` */
        STEP_RESTART,
        STEP_RELOAD,
        STEP_BESIDE,        /* start the new instance beside the old one */
        STEP_PROVE,         /* process and health */
        STEP_DRAIN,         /* stop the old instance */
        STEP_AFTER_SWITCH,  /* a hook */
        STEP_SOAK,          /* watch it for a while */
        STEP_FINISH,        /* behind COMMIT, as is what follows: ledger, retention */
        STEP_AFTER_SUCCESS, /* a hook */
        _STEP_MAX,
} PlanStep;

/* Static; as journal and progress call the step. */
const char *plan_step_name(PlanStep s);

typedef struct Plan {
        bool nothing; /* the host is there already */
        PlanStep steps[_STEP_MAX];
        size_t n;
} Plan;

/* Whether @s is one of its steps. */
bool plan_has(const Plan *p, PlanStep s);

/* Whether the current release's contract migrations may run now, where it has any: it proved itself and serves, and a
 * newer one is about to come. */
bool plan_may_contract(const PlanFacts *facts);

/* Whether plan_make() refuses what pull shall leave alone without ado: somebody holds the app, the release failed here
 * before, or its publisher took it back. Nothing is wrong with this host then. */
bool plan_leaves_alone(const PlanFacts *facts);

/* 0 with the plan, or -EPERM with class ERROR_REFUSED, the sentence and what to do. */
int plan_make(const PlanFacts *facts, Plan *ret, Error *e);
