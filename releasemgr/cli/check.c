/* check: would a deployment work?; plan: what would it do?; verify: is a release as it was sealed?; logs. */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/app.h"
#include "cli/verbs.h"
#include "deploy/offer.h"
#include "host/socket.h"
#include "host/unit-setup.h"
#include "store/verify.h"

#define LOG_LINES_DEFAULT 100

static void print_fetch(const json_t *fetch) {
        const char *from = json_get_string(fetch, "from"), *through = json_get_string(fetch, "through");
        char size[SIZE_TEXT_MAX];

        printf("  %s", size_to_text(json_get_integer(fetch, "bytes", 0), size));
        if (from)
                printf(", a %s %s %s", json_get_string(fetch, "how"),
                                streq(json_get_string(fetch, "how"), "copy") ? "of" : "from", from);
        if (through)
                printf(" by way of %s", through);
}

/* "      0002_a.sql:3  schema INSTANT, 12 rows: ALTER TABLE ..." */
static void print_statements(const json_t *statements) {
        const json_t *s;
        size_t i;

        json_array_foreach(statements, i, s) {
                const char *algorithm = json_get_string(s, "algorithm");

                printf("      %s:%lld  %s%s%s, %lld rows%s: %s\n", json_get_string(s, "path"),
                                (long long) json_get_integer(s, "line", 0), json_get_string(s, "class"),
                                algorithm ? " " : "", algorithm ?: "",
                                (long long) json_get_integer(s, "rows", 0),
                                json_get_boolean(s, "destructive", false) ? ", destructive" : "",
                                json_get_string(s, "text"));
        }
}

/* What the contract migrations of the current release take away. */
static void print_contract(const json_t *contract) {
        const json_t *lost = json_object_get(contract, "lost"), *version;
        size_t i;

        print_statements(json_object_get(contract, "statements"));
        json_array_foreach(lost, i, version)
                printf("%s%s", i > 0 ? ", " : "      there is no way back afterwards to ",
                                json_string_value(version));
        if (json_array_size(lost) > 0)
                (void) putchar('\n');
}

static void print_migrate(const json_t *plan) {
        const json_t *statements = json_object_get(plan, "statements");

        if (statements)
                print_statements(statements);
        else
                puts("      its statements can be shown once the release is here: plan --fetch");
}

int verb_plan(Session *s, const Arguments *a, Error *e) {
        const char *version = a->n_positional > 0 ? a->positional[0] : "latest";
        const DeployRequest request = {GOAL_ACTIVATE, streq(version, "latest") ? NULL : version};
        _cleanup_json_ json_t *plan = NULL;
        _cleanup_app_ App app;
        const json_t *step;
        size_t i;
        int r;

        r = app_open(s, a, APP_STORE | APP_SERVICE | APP_NETWORK | APP_DATABASE, &app, e);
        if (r >= 0 && arguments_flag(a, "fetch"))
                r = deploy_fetch(&app.deploy, &request, e);
        if (r >= 0)
                r = deploy_plan(&app.deploy, &request, &plan, e);
        if (r < 0)
                return r;
        if (screen_is_json(s->screen)) {
                screen_json(s->screen, plan);
                return 0;
        }
        if (json_get_boolean(plan, "nothing", false)) {
                printf("%s is active already: nothing to do\n", json_get_string(plan, "version"));
                return 0;
        }
        printf("from %s to %s:\n", json_get_string(plan, "from") ?: "nothing",
                        json_get_string(plan, "version"));
        json_array_foreach(json_object_get(plan, "steps"), i, step) {
                printf("%3zu %s", i + 1, json_string_value(step));
                if (streq(json_string_value(step), "fetch"))
                        print_fetch(json_object_get(plan, "fetch"));
                (void) putchar('\n');
                if (streq(json_string_value(step), "contract"))
                        print_contract(json_object_get(plan, "contract"));
                if (streq(json_string_value(step), "migrate"))
                        print_migrate(plan);
        }
        return 0;
}

