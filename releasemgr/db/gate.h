#pragma once

/*
 * The compatibility gate: may this release run on that schema? No I/O.
 *
 * A release states (in signed metadata) two versions of the schema: the newest expand migration that it *needs*, and
 * the newest contract migration that it *knows*. The database keeps the *floor*: the newest contract migration that
 * ran on it. A release may run where the floor is not above what the release knows; what it needs and the database
 * lacks, activating it will run.
 */

#include "base/error.h"

typedef struct SchemaRange {
        const char *needs; /* NULL: no migration at all */
        const char *knows; /* NULL: no contract migration */
} SchemaRange;

typedef struct SchemaState {
        char *level; /* the newest expand migration that ran, NULL: none */
        char *floor; /* the newest contract migration that ran, NULL: none */
} SchemaState;

void schema_state_clear(SchemaState *s);

/* Whether version @a is newer than @b; NULL is before everything. */
bool schema_is_above(const char *a, const char *b);

/* Whether a release of @range may run once the contract migrations up to @floor ran (NULL: none). */
bool schema_survives(const SchemaRange *range, const char *floor);

/* Whether a release of @range may run on a schema in @state, going forward: what it needs may be lacking. */
bool schema_admits(const SchemaRange *range, const SchemaState *state);

/* As schema_admits(), and all that it needs is there: for going back, when nothing is migrated. */
bool schema_admits_now(const SchemaRange *range, const SchemaState *state);

/* Refuses (-EPERM, class ERROR_REFUSED) where the release may not run. @going_back: see above. @nearest (may be NULL)
 * is the version that may, for the hint. */
int schema_gate(const SchemaRange *range, const SchemaState *state, bool going_back, const char *version,
                const char *nearest, Error *e);
