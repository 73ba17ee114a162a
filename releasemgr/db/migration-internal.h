#pragma once

/* What the files of db/migration share. */

#include "db/migration.h"

/* Reads a file's name: 1 where it is a migration to run, 0 where it is rightly left alone, -ENOENT where it looks like a
 * migration and fits no convention, -EINVAL with the Error set where it is of a kind that is not run here. */
int migration_read_name(Migration *m, const char *file, Error *e);

/* Reads a folder's name as diesel has it: -ENOENT where it is none. */
int migration_read_folder_name(Migration *m, const char *folder);

/* Keeps what lies between "-- migrate:up" and "-- migrate:down" where the text has these. Refuses what other tools cut. */
int migration_cut(Migration *m, Error *e);
