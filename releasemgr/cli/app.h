#pragma once

/* One app, opened: the handles that deploy/ works with, made from the configuration. */

#include "cli/database.h"
#include "cli/session.h"
#include "deploy/deploy.h"
#include "deploy/ledger.h"

typedef enum AppNeeds {
        APP_STORE = 1 << 0,    /* directories and what is in them; always */
        APP_SERVICE = 1 << 1,  /* systemd, and what the configuration says of the service */
        APP_NETWORK = 1 << 2,  /* the repository */
        APP_DATABASE = 1 << 3, /* its settings and password, where one is configured */
        APP_PROBES = 1 << 4,   /* what it takes to ask the service whether it is well */
        APP_TOLERANT = 1 << 5, /* what is wrong in the configuration is a warning */
} AppNeeds;

typedef struct App {
        const Config *config; /* borrowed from the session */
        DeployOptions deploy;

        /* what the options borrow */
        char *root_file;
        char *user;
        Database database;
        ProbeSpec *probes;
        char **texts; /* what stands nowhere in the configuration */
        Progress *progress;
} App;

/* Opens what @needs says. The directories of state are made where they are missing. */
int app_open(Session *s, const Arguments *a, AppNeeds needs, App *ret, Error *e);

void app_close(App *app);

/* What the app's own memory says, for verbs that show it: what is damaged there is told as a warning, with what to do, and
 * shown as if it were not there. The version that current names (NULL: none) and the others are owned by the caller. */
int app_read_current(const App *app, char **ret, Error *e);
int app_read_history(const App *app, size_t max, json_t **ret, Error *e); /* see history_tail() */
int app_read_ledger(const App *app, Ledger **ret, Error *e);

#define _cleanup_app_ _cleanup_(app_close)
