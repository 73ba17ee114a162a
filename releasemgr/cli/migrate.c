/* migrate: the database of an app by hand. What activate does by itself, and what it never does: contract. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/prefix.h"
#include "base/table.h"
#include "base/text.h"
#include "cli/app.h"
#include "cli/verbs.h"
#include "db/migrator.h"
#include "deploy/contract.h"
#include "deploy/ledger.h"

typedef struct Migrate {
        Session *session;
        Migrator *migrator;
        Database database;
        char *folder; /* of migrations */
        char *state;  /* the directory of the app's ledger */
        char *name;   /* of the database, for the ledger */
} Migrate;

static void migrate_close(Migrate *m) {
        m->migrator = migrator_free(m->migrator);
        free(m->folder);
        free(m->state);
        free(m->name);
        database_clear(&m->database);
}

#define _cleanup_migrate_ _cleanup_(migrate_close)

/* --folder=DIR, or the migrations of --release=VERSION, or of the release that is current. */
static char *choose_folder(Session *s, const Arguments *a, const Config *c) {
        const char *folder = arguments_option(a, "folder"), *release = arguments_option(a, "release");

        if (folder)
                return strdup(folder);
        if (release)
                return prefix_path(s->root, PREFIX_APPS, c->app, "releases", release, "migrations", NULL);
        return prefix_path(s->root, PREFIX_APPS, c->app, "current", "migrations", NULL);
}

static int migrate_open(Session *s, const Arguments *a, Migrate *ret, Error *e) {
        const Config *c;
        int r;

        r = session_config(s, a, &c, e);
        if (r >= 0)
                r = database_settings(s->event, c, &ret->database, e);
        if (r < 0)
                return r;
        if (r == 0) {
                r = error_set(e, ERROR_USAGE, -EINVAL, "the app %s has no database", c->app);
                return error_hint(e, r, "set Name= in the section [Database] of %s", c->path);
        }
        ret->session = s;
        r = migrator_new(&ret->database.options, &ret->migrator);
        if (r < 0)
                return r;
        ret->folder = choose_folder(s, a, c);
        ret->state = prefix_path(s->root, PREFIX_STATE, c->app, NULL);
        ret->name = sql_options_name(&ret->database.options.sql);
        return ret->folder && ret->state && ret->name ? 0 : -ENOMEM;
}

/* What the database says now, for a rollback that cannot ask it; @known: that it says so, where it was asked already. On a
 * host that never deployed the app there is nothing to go back to. */
static int remember(const Migrate *m, const SchemaState *known, Error *e) {
        _cleanup_(schema_state_clear) SchemaState state = {0};
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_close_ int fd = fs_open_directory(AT_FDCWD, m->state);
        int r;

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return error_errno(e, fd, "cannot open the directory %s", m->state);
        r = known ? 0 : migrator_state(m->migrator, &state, e);
        if (r >= 0)
                r = ledger_load(fd, &ledger, e);
        return r < 0 ? r : ledger_set_schema(ledger, m->name, known ?: &state, clock_now(), e);
}

static void report_json(const Migrate *m, const MigratorProgress *p) {
        _cleanup_json_ json_t *j = json_pack("{ss ss* si si sb ss* sI}", "event", "migrate", "version",
                        p->migration ? p->migration->version : NULL, "statement", (int) p->statement, "of",
                        (int) p->n_statements, "done", p->done, "waiting", p->waiting, "took",
                        (json_int_t) p->took_usec);

        if (j)
                screen_json(m->session->screen, j);
}

static void on_progress(const MigratorProgress *p, void *userdata) {
        const Migrate *m = userdata;
        char took[CLOCK_TEXT_MAX];

        if (screen_is_json(m->session->screen))
                return report_json(m, p);
        if (p->waiting)
                printf("  waiting: %s\n", p->waiting);
        else if (p->statement == 0 && p->done)
                printf("%-24s %s, %s\n", p->migration->version, p->migration->name,
                                span_to_text(p->took_usec, took));
        (void) fflush(stdout);
}

