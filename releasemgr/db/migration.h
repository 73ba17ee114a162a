#pragma once

/*
 * Finding migrations
 *
 * A folder of migrations holds files as other tools name them, read as they are:
 *
 *   golang-migrate  12_add_user.up.sql, 12_add_user.sql (and 12_add_user.down.sql, which is left alone)
 *   Flyway          V1_2__add_user.sql, V1.2__add_user.sql; R__view.sql is repeatable: run again when it changed; in
 *                   folders below as well (U1_2__ undo files are left alone, and callbacks of commands that there are
 *                   none of here; other callbacks and baselines, B1_2__, are refused)
 *   dbmate          20260102030405_add_user.sql with "-- migrate:up" and "-- migrate:down" inside
 *   diesel          2026-01-02-030405_add_user/up.sql (and down.sql, which is left alone)
 *
 * They stand in `expand/` (or in the folder itself) where the release before survives them, and in `contract/` where it
 * does not. Versions are ordered numerically by part, so V1_2_2 comes before V1_2_10; repeatable migrations come last,
 * by name. A name that looks like a migration and fits none of these is an error, never passed over.
 */

#include "base/error.h"

typedef enum MigrationPhase {
        MIGRATION_EXPAND,
        MIGRATION_CONTRACT,
} MigrationPhase;

typedef enum MigrationStyle {
        MIGRATION_GOLANG,
        MIGRATION_FLYWAY,
        MIGRATION_DBMATE,
        MIGRATION_DIESEL,
} MigrationStyle;

typedef struct Migration {
        MigrationPhase phase;
        MigrationStyle style;
        bool repeatable;
        char *version; /* "1.2", without leading zeros; "R:name" for a repeatable one: what the records
                      * call it; version_compare() orders them */
        char *name;    /* "add_user" */
        char *path;    /* below the folder of migrations */
        char *text;    /* what is run: the whole file, or its "migrate:up" part */
        size_t size;
        unsigned first_line; /* of the file, that @text begins with */
        char digest[65];     /* SHA-256 of @text, hex */
} Migration;

typedef struct MigrationList {
        Migration **items; /* in the order to run them, expand before contract */
        size_t n;
} MigrationList;

#define MIGRATION_SIZE_MAX (64 * MIB)

/* Reads a folder of migrations. One that does not exist holds none. Errors name the file. */
int migration_list_read(int dirfd, const char *path, MigrationList **ret, Error *e);
MigrationList *migration_list_free(MigrationList *l);

DEFINE_CLEANUP(MigrationList, migration_list_free);

/* The newest version of a phase, NULL where it has none. Borrowed. */
const char *migration_list_newest(const MigrationList *l, MigrationPhase phase);

/* A version as another tool writes it ("0001", "1_2"), the way our records call it; owned by the caller, NULL when memory
 * ran out. "R:name" stays as it is. */
char *migration_normal_version(const char *version);

/* What a publisher should know: splits all files, so that a malformed one fails here (-EINVAL) and not on the host, and
 * lists each statement outside of contract/ that takes something away and is not marked "destructive": such a one is
 * refused where a release before is in use. One line each, "1_a.sql:3: DROP TABLE ..."; owned by the caller; NULL: none. */
int migration_list_review(const MigrationList *l, char ***ret, Error *e);
