#pragma once

/*
 * Deployments: what `activate`, `rollback`, `pull` and `recover` do to a host
 *
 * A deployment takes the lock, finishes what a crash left, gathers the facts, makes the plan, and has the engine run it
 * step by step. What came of it is a report; the history, the ledger and the journal are written before it is handed
 * out. Everything here suspends.
 */

#include "base/json.h"
#include "db/migrator.h"
#include "deploy/plan.h"
#include "deploy/progress.h"
#include "fetch/source.h"
#include "host/process.h"
#include "observe/health.h"
#include "store/hooks.h"
#include "store/store.h"

/* What the operator runs around a switch; all borrowed. */
typedef struct HookSettings {
        char *const *argv[_HOOK_MAX]; /* NULL: none */
        const char *user;             /* NULL: the user of the service */
        uint64_t timeout_usec;        /* of each */
} HookSettings;

/* The handles and settings of one app; all borrowed for the time of a call. */
typedef struct DeployOptions {
        const char *app;
        int state_fd; /* /var/lib/releasemgr/APP */
        int run_fd;   /* /run/releasemgr/APP */
        Store *store;
        Bus *bus;
        Http *http; /* for probes */

        Source *source; /* the repository; NULL for verbs that ask nobody */
        const char *channel;
        int trust_fd;          /* /var/lib/releasemgr/APP/trust */
        const char *root_file; /* the first trusted root, installed by the operator */

        const char *unit; /* with a handover a template, "app@.service" */
        Strategy strategy;
        uint64_t start_timeout_usec;
        uint64_t drain_usec; /* for the old instance of a handover to finish what it does */
        uint64_t soak_usec; /* for which a healthy release is watched, and may still be taken back; 0: not at all */
        ProveProcess prove;
        const ProbeSpec *probes; /* "%v" in addresses and commands stands for the version that is asked */
        size_t n_probes;
        uint64_t health_timeout_usec;
        uint64_t revert_usec; /* for the release before to be started and healthy again */

        HookSettings hooks;

        const MigratorOptions *migrator; /* NULL: the app has no database */
        bool contract; /* the contract migrations of the proven release run before the next one comes */
        unsigned keep;
        char *const *shared;

        const char *by;     /* who asks */
        uint64_t wait_usec; /* for the lock */
        Progress *progress; /* may be NULL */
} DeployOptions;

typedef struct DeployRequest {
        PlanGoal goal;
        const char *version; /* NULL: latest, or for a rollback the last proven one */
        const char *id;      /* the deployment's, NULL: a new one */
        bool verify;         /* the target's files against its manifest, before anything moves */
} DeployRequest;

/* The stage in which a release is healthy and serves, and is watched: what the lock's holder and the progress call it, the
 * former with the time that is left behind it. A rollback may cut it short. */
#define DEPLOY_SOAK_STAGE "soak"

/* What came of it. */
typedef struct DeployReport {
        ErrorClass class; /* the exit code; ERROR_NONE: done */
        json_t *entry;    /* the line of the history; NULL where there was nothing to do; owned */
} DeployReport;

void deploy_report_clear(DeployReport *r);

/* 0 with the report, whatever came of the deployment once it had begun; a negative errno where it did not begin. */
int deploy_run(const DeployOptions *o, const DeployRequest *request, DeployReport *ret, Error *e);

/* Finishes or takes back what a crash left; nothing to do is no error. @boot: systemd has not started the service yet
 * and will do so by itself. */
int deploy_recover(const DeployOptions *o, bool boot, DeployReport *ret, Error *e);

/* The unit that runs @version: the app's own, or with a handover the instance of that release. @version NULL: of the one
 * that `current` names; -ENOENT where it names none. */
int deploy_unit(const DeployOptions *o, const char *version, char ret[static UNIT_NAME_MAX], Error *e);

/* Starts the unit that runs the release which `current` names: what the plain unit beside a template does at boot and
 * when the app's socket is touched. 1, 0 where no release is active yet, or a negative errno. Suspends. */
int deploy_start(const DeployOptions *o, Error *e);

/* Whether the unit's main process runs from @version's directory. 1, 0 (also where @version is NULL), or a negative
 * errno where systemd cannot be asked. */
int deploy_is_serving(const DeployOptions *o, const char *version, Error *e);

/* Removes the releases that retention lets go. Takes the lock. Returns how many went. */
int deploy_prune(const DeployOptions *o, Error *e);

/* Brings the target of @request here, as a deployment would begin, and nothing more. Takes the lock. */
int deploy_fetch(const DeployOptions *o, const DeployRequest *request, Error *e);

/* Makes the plan of a deployment and changes nothing; @ret_plan is {"version", "from", "nothing", "steps": [name], "fetch":
 * {"how": "copy", "patch", "chain" or "bundle", "from", "through": between the patches of a chain, "bytes"}, "contract":
 * {"to": the version, "lost": [the releases here that do not survive it], "statements"}, "statements": of a sealed release,
 * what migrating would run, see deploy/schema.h}. Owned by the caller. */
int deploy_plan(const DeployOptions *o, const DeployRequest *request, json_t **ret_plan, Error *e);
