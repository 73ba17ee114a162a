/* Taking over from golang-migrate, dbmate and Flyway: their tables of history are read, never written. */

#include <errno.h>
#include <string.h>

#include <mysqld_error.h>

#include "base/text.h"
#include "base/version.h"
#include "db/fingerprint.h"
#include "db/migrator-internal.h"

typedef struct Tool {
        const char *name;
        const char *table;
        const char *question; /* answers with the versions that ran; %s: the database */
        const char *up_to;    /* answers with versions up to which all ran, whether they are named or not */
        const char *unclean;  /* answers with versions that stopped in the middle */
} Tool;

static const Tool tools[] = {
                {"Flyway", "flyway_schema_history",
                                "SELECT IFNULL(h.version, CONCAT('R:', REPLACE(h.description, ' ', '_'))) "
                                "FROM "
                                "%s.flyway_schema_history h WHERE h.success AND h.type = 'SQL' AND NOT "
                                "EXISTS (SELECT 1 "
                                "FROM %s.flyway_schema_history u WHERE u.success AND u.installed_rank > "
                                "h.installed_rank "
                                "AND u.type IN ('UNDO_SQL', 'DELETE') AND u.version <=> h.version AND "
                                "(u.version IS NOT "
                                "NULL OR u.description = h.description))",
                                "SELECT version FROM %s.flyway_schema_history WHERE success AND type IN "
                                "('BASELINE', "
                                "'SQL_BASELINE')",
                                "SELECT IFNULL(version, description) FROM %s.flyway_schema_history WHERE NOT "
                                "success"},
                {"golang-migrate", "schema_migrations",
                                "SELECT version FROM %s.schema_migrations WHERE NOT dirty",
                                "SELECT version FROM %s.schema_migrations WHERE NOT dirty",
                                "SELECT version FROM %s.schema_migrations WHERE dirty"},
                {"dbmate", "schema_migrations", "SELECT version FROM %s.schema_migrations", NULL, NULL},
};

typedef struct Adopting {
        const MigrationList *list;
        const char *tool; /* result */
        int n;            /* result */
} Adopting;

/* Asks a tool's table: 0 where it is not there or is another tool's. */
static int ask(Migrator *m, const char *question, SqlResult **ret, Error *e) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r = 0;

        for (const char *hole; r >= 0 && (hole = strstr(question, "%s")); question = hole + 2) {
                r = text_add(&t, question, hole - question);
                if (r >= 0)
                        r = text_adds(&t, m->guard.database);
        }
        if (r >= 0)
                r = text_adds(&t, question);
        if (r < 0)
                return r;
        r = sql_query(m->guard.sql, t.data, t.size, 60 * USEC_PER_SEC, ret, e);
        if (r == -EREMOTEIO && (sql_errno(m->guard.sql) == ER_NO_SUCH_TABLE ||
                                               sql_errno(m->guard.sql) == ER_BAD_FIELD_ERROR)) {
                if (e)
                        error_clear(e);
                return 0;
        }
        return r < 0 ? r : 1;
}

static int find_tool(
                Migrator *m, const Tool **ret, SqlResult **ret_versions, SqlResult **ret_up_to, Error *e) {
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(tools); i++) {
                _cleanup_(sql_result_free_p) SqlResult *unclean = NULL, *versions = NULL, *up_to = NULL;

                r = ask(m, tools[i].question, &versions, e);
                if (r > 0 && tools[i].up_to)
                        r = ask(m, tools[i].up_to, &up_to, e);
                if (r > 0 && tools[i].unclean)
                        r = ask(m, tools[i].unclean, &unclean, e);
                if (r < 0)
                        return r;
                if (sql_result_rows(unclean) > 0) {
                        r = error_set(e, ERROR_REFUSED, -EPERM, "%s left the migration %s unfinished",
                                        tools[i].name, sql_result_get(unclean, 0, 0) ?: "?");
                        return error_hint(e, r, "Finish or repair it with that tool first.");
                }
                if (r > 0) {
                        *ret = tools + i;
                        *ret_versions = TAKE(versions);
                        *ret_up_to = TAKE(up_to);
                        return 0;
                }
        }
        r = error_set(e, ERROR_FAILED, -ENOENT,
                        "the database has no history of golang-migrate, dbmate or Flyway");
        return error_hint(e, r, "Run \"releasemgr migrate apply\" where nothing was migrated yet.");
}

/* The versions of a tool's history, as our records call them. */
static int read_versions(const SqlResult *rows, char ***ret) {
        _cleanup_strv_ char **versions = NULL;

        for (size_t i = 0; i < sql_result_rows(rows); i++) {
                _cleanup_free_ char *version = migration_normal_version(sql_result_get(rows, i, 0) ?: "");

                if (!version || strv_add(&versions, version) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE(versions);
        return 0;
}

/* Whether the tool's history covers a migration. */
static bool covers(char *const *versions, char *const *up_to, const Migration *m) {
        if (strv_contains(versions, m->version))
                return true;
        for (; !m->repeatable && up_to && *up_to; up_to++)
                if (version_compare(m->version, *up_to) <= 0)
                        return true;
        return false;
}

static bool folder_has(const MigrationList *l, const char *version) {
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i]->version, version))
                        return true;
        return false;
}

/* A history that speaks of files which are not here belongs to another folder. */
static int check_versions(const Adopting *a, const Tool *tool, char *const *versions, Error *e) {
        for (size_t i = 0; i < strv_length(versions); i++) {
                int r;

                if (folder_has(a->list, versions[i]))
                        continue;
                r = error_set(e, ERROR_REFUSED, -EPERM,
                                "the history of %s has the migration %s, which the folder lacks", tool->name,
                                versions[i]);
                return error_hint(e, r, "Adopt with the folder that the tool used last.");
        }
        return 0;
}