static void print_finding(Session *s, const VerifyFinding *f) {
        if (screen_is_json(s->screen)) {
                json_t *j = json_pack("{ss ss ss*}", "kind", verify_kind_to_string(f->kind), "path", f->path,
                                "detail", f->detail);

                if (j)
                        screen_json(s->screen, j);
                json_decref(j);
        } else
                printf("%-8s %s%s%s\n", verify_kind_to_string(f->kind), f->path, f->detail ? ": " : "",
                                f->detail ?: "");
}

int verb_verify(Session *s, const Arguments *a, Error *e) {
        _cleanup_(verify_report_free_p) VerifyReport *report = NULL;
        _cleanup_free_ char *current = NULL;
        _cleanup_close_ int fd = -1;
        const char *version;
        _cleanup_app_ App app;
        char size[SIZE_TEXT_MAX];
        int r;

        r = app_open(s, a, APP_STORE, &app, e);
        if (r >= 0 && a->n_positional == 0) {
                r = store_find_current(app.deploy.store, &current, e);
                r = r == 0 ? -ENOENT : r;
        }
        if (r < 0)
                return r;
        version = current ?: a->positional[0];
        fd = store_open_release(app.deploy.store, version, e);
        if (fd < 0)
                return fd;
        r = verify_release(fd, &report, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < report->n; i++)
                print_finding(s, &report->findings[i]);
        if (r == 1 && !screen_is_json(s->screen))
                printf("%s is as it was sealed: %llu files, %s\n", version,
                                (unsigned long long) report->files, size_to_text(report->bytes, size));
        if (r == 0) {
                error_set(e, ERROR_UNTRUSTED, -EUCLEAN,
                                "release %s is not as it was sealed: %zu difference%s", version, report->n,
                                report->n == 1 ? "" : "s");
                return error_hint(e, -EUCLEAN, "activate another release, and remove this one with prune");
        }
        return 0;
}

/* One thing that check looks at. */
typedef int (*CheckFunction)(App *app, Text *ret, Error *e);

/* The socket that is named like the template, where there is one; otherwise *@ret stays as it was. */
static int find_socket(App *app, char **ret, Error *e) {
        const char *template = app->deploy.unit;
        _cleanup_free_ char *name = text_format("%.*s.socket", (int) strcspn(template, "@"), template);
        UnitState state;
        int r;

        if (!name)
                return -ENOMEM;
        if (app->deploy.strategy != STRATEGY_HANDOVER)
                return 0;
        r = unit_read(app->deploy.bus, name, &state, e);
        if (r >= 0 && streq(state.load_state, "loaded"))
                *ret = TAKE(name);
        return MIN_OF(r, 0);
}

/* What stands in the way in @unit: nothing, or an error that says what to change. */
static int judge_obstacles(const char *unit, char *const *found, Error *e) {
        const char *at = strchr(unit, '@');
        _cleanup_text_ Text text = TEXT_INIT;
        int r = 0;

        if (!found)
                return 0;
        for (char *const *i = found; r >= 0 && *i; i++)
                r = text_addf(&text, "%s%s", i == found ? "" : "; ", *i);
        if (r < 0)
                return r;
        error_set(e, ERROR_FAILED, -EINVAL, "%s: %s", unit, text.data);
        /* of an instance, the template is what to change: "echo@1.0.0.service" is one of "echo@.service" */
        if (at)
                return error_hint(e, -EINVAL, "change it with systemctl edit %.*s.service",
                                (int) (at + 1 - unit), unit);
        return error_hint(e, -EINVAL, "change it with systemctl edit %s", unit);
}

