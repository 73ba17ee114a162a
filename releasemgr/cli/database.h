#pragma once

/* The settings of the app's database, made from the configuration. */

#include <systemd/sd-event.h>

#include "cli/config.h"
#include "db/migrator.h"
#include "fetch/rds.h"

typedef struct Database {
        MigratorOptions options; /* borrows from the configuration and from what follows */
        char *password;
        Http *http; /* Auth=iam: whom it asks for a key, and what it signs with */
        RdsSigner *signer;
} Database;

/* 1 with the settings and the password read; 0 where the app has no database. Where the password cannot be read, an error
 * with all the other settings. */
int database_settings(sd_event *event, const Config *c, Database *ret, Error *e);

/* Erases the password. */
void database_clear(Database *d);