static int adopt_one(Migrator *m, const Migration *migration, Error *e) {
        _cleanup_free_ char *version = sql_quote(migration->version, strlen(migration->version)),
                            *path = sql_quote(migration->path, strlen(migration->path));

        if (!version || !path)
                return -ENOMEM;
        return sql_exec(m->guard.sql, e,
                        "INSERT INTO %s.releasemgr_migration (version, phase, path, digest, state, batch, "
                        "started_at, "
                        "finished_at) VALUES (%s, '%s', %s, '%s', 'adopted', 1, UTC_TIMESTAMP(3), "
                        "UTC_TIMESTAMP(3))",
                        m->guard.database, version,
                        migration->phase == MIGRATION_CONTRACT ? "contract" : "expand", path,
                        migration->digest);
}

static int adopt_all(Migrator *m, void *userdata, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL, *up_to_rows = NULL;
        _cleanup_strv_ char **versions = NULL, **up_to = NULL;
        _cleanup_records_ Records records = {0};
        Adopting *a = userdata;
        const Tool *tool = NULL;
        int r;

        r = migrator_begin(m, &records, e);
        if (r < 0)
                return r;
        if (records.n_migrations > 0)
                return error_set(e, ERROR_REFUSED, -EPERM, "this database is already migrated by releasemgr");
        r = find_tool(m, &tool, &rows, &up_to_rows, e);
        if (r >= 0)
                r = read_versions(rows, &versions);
        if (r >= 0)
                r = read_versions(up_to_rows, &up_to);
        if (r >= 0)
                r = check_versions(a, tool, versions, e);
        if (r >= 0)
                r = guard_keep_books(&m->guard, e);
        if (r >= 0)
                r = sql_exec(m->guard.sql, e, "START TRANSACTION");
        a->n = 0;
        for (size_t i = 0; r >= 0 && i < a->list->n; i++)
                if (covers(versions, up_to, a->list->items[i])) {
                        r = adopt_one(m, a->list->items[i], e);
                        a->n++;
                }
        if (r >= 0)
                r = sql_exec(m->guard.sql, e,
                                "REPLACE INTO %s.releasemgr_fact (name, value) VALUES ('batch', '1')",
                                m->guard.database);
        if (r >= 0)
                r = sql_exec(m->guard.sql, e, "COMMIT");
        if (r < 0)
                return r;
        a->tool = tool->name;
        return migrator_remember_look(m, e);
}

int migrator_adopt(Migrator *m, int dirfd, const char *path, const char **ret_tool, Error *e) {
        _cleanup_(migration_list_free_p) MigrationList *list = NULL;
        Adopting a = {0};
        int r;

        r = migration_list_read(dirfd, path, &list, e);
        if (r < 0)
                return r;
        a.list = list;
        r = migrator_end(m, migrator_persist(m, adopt_all, &a, e));
        if (r < 0)
                return r;
        *ret_tool = a.tool;
        return a.n;
}

typedef struct Resolving {
        const char *version;
        bool applied;
} Resolving;

/* The statement of a migration that may be in doubt: 1 where there is one. Of those behind it there are at most tables that
 * were announced; what becomes of these is told by a look. */
static int find_doubt(Migrator *m, const char *version, unsigned *ret, Error *e) {
        StatementRecord *statements = NULL;
        char none[DIGEST_TEXT_MAX];
        size_t n = 0, i = 0;
        int r;

        r = fingerprint_of_none(none);
        if (r >= 0)
                r = records_read_statements(m->guard.sql, m->guard.database, version, &statements, &n, e);
        if (r < 0)
                return r;
        while (i < n && (statements[i].done || (statements[i].looked && streq(statements[i].looked, none))))
                i++;
        if (i < n)
                *ret = statements[i].number;
        statement_records_free(statements, n);
        return i < n;
}

static int resolve_one(Migrator *m, void *userdata, Error *e) {
        _cleanup_free_ char *version = NULL;
        _cleanup_records_ Records records = {0};
        const Resolving *v = userdata;
        unsigned number = 0;
        int r;

        version = sql_quote(v->version, strlen(v->version));
        if (!version)
                return -ENOMEM;
        r = migrator_begin(m, &records, e);
        if (r >= 0)
                r = find_doubt(m, v->version, &number, e);
        if (r < 0)
                return r;
        if (r == 0) {
                r = error_set(e, ERROR_FAILED, -ENOENT, "no statement of the migration %s is in doubt",
                                v->version);
                return error_hint(e, r, "\"releasemgr migrate status\" shows where migrations stand.");
        }
        if (v->applied)
                return sql_exec(m->guard.sql, e,
                                "UPDATE %s.releasemgr_statement SET state = 'done' WHERE version = %s AND "
                                "number = %u",
                                m->guard.database, version, number);
        return sql_exec(m->guard.sql, e,
                        "DELETE FROM %s.releasemgr_statement WHERE version = %s AND number = %u",
                        m->guard.database, version, number);
}

int migrator_resolve(Migrator *m, const char *version, bool applied, Error *e) {
        _cleanup_free_ char *normal = migration_normal_version(version);
        Resolving v = {.version = normal, .applied = applied};

        if (!normal)
                return -ENOMEM;
        return migrator_end(m, migrator_persist(m, resolve_one, &v, e));
}