/* The plain unit beside a template; one by that name need not be there. */
static int check_entry(App *app, Error *e) {
        const char *template = app->deploy.unit;
        _cleanup_free_ char *name = text_format("%.*s.service", (int) strcspn(template, "@"), template);
        _cleanup_strv_ char **found = NULL;
        UnitSetup setup;
        int r;

        if (!name)
                return -ENOMEM;
        if (app->deploy.strategy != STRATEGY_HANDOVER)
                return 0;
        r = unit_read_setup(app->deploy.bus, name, &setup, e);
        if (r >= 0)
                r = unit_entry_obstacles(&setup, &found);
        return r < 0 ? r : judge_obstacles(name, found, e);
}

/* What of the unit's own settings would spoil a deployment; and what could be better, static, or NULL. */
static int check_setup(App *app, const char *unit, const char **ret_advice, Error *e) {
        const Strategy strategy = app->deploy.strategy;
        _cleanup_free_ char *releases = store_release_path(app->deploy.store, "0");
        _cleanup_free_ char *current = NULL, *socket = NULL;
        _cleanup_strv_ char **found = NULL;
        UnitSetup setup;
        UnitUse use;
        int r;

        if (!releases)
                return -ENOMEM;
        *strrchr(releases, '/') = '\0';
        current = text_format("%.*s/current", (int) (strrchr(releases, '/') - releases), releases);
        if (!current)
                return -ENOMEM;
        r = find_socket(app, &socket, e);
        use = (UnitUse){.reload = strategy == STRATEGY_RELOAD,
                        .beside = strategy == STRATEGY_HANDOVER,
                        .current = current,
                        .releases = releases,
                        .socket = socket,
                        .prove = app->deploy.prove != PROVE_OFF && strategy != STRATEGY_RELOAD,
                        .asked = app->deploy.n_probes > 0};
        if (r >= 0)
                r = unit_read_setup(app->deploy.bus, unit, &setup, e);
        if (r >= 0)
                r = unit_obstacles(&setup, &use, &found);
        if (r >= 0)
                *ret_advice = unit_advice(&setup, &use);
        return r < 0 ? r : judge_obstacles(unit, found, e);
}

static int check_unit(App *app, Text *ret, Error *e) {
        const char *advice = NULL, *unproved = NULL;
        ProveProcess how;
        char unit[UNIT_NAME_MAX];
        UnitState state;
        int r;

        r = deploy_unit(&app->deploy, NULL, unit, e);
        if (r == -ENOENT) { /* no release yet: any instance shows whether the template can be loaded */
                error_clear(e);
                r = deploy_unit(&app->deploy, "0", unit, e);
        }
        if (r >= 0)
                r = unit_require(app->deploy.bus, unit, &state, e);
        if (r >= 0)
                r = check_setup(app, unit, &advice, e);
        if (r >= 0)
                r = check_entry(app, e);
        if (r >= 0)
                r = sockets_check(app->deploy.bus, unit, e);
        if (r >= 0)
                r = prove_process_from_string(app->config->prove_process, &how, &unproved);
        return r < 0 ? r
                     : text_addf(ret, "%s is %s (%s)%s%s%s%s", state.id, state.active_state, state.sub_state,
                                       advice ? "; " : "", advice ?: "",
                                       unproved ? "; that it runs the release is not proved: " : "",
                                       unproved ?: "");
}

static int check_repository(App *app, Text *ret, Error *e) {
        _cleanup_free_ char *version = NULL, *warning = NULL;
        _cleanup_(offer_free_p) Offer *c = NULL;
        int r;

        r = offer_open(&app->deploy, false, &c, e);
        if (r >= 0)
                r = offer_channel(c, app->deploy.channel, &version, e);
        if (r >= 0)
                r = offer_warning(c, clock_now(), &warning);
        return r < 0 ? r
                     : text_addf(ret, "%s: %s is %s%s%s%s", source_name(app->deploy.source),
                                       app->deploy.channel, version, warning ? "; warning: " : "",
                                       warning ?: "",
                                       warning ? ": its publisher should run repo refresh" : "");
}

