#pragma once

/* What a deployment knows of the database's schema: what the database says, or else what it last said here. Internal to
 * deploy/. */

#include "deploy/context.h"
#include "store/release.h"

/* What a release says of the database, as it is signed; borrowed from @json, which may be NULL. */
SchemaRange schema_range(const json_t *json);

/* Sets d->schema and, with @contract, d->contracts. A rollback does not wait: where the database does not answer at once, what it last said counts, and
 * where it never said anything, nothing does. Everything else waits until the migrator's deadline, and fails. Suspends. */
int schema_ask(Deploy *d, bool contract, Error *e);

/* Writes down what the database says now, for a rollback that cannot ask it. Suspends. */
void schema_remember(Deploy *d, Migrator *m);

/* Writes down that d->contracts is about to run: from the first statement on there may be no way back behind it. */
int schema_expect_contract(Deploy *d, Error *e);

/* The statements that migrating with the sealed release @version would run, as [{"path", "line", "text", "class",
 * "algorithm", "rows", "destructive"}]. Owned by the caller. Suspends. */
int schema_describe_pending(Deploy *d, const char *version, MigrationPhase phase, json_t **ret, Error *e);

typedef struct SchemaHere {
        ReleaseInfo **infos;
        PlanRelease *releases; /* borrows from infos */
        size_t n;
} SchemaHere;

/* The sealed releases with what they say. A store that cannot be read has none: this is for advice. */
int schema_find_here(Store *store, SchemaHere *ret);
void schema_here_clear(SchemaHere *h);

/* Of those, the ones that may run now and do not survive the contract migrations up to @floor. Owned by the caller;
 * NULL: none. */
int schema_find_lost(const SchemaHere *h, const SchemaState *now, const char *floor, char ***ret);
