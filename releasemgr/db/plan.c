#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "base/version.h"
#include "db/fingerprint.h"
#include "db/migrator-internal.h"
#include "db/review.h"
#include "db/script.h"

#define SUMMARY_MAX 60

/* The first words of a statement, on one line. */
static char *summarise(const Statement *s) {
        char *text = malloc(SUMMARY_MAX + 4), *to = text;
        bool space = false;

        if (!text)
                return NULL;
        for (size_t i = 0; i < s->size; i++) {
                if (strchr(" \t\r\n", s->text[i])) {
                        space = to > text;
                        continue;
                }
                if (to - text + space >= SUMMARY_MAX && ((unsigned char) s->text[i] & 0xc0) != 0x80)
                        return memcpy(to, "...", 4), text;
                if (to - text + space >= SUMMARY_MAX + 3)
                        break; /* not UTF-8 */
                if (space)
                        *to++ = ' ';
                space = false;
                *to++ = s->text[i];
        }
        *to = '\0';
        return text;
}

/* About how many rows the table holds. */
static int estimate_rows(Migrator *m, const ObjectName *table, uint64_t *ret, Error *e) {
        _cleanup_free_ char *name = sql_quote(table->name, strlen(table->name)),
                            *database = table->database ? sql_quote(table->database, strlen(table->database))
                                                        : NULL;
        _cleanup_(sql_result_free_p) SqlResult *rows = NULL;
        int r;

        if (!name || (table->database && !database))
                return -ENOMEM;
        r = sql_select(m->guard.sql, &rows, e,
                        "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND "
                        "TABLE_NAME = %s",
                        database ?: "DATABASE()", name);
        if (r >= 0)
                *ret = sql_result_u64(rows, 0, 0);
        return r;
}

static int plan_statement(Migrator *m, const Migration *migration, const Statement *s, SqlMode mode,
                PlannedStatement *p, Error *e) {
        _cleanup_judgement_ Judgement j = {0};
        int r;

        r = statement_judge(s->text, s->size, mode, &j);
        if (r < 0)
                return r;
        p->number = s->number;
        p->line = s->line;
        p->class = statement_class_name(j.class);
        r = migration_takes_away(migration, &j, (SqlMode){0});
        if (r < 0)
                return r;
        p->destructive = r;
        p->summary = summarise(s);
        if (!p->summary)
                return -ENOMEM;
        if (j.alters)
                p->algorithm = j.copies || s->marks.allow_copy ? "COPY"
                               : j.blocks                      ? "INPLACE"
                                                               : "INSTANT, NOCOPY or INPLACE";
        if (j.n_objects == 0 || j.objects[0].kind != OBJECT_TABLE || j.creates)
                return 0;
        return estimate_rows(m, j.objects, &p->rows, e);
}

static int plan_migration(Migrator *m, PlannedMigration *item, Error *e) {
        Script script = script_init(item->migration->path, item->migration->text, item->migration->size,
                        item->migration->first_line, (SqlMode){0});
        int r;

        for (;;) {
                _cleanup_statement_ Statement s = {0};
                SqlMode mode = script.mode;
                PlannedStatement *statements;

                r = script_foresee(&script, &s, e);
                if (r <= 0)
                        return r;
                statements = reallocarray(item->statements, item->n_statements + 1, sizeof(*statements));
                if (!statements)
                        return -ENOMEM;
                item->statements = statements;
                statements[item->n_statements] = (PlannedStatement){0};
                r = plan_statement(m, item->migration, &s, mode, statements + item->n_statements++, e);
                if (r < 0)
                        return r;
        }
}

static void forget_statements(PlannedMigration *item) {
        for (size_t i = 0; i < item->n_statements; i++)
                free(item->statements[i].summary);
        free(item->statements);
        item->statements = NULL;
        item->n_statements = 0;
}

static int explain(Migrator *m, void *userdata, Error *e) {
        MigratorPlan *plan = userdata;
        int r;

        r = migrator_connect(m, e);
        for (size_t i = 0; r >= 0 && i < plan->n_items; i++) {
                forget_statements(plan->items + i); /* of a try before */
                if (plan->items[i].state != MIGRATION_APPLIED)
                        r = plan_migration(m, plan->items + i, e);
        }
        return r;
}

int migrator_explain(Migrator *m, MigratorPlan *plan, Error *e) {
        return migrator_persist(m, explain, plan, e);
}

const char *migrator_plan_newest(const MigratorPlan *plan) {
        const char *newest = NULL;

        for (size_t i = 0; i < plan->n_items; i++) {
                const PlannedMigration *item = plan->items + i;

                if (item->state != MIGRATION_APPLIED && !item->migration->repeatable &&
                                (!newest || version_compare(item->migration->version, newest) > 0))
                        newest = item->migration->version;
        }
        return newest;
}

MigratorPlan *migrator_plan_free(MigratorPlan *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_items; i++)
                forget_statements(p->items + i);
        free(p->items);
        strv_free(p->unknown);
        schema_state_clear(&p->state);
        migration_list_free(p->list);
        free(p);
        return NULL;
}