static int check_database(App *app, Text *ret, Error *e) {
        _cleanup_(migrator_free_p) Migrator *m = NULL;
        SchemaState state = {0};
        int r;

        if (!app->deploy.migrator)
                return text_adds(ret, "none is configured");
        r = migrator_new(app->deploy.migrator, &m);
        if (r >= 0)
                r = migrator_state(m, &state, e);
        if (r >= 0)
                r = text_addf(ret, "%s on %s: schema %s", app->config->db_name,
                                app->config->db_host ?: app->config->db_socket, state.level ?: "is empty");
        schema_state_clear(&state);
        return r;
}

static int check_store(App *app, Text *ret, Error *e) {
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_free_ char *current = NULL;
        uint64_t bytes, inodes;
        char size[SIZE_TEXT_MAX];
        int r = store_get_space(app->deploy.store, &bytes, &inodes, e);

        if (r >= 0)
                r = store_find_current(app->deploy.store, &current, e);
        if (r >= 0)
                r = ledger_load(app->deploy.state_fd, &ledger, e);
        return r < 0 ? r : text_addf(ret, "%s free", size_to_text(bytes, size));
}

static void print_check(Session *s, const char *name, int r, const Text *text, const Error *error) {
        const char *said = r < 0 ? error_message(error, r) : text->data;

        if (screen_is_json(s->screen)) {
                json_t *j = json_pack("{ss sb ss ss*}", "check", name, "ok", r >= 0, "text", said, "hint",
                                error->hint);

                if (j)
                        screen_json(s->screen, j);
                json_decref(j);
                return;
        }
        printf("%s %-10s %s\n", r < 0 ? "FAIL" : "ok  ", name, said);
        if (r < 0 && error->hint)
                printf("%15s %s\n", "", error->hint);
}

int verb_check(Session *s, const Arguments *a, Error *e) {
        static const struct {
                const char *name;
                CheckFunction function;
        } checks[] = {
                        {"store", check_store},
                        {"unit", check_unit},
                        {"repository", check_repository},
                        {"database", check_database},
        };
        _cleanup_app_ App app;
        size_t failed = 0;
        int r;

        r = app_open(s, a, APP_STORE | APP_SERVICE | APP_NETWORK | APP_DATABASE, &app, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTS_OF(checks); i++) {
                _cleanup_error_ Error error = ERROR_INIT;
                _cleanup_text_ Text text = TEXT_INIT;

                r = checks[i].function(&app, &text, &error);
                if (r == -ECANCELED)
                        return r;
                failed += r < 0;
                print_check(s, checks[i].name, r, &text, &error);
        }
        if (failed > 0)
                return error_set(e, ERROR_FAILED, -EIO, "%zu of %zu checks failed", failed,
                                ELEMENTS_OF(checks));
        return 0;
}

int verb_logs(Session *s, const Arguments *a, Error *e) {
        const char *lines = arguments_option(a, "lines");
        uint64_t max = LOG_LINES_DEFAULT;
        _cleanup_strv_ char **l = NULL;
        char unit[UNIT_NAME_MAX];
        UnitState state;
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE | APP_SERVICE, &app, e);
        if (r >= 0 && lines && parse_u64(lines, 100000, &max) < 0)
                r = error_set(e, ERROR_USAGE, -EINVAL, "--lines=%s: expected a number", lines);
        if (r >= 0)
                r = deploy_unit(&app.deploy, NULL, unit, e);
        if (r >= 0)
                r = unit_require(app.deploy.bus, unit, &state, e);
        if (r < 0)
                return r;
        if (!state.invocation_id[0]) {
                fprintf(stderr, "%s was never started\n", unit);
                return 0;
        }
        r = unit_tail(&state, max, &l);
        if (r < 0)
                return error_errno(e, r, "cannot read the journal of %s", unit);
        for (char **i = l; i && *i; i++)
                puts(*i);
        return 0;
}
