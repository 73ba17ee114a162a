#include <errno.h>
#include <string.h>

#include <mysqld_error.h>

#include "db/records.h"
#include "db/script.h"

static int compare_records(const void *a, const void *b) {
        return strcmp(((const MigrationRecord *) a)->version, ((const MigrationRecord *) b)->version);
}

const MigrationRecord *records_find(const Records *r, const char *version) {
        MigrationRecord key = {.version = (char *) version};

        if (r->n_migrations == 0)
                return NULL;
        return bsearch(&key, r->migrations, r->n_migrations, sizeof(key), compare_records);
}

void records_clear(Records *r) {
        for (size_t i = 0; i < r->n_migrations; i++) {
                free(r->migrations[i].version);
                free(r->migrations[i].digest);
        }
        free(r->migrations);
        *r = (Records){0};
}

static void read_fact(Records *r, const char *name, const char *value) {
        if (streq(name, "schema"))
                r->schema = strtoul(value, NULL, 10);
        else if (streq(name, "batch"))
                r->batch = strtoul(value, NULL, 10);
}

static int read_migration(Records *r, const SqlResult *rows, size_t i) {
        MigrationRecord *m = r->migrations + r->n_migrations++;
        const char *state = sql_result_get(rows, i, 3);

        m->version = strdup(sql_result_get(rows, i, 0));
        m->digest = strdup(sql_result_get(rows, i, 1));
        m->contract = streq(sql_result_get(rows, i, 2), "contract");
        m->adopted = streq(state, "adopted");
        m->finished = m->adopted || streq(state, "applied");
        return m->version && m->digest ? 0 : -ENOMEM;
}

static int read_rows(Records *r, const SqlResult *rows) {
        int k = 0;

        r->migrations = calloc(sql_result_rows(rows) + 1, sizeof(*r->migrations));
        if (!r->migrations)
                return -ENOMEM;
        for (size_t i = 0; k >= 0 && i < sql_result_rows(rows); i++)
                if (sql_result_get(rows, i, 2))
                        k = read_migration(r, rows, i);
                else
                        read_fact(r, sql_result_get(rows, i, 0), sql_result_get(rows, i, 1));
        if (k >= 0)
                qsort(r->migrations, r->n_migrations, sizeof(*r->migrations), compare_records);
        return k;
}

/* All of it in one question. The facts are the last table of 001.sql: where they are, all are. */
int records_read(Sql *s, const char *database, Records *ret, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        _cleanup_records_ Records r = {0};
        int k;

        k = sql_select(s, &rows, e,
                        "SELECT version, digest, phase, state FROM %s.releasemgr_migration UNION ALL "
                        "SELECT name, value, NULL, NULL FROM %s.releasemgr_fact",
                        database, database);
        if (k == -EREMOTEIO && sql_errno(s) == ER_NO_SUCH_TABLE) {
                if (e)
                        error_clear(e); /* that a table is missing is no error */
        } else {
                if (k >= 0)
                        k = read_rows(&r, rows);
                if (k < 0)
                        return k;
        }
        *ret = TAKE(r);
        return 0;
}

StatementRecord *statement_records_free(StatementRecord *r, size_t n) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                free(r[i].digest);
                free(r[i].looked);
                free(r[i].variables);
        }
        free(r);
        return NULL;
}

static StatementClass class_from_name(const char *name) {
        for (StatementClass c = 0; c < _CLASS_MAX; c++)
                if (streq(name, statement_class_name(c)))
                        return c;
        return CLASS_OPAQUE;
}

static int copy_or_null(const char *from, char **ret) {
        *ret = from ? strdup(from) : NULL;
        return from && !*ret ? -ENOMEM : 0;
}

static int statement_record_fill(StatementRecord *r, const SqlResult *rows, size_t i) {
        r->number = sql_result_u64(rows, i, 0);
        r->class = class_from_name(sql_result_get(rows, i, 2));
        r->done = streq(sql_result_get(rows, i, 3), "done");
        return copy_or_null(sql_result_get(rows, i, 1), &r->digest) |
               copy_or_null(sql_result_get(rows, i, 4), &r->looked) |
               copy_or_null(sql_result_get(rows, i, 5), &r->variables);
}

int records_read_statements(Sql *s, const char *database, const char *version, StatementRecord **ret,
                size_t *ret_n, Error *e) {
        _cleanup_free_ char *quoted = sql_quote(version, strlen(version));
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        StatementRecord *records;
        int r;

        if (!quoted)
                return -ENOMEM;
        r = sql_select(s, &rows, e,
                        "SELECT number, digest, class, state, looked, variables FROM %s.releasemgr_statement "
                        "WHERE version = %s ORDER BY number",
                        database, quoted);
        if (r < 0)
                return r;
        records = calloc(sql_result_rows(rows) + 1, sizeof(*records));
        if (!records)
                return -ENOMEM;
        for (size_t i = 0; i < sql_result_rows(rows); i++)
                if (statement_record_fill(records + i, rows, i) != 0) {
                        statement_records_free(records, i + 1);
                        return -ENOMEM;
                }
        *ret = records;
        *ret_n = sql_result_rows(rows);
        return 0;
}

/* One file of schema/. A crash in its middle leaves tables that the next try finds: so what exists already is passed
 * over. */
static int run_own_schema(Sql *s, const OwnSchema *own, Error *e) {
        Script script = script_init("releasemgr's own schema", own->text, strlen(own->text), 1, (SqlMode){0});
        int r;

        for (;;) {
                _cleanup_statement_ Statement statement = {0};

                r = script_next(&script, &statement, e);
                if (r <= 0)
                        return r;
                r = sql_query(s, statement.text, statement.size, USEC_INFINITY, NULL, e);
                if (r == -EREMOTEIO &&
                                (sql_errno(s) == ER_TABLE_EXISTS_ERROR || sql_errno(s) == ER_DUP_FIELDNAME ||
                                                sql_errno(s) == ER_DUP_KEYNAME))
                        r = 0;
                if (r == -EREMOTEIO && sql_is_blocked(s))
                        r = -EAGAIN;
                if (r < 0)
                        return error_prefix(e, r, "cannot make releasemgr's own tables: ");
        }
}

int records_prepare(Sql *s, const char *database, unsigned schema, Error *e) {
        for (const OwnSchema *own = own_schemas; own->number > 0; own++) {
                int r;

                if (own->number <= schema)
                        continue;
                r = run_own_schema(s, own, e);
                if (r >= 0)
                        r = sql_exec(s, e,
                                        "REPLACE INTO %s.releasemgr_fact (name, value) VALUES ('schema', "
                                        "'%u')",
                                        database, own->number);
                if (r < 0)
                        return r;
        }
        if (e)
                error_clear(e);
        return 0;
}
