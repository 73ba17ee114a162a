#include <errno.h>
#include <string.h>

#include <mysqld_error.h>

#include "db/fingerprint.h"
#include "db/review.h"
#include "db/runner-internal.h"

/* Whether the table was made in this very run (which may have been cut off and resumed). */
static int made_now(Run *run, const ObjectName *table, Error *e) {
        _cleanup_free_ char *text = object_text(table), *quoted = text ? sql_quote(text, strlen(text)) : NULL;
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        if (!quoted)
                return -ENOMEM;
        r = sql_select(run->sql, &rows, e,
                        "SELECT 1 FROM %s.releasemgr_statement s JOIN %s.releasemgr_migration m USING "
                        "(version) "
                        "WHERE m.batch = %u AND s.made = %s LIMIT 1",
                        run->database, run->database, run->state->backlog.batch, quoted);
        return r < 0 ? r : sql_result_rows(rows) > 0;
}

/* Whether the table has more than @max rows; one that is not there has none. */
static int has_more_rows(Run *run, const ObjectName *table, uint64_t max, Error *e) {
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        _cleanup_free_ char *name = object_quote(table);
        int r;

        if (!name)
                return -ENOMEM;
        r = sql_select(run->sql, &rows, e, "SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT %llu) AS t", name,
                        (unsigned long long) max + 1);
        if (r == -EREMOTEIO && sql_errno(run->sql) == ER_NO_SUCH_TABLE) {
                if (e)
                        error_clear(e);
                return 0;
        }
        return r < 0 ? r : sql_result_u64(rows, 0, 0) > max;
}

/* Whether nobody can use the object yet. */
static int is_out_of_use(Run *run, const ObjectName *o, Error *e) {
        int r = object_exists(run->sql, o, e);

        if (r <= 0)
                return r < 0 ? r : 1;
        return made_now(run, o, e);
}

static int gate_destructive(Run *run, const Work *w, Error *e) {
        bool harmless = w->j.n_objects > 0;
        int r;

        r = migration_takes_away(run->m, &w->j, run->o->guard->mode);
        if (r <= 0)
                return r;
        for (size_t i = 0; harmless && i < w->j.n_objects; i++) {
                r = is_out_of_use(run, w->j.objects + i, e);
                if (r < 0)
                        return r;
                harmless = r > 0;
        }
        if (harmless)
                return 0;
        r = error_set(e, ERROR_REFUSED, -EPERM, "it takes away what the release before may still use");
        return error_hint(e, r,
                        "Move it to contract/, or write \"-- releasemgr: destructive\" before it where that "
                        "is not so.");
}

/* How gently a table must be altered. */
static int gate_alter(Run *run, Work *w, Error *e) {
        const ObjectName *table = w->j.objects;
        const Marks *marks = &w->statement->marks;
        int r;

        r = has_more_rows(run, table, 0, e);
        if (r <= 0)
                return r;
        r = made_now(run, table, e);
        if (r != 0)
                return r < 0 ? r : 0;
        if (marks->allow_copy) {
                r = marks->max_rows == UINT64_MAX ? 0 : has_more_rows(run, table, marks->max_rows, e);
                if (r <= 0)
                        return r;
                return error_set(e, ERROR_REFUSED, -EPERM,
                                "the table %s has more than the %llu rows that max-rows allows", table->name,
                                (unsigned long long) marks->max_rows);
        }
        w->restrained = true;
        if (!w->j.copies && !w->j.blocks)
                return 0;
        r = error_set(e, ERROR_REFUSED, -EPERM, "it would %s the table %s, which has rows",
                        w->j.copies ? "copy" : "block writers of", table->name);
        return error_hint(e, r,
                        "Write \"-- releasemgr: allow-copy\" before it (max-rows=N may follow) to let it.");
}

int run_is_rebuilt_locked(Run *run, const Work *w, Error *e) {
        const ObjectName *table = w->j.objects;
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        _cleanup_free_ char *name = sql_quote(table->name, strlen(table->name)),
                            *database = table->database ? sql_quote(table->database, strlen(table->database))
                                                        : strdup("DATABASE()");
        int r;

        if (!name || !database)
                return -ENOMEM;
        r = sql_select(run->sql, &rows, e,
                        "SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME "
                        "= %s AND INDEX_TYPE IN ('FULLTEXT', 'SPATIAL') LIMIT 1",
                        database, name);
        return r < 0 ? r : sql_result_rows(rows) > 0;
}

int run_gate(Run *run, Work *w, Error *e) {
        int r = 0;

        if (run->o->fresh)
                return 0;
        if (w->j.destructive && run->m->phase == MIGRATION_EXPAND && !w->statement->marks.destructive)
                r = gate_destructive(run, w, e);
        if (r >= 0 && w->j.alters && w->j.n_objects > 0)
                r = gate_alter(run, w, e);
        return r;
}
