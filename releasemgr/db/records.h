#pragma once

/*
 * releasemgr's own tables in the app's database (schema/NNN.sql): making and reading them; db/backlog.h writes
 * them. @database is its name in back quotes. The functions that take a connection suspend, and return the errors of sql.h.
 */

#include "db/judge.h"
#include "db/migration.h"
#include "db/sql.h"

/* schema/NNN.sql, compiled in; ended by number 0. */
typedef struct OwnSchema {
        unsigned number;
        const char *text;
} OwnSchema;

extern const OwnSchema own_schemas[];

typedef struct MigrationRecord {
        char *version;
        char *digest;
        bool contract;
        bool finished; /* applied or adopted; otherwise it is running, or stopped in the middle */
        bool adopted;
} MigrationRecord;

typedef struct StatementRecord {
        unsigned number;
        char *digest;
        StatementClass class;
        bool done;
        char *looked; /* NULL: it was not looked at */
        char *variables;
} StatementRecord;

/* What the database remembers. */
typedef struct Records {
        unsigned schema;             /* the newest of schema/ that ran */
        unsigned batch;              /* how many runs were finished */
        MigrationRecord *migrations; /* sorted by version, bytewise */
        size_t n_migrations;
} Records;

int records_read(Sql *s, const char *database, Records *ret, Error *e);
void records_clear(Records *r);

#define _cleanup_records_ _cleanup_(records_clear)

/* NULL where there is none. Borrowed. */
const MigrationRecord *records_find(const Records *r, const char *version);

/* The records of one migration's statements, by number; @ret is owned by the caller. */
int records_read_statements(Sql *s, const char *database, const char *version, StatementRecord **ret,
                size_t *ret_n, Error *e);
StatementRecord *statement_records_free(StatementRecord *r, size_t n);

/* Makes our tables, or brings them up to date. The lock must be held. @schema is what records_read() found. */
int records_prepare(Sql *s, const char *database, unsigned schema, Error *e);