static int say(const Migrate *m, const char *event, json_t *values, const char *text) {
        _cleanup_json_ json_t *j = values;

        if (!screen_is_json(m->session->screen)) {
                puts(text);
                return 0;
        }
        if (!j || json_object_set_new(j, "event", json_string(event)) < 0)
                return -ENOMEM;
        screen_json(m->session->screen, j);
        return 0;
}

/* Contracting by hand: nothing may be under way, and the current release must be here to stay. */
static int allow_contract(Session *s, const Arguments *a, const Migrate *m, const MigratorPlan *plan,
                Lock **ret, Error *e) {
        _cleanup_app_ App app;
        int r = app_open(s, a, APP_STORE, &app, e);

        return r < 0 ? r : contract_allow(&app.deploy, m->name, migrator_plan_newest(plan), ret, e);
}

static int migrate_run(Session *s, const Arguments *a, MigrationPhase phase, Error *e) {
        _cleanup_(migrator_plan_free_p) MigratorPlan *plan = NULL;
        _cleanup_(lock_free_p) Lock *lock = NULL;
        _cleanup_migrate_ Migrate m = {0};
        _cleanup_free_ char *text = NULL;
        int r, n;

        r = migrate_open(s, a, &m, e);
        if (r >= 0)
                r = migrator_plan(m.migrator, AT_FDCWD, m.folder, phase, &plan, e);
        if (r >= 0 && phase == MIGRATION_CONTRACT && !arguments_option(a, "folder"))
                r = allow_contract(s, a, &m, plan, &lock, e);
        if (r >= 0)
                r = migrator_apply(m.migrator, plan, on_progress, &m, e);
        n = r;
        if (r >= 0)
                r = remember(&m, plan->n_pending == 0 ? &plan->state : NULL, e);
        if (r < 0)
                return r;
        text = n > 0 ? text_format("%d applied, %zu already there", n, plan->n_applied)
                     : text_format("nothing to do: %zu already there", plan->n_applied);
        if (!text)
                return -ENOMEM;
        return say(&m, "migrated", json_pack("{si sI}", "applied", n, "there", (json_int_t) plan->n_applied),
                        text);
}

int verb_migrate_apply(Session *s, const Arguments *a, Error *e) {
        return migrate_run(s, a, MIGRATION_EXPAND, e);
}

int verb_migrate_contract(Session *s, const Arguments *a, Error *e) {
        return migrate_run(s, a, MIGRATION_CONTRACT, e);
}

int verb_migrate_resolve(Session *s, const Arguments *a, Error *e) {
        bool applied = arguments_flag(a, "applied"), not_applied = arguments_flag(a, "not-applied");
        const char *version = a->positional[0];
        _cleanup_migrate_ Migrate m = {0};
        int r;

        if (applied == not_applied)
                return error_set(e, ERROR_USAGE, -EINVAL, "expected either --applied or --not-applied");
        r = migrate_open(s, a, &m, e);
        if (r >= 0)
                r = migrator_resolve(m.migrator, version, applied, e);
        if (r >= 0)
                r = remember(&m, NULL, e);
        if (r < 0)
                return r;
        return say(&m, "resolved", json_pack("{ss sb}", "version", version, "applied", applied),
                        "resolved; \"releasemgr migrate apply\" goes on from here");
}

int verb_migrate_adopt(Session *s, const Arguments *a, Error *e) {
        _cleanup_migrate_ Migrate m = {0};
        _cleanup_free_ char *text = NULL;
        const char *tool;
        int r, n;

        r = migrate_open(s, a, &m, e);
        if (r >= 0)
                r = migrator_adopt(m.migrator, AT_FDCWD, m.folder, &tool, e);
        n = r;
        if (r >= 0)
                r = remember(&m, NULL, e);
        if (r < 0)
                return r;
        text = text_format("%d migrations taken over from %s", n, tool);
        if (!text)
                return -ENOMEM;
        return say(&m, "adopted", json_pack("{ss si}", "tool", tool, "migrations", n), text);
}

static const char *const states[] = {
                [MIGRATION_PENDING] = "pending",
                [MIGRATION_APPLIED] = "applied",
                [MIGRATION_PARTIAL] = "stopped in the middle",
};

/* One line for each migration, and for each statement of those that are not applied. */
static int print_plan(const Migrate *m, const MigratorPlan *plan) {
        static const TableColumn columns[] = {{"MIGRATION"}, {"STATE"}, {"LINE", true}, {"CLASS"},
                        {"ALGORITHM"}, {"ROWS", true}, {"STATEMENT"}};
        _cleanup_(table_free_p) Table *t = NULL;
        int r;

        r = table_new(columns, ELEMENTS_OF(columns), screen_has_colour(m->session->screen), &t);
        for (size_t i = 0; r >= 0 && i < plan->n_items; i++) {
                const PlannedMigration *item = plan->items + i;

                r = table_add(t, (const char *[]){item->migration->path, states[item->state], NULL, NULL,
                                                 NULL, NULL, NULL});
                for (size_t j = 0; r >= 0 && j < item->n_statements; j++) {
                        const PlannedStatement *s = item->statements + j;
                        _cleanup_free_ char *line = text_format("%u", s->line),
                                            *rows = text_format("%llu", (unsigned long long) s->rows);

                        if (!line || !rows)
                                return -ENOMEM;
                        r = table_add(t, (const char *[]){NULL, s->destructive ? "destructive" : NULL, line,
                                                         s->class, s->algorithm, s->rows ? rows : NULL,
                                                         s->summary});
                }
        }
        return r < 0 || plan->n_items == 0 ? r : table_print(t, stdout);
}

static json_t *statements_to_json(const PlannedMigration *item) {
        json_t *list = json_array();

        for (size_t i = 0; i < item->n_statements; i++) {
                const PlannedStatement *s = item->statements + i;

                (void) json_array_append_new(
                                list, json_pack("{si si ss ss* sI sb ss}", "number", (int) s->number, "line",
                                                      (int) s->line, "class", s->class, "algorithm",
                                                      s->algorithm, "rows", (json_int_t) s->rows,
                                                      "destructive", s->destructive, "text", s->summary));
        }
        return list;
}

static void plan_json(const Migrate *m, const MigratorPlan *plan) {
        for (size_t i = 0; i < plan->n_items; i++) {
                const PlannedMigration *item = plan->items + i;
                _cleanup_json_ json_t *j = json_pack("{ss ss ss ss so}", "event", "migration", "path",
                                item->migration->path, "version", item->migration->version, "state",
                                states[item->state], "statements", statements_to_json(item));

                if (j)
                        screen_json(m->session->screen, j);
        }
}

static int show_phase(const Migrate *m, MigrationPhase phase, Error *e) {
        _cleanup_(migrator_plan_free_p) MigratorPlan *plan = NULL;
        int r;

        r = migrator_plan(m->migrator, AT_FDCWD, m->folder, phase, &plan, e);
        if (r >= 0)
                r = migrator_explain(m->migrator, plan, e);
        if (r < 0)
                return r;
        if (screen_is_json(m->session->screen)) {
                plan_json(m, plan);
                return 0;
        }
        r = print_plan(m, plan);
        if (phase == MIGRATION_CONTRACT || r < 0)
                return r;
        printf("schema at %s, contracted to %s\n", plan->state.level ?: "nothing",
                        plan->state.floor ?: "nothing");
        for (size_t i = 0; i < strv_length(plan->unknown); i++)
                printf("%s ran here and is not in the folder\n", plan->unknown[i]);
        return 0;
}

static int show_drift(const Migrate *m, Error *e) {
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = migrator_drift(m->migrator, &lines, e);
        for (size_t i = 0; r >= 0 && i < strv_length(lines); i++) {
                _cleanup_free_ char *text = text_format("changed behind our back: %s", lines[i]);

                if (!text)
                        return -ENOMEM;
                r = say(m, "drift", json_pack("{ss}", "object", lines[i]), text);
        }
        return r;
}

int verb_migrate_status(Session *s, const Arguments *a, Error *e) {
        _cleanup_migrate_ Migrate m = {0};
        int r;

        r = migrate_open(s, a, &m, e);
        if (r >= 0)
                r = show_phase(&m, MIGRATION_EXPAND, e);
        if (r >= 0)
                r = show_phase(&m, MIGRATION_CONTRACT, e);
        return r < 0 ? r : show_drift(&m, e);
}
