#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/prefix.h"
#include "base/text.h"
#include "cli/app.h"
#include "deploy/history.h"

#define APP_INIT ((App){.deploy = {.state_fd = -1, .run_fd = -1, .trust_fd = -1}})

/* Opens a directory of ours, made where it is missing. */
static int open_directory(const char *root, Prefix prefix, const char *app, const char *leaf, mode_t mode,
                int *ret, Error *e) {
        _cleanup_free_ char *path = leaf ? prefix_path(root, prefix, app, leaf, NULL)
                                         : prefix_path(root, prefix, app, NULL);
        int fd, r;

        if (!path)
                return -ENOMEM;
        r = fs_mkdir_parents(AT_FDCWD, path, mode);
        if (r < 0)
                return error_errno(e, r, "cannot make the directory %s", path);
        fd = fs_open_directory(AT_FDCWD, path);
        if (fd < 0)
                return error_errno(e, fd, "cannot open the directory %s", path);
        *ret = fd;
        return 0;
}

static int open_store(Session *s, App *app, Error *e) {
        const char *name = app->config->app;
        _cleanup_free_ char *path = prefix_path(s->root, PREFIX_APPS, name, NULL);
        _cleanup_free_ char *root_file = text_format("%s.root.json", name);
        int r;

        if (!path || !root_file)
                return -ENOMEM;
        app->root_file = prefix_path(s->root, PREFIX_CONFIG, root_file, NULL);
        if (!app->root_file)
                return -ENOMEM;
        r = open_directory(s->root, PREFIX_STATE, name, NULL, 0755, &app->deploy.state_fd, e);
        if (r >= 0)
                r = open_directory(s->root, PREFIX_STATE, name, "trust", 0755, &app->deploy.trust_fd, e);
        if (r >= 0)
                r = open_directory(s->root, PREFIX_RUN, name, NULL, 0755, &app->deploy.run_fd, e);
        if (r >= 0)
                r = store_open(path, true, &app->deploy.store, e);
        app->deploy.root_file = app->root_file;
        return r;
}

/* The words of a command in one line, which the app owns. */
static int command_text(App *app, char *const *words, const char **ret) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r = 0;

        for (char *const *w = words; *w && r >= 0; w++)
                r = text_addf(&t, "%s%s", w == words ? "" : " ", *w);
        if (r >= 0)
                r = strv_add(&app->texts, t.data);
        if (r >= 0)
                *ret = app->texts[strv_length(app->texts) - 1];
        return r;
}

static int make_probe(App *app, const ConfigProbe *c, ProbeSpec *ret) {
        int r = 0;

        *ret = (ProbeSpec){.name = c->name,
                        .unix_socket = c->socket,
                        .ca_file = c->ca_file,
                        .expect_status = c->expect_status,
                        .expect_json = c->expect_json,
                        .expect_version = c->expect_version,
                        .timeout_usec = c->timeout_usec,
                        .interval_usec = c->interval_usec,
                        .interval_max_usec = c->interval_max_usec,
                        .successes = c->successes,
                        .max_latency_usec = c->max_latency_usec};
        ret->target = c->url ?: c->tcp ?: c->unit;
        ret->argv = c->command;
        ret->kind = c->url ? PROBE_HTTP : c->tcp ? PROBE_TCP : c->unit ? PROBE_UNIT : PROBE_COMMAND;
        if (ret->kind == PROBE_COMMAND)
                r = command_text(app, c->command, &ret->target);
        return r;
}

/* The probes of all sections. One that is wrong does not stop what is tolerant: it is left out. */
static int open_probes(App *app, bool tolerant, Error *e) {
        const Config *c = app->config;

        app->probes = calloc(c->n_probes, sizeof(*app->probes));
        if (!app->probes)
                return -ENOMEM;
        for (const ConfigProbe *p = c->probes; p < c->probes + c->n_probes; p++) {
                ProbeSpec *spec = app->probes + app->deploy.n_probes;
                _cleanup_error_ Error error = ERROR_INIT;
                int r;

                if (!config_probe_asks(p))
                        continue;
                r = make_probe(app, p, spec);
                if (r < 0)
                        return r;
                r = probe_check(spec, &error);
                if (r >= 0) {
                        app->deploy.n_probes++;
                        continue;
                }
                error_prefix(&error, r, "%s: [%s]: ", c->path, p->section);
                if (r == -ENOMEM || !tolerant) {
                        error_move(e, &error);
                        return r;
                }
                progress_warn(app->progress, "%s; it is not asked", error_message(&error, r));
        }
        app->deploy.probes = app->probes;
        return 0;
}

/* What of the configuration could not be read may have said that releases hand over to each other: then the plain unit, where
 * there is one, only starts an instance, and no release can run as a oneshot. */
static int guess_strategy(App *app, Error *e) {
        _cleanup_free_ char *plain = text_format("%s.service", app->config->app);
        _cleanup_free_ char *template = text_format("%s@.service", app->config->app);
        UnitState s;
        int r;

        if (!plain || !template)
                return -ENOMEM;
        if (!app->config->incomplete || app->deploy.strategy != STRATEGY_RESTART ||
                        !streq(app->deploy.unit, plain))
                return 0;
        r = unit_read(app->deploy.bus, plain, &s, e);
        if (r < 0 || (streq(s.load_state, "loaded") && !streq(s.type, "oneshot")))
                return r;
        r = strv_add(&app->texts, template);
        if (r < 0)
                return r;
        app->deploy.unit = app->texts[strv_length(app->texts) - 1];
        app->deploy.strategy = STRATEGY_HANDOVER;
        progress_warn(app->progress, "no release runs as %s (%s): this is taken for Strategy=handover", plain,
                        streq(s.load_state, "loaded") ? s.type : s.load_state);
        return 0;
}

static int open_service(Session *s, App *app, bool tolerant, Error *e) {
        const Config *c = app->config;
        int r;

        app->deploy.unit = c->unit;
        app->deploy.start_timeout_usec = c->start_timeout_usec;
        app->deploy.health_timeout_usec = c->deadline_usec;
        app->deploy.revert_usec = c->revert_usec ?: c->start_timeout_usec + c->deadline_usec;
        app->deploy.drain_usec = c->drain_usec;
        app->deploy.soak_usec = c->soak_usec;
        app->deploy.hooks = (HookSettings){.argv = {[HOOK_BEFORE_SWITCH] = c->before_switch,
                                                           [HOOK_AFTER_SWITCH] = c->after_switch,
                                                           [HOOK_AFTER_SUCCESS] = c->after_success,
                                                           [HOOK_AFTER_FAILURE] = c->after_failure},
                        .user = c->hook_user,
                        .timeout_usec = c->hook_timeout_usec};
        r = prove_process_from_string(c->prove_process, &app->deploy.prove, NULL);
        if (r >= 0)
                r = strategy_from_name(c->strategy, &app->deploy.strategy);
        if (r < 0)
                return r;
        r = open_probes(app, tolerant, e);
        if (r < 0)
                return r;
        r = bus_new(s->event, &app->deploy.bus, e);
        return r < 0 ? r : guess_strategy(app, e);
}

static int open_source(App *app, Error *e) {
        const Config *c = app->config;

        return source_new(app->deploy.http,
                        &(SourceOptions){
                                        .url = c->url,
                                        .ca_file = c->ca_file,
                                        .certificate = c->certificate,
                                        .key = c->key,
                                        .proxy = c->proxy,
                                        .redirects = c->redirects,
                                        .max_rate = c->max_rate,
                                        .deadline_usec = clock_monotonic() +
                                                         MIN_OF(c->fetch_deadline_usec, USEC_INFINITY / 2),
                                        .s3_region = c->s3_region,
                                        .s3_endpoint = c->s3_endpoint,
                                        .s3_path_style = c->s3_path_style,
                        },
                        &app->deploy.source, e);
}

/* A rollback goes on without the password: then the database may not let us in, and what it last said counts. */
static int open_database(Session *s, App *app, AppNeeds needs, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        int r;

        r = database_settings(s->event, app->config, &app->database, &error);
        if (r < 0 && r != -ENOMEM && needs & APP_TOLERANT) {
                progress_warn(app->progress, "%s", error_message(&error, r));
                return 0;
        }
        error_move(e, &error);
        return r;
}

int app_open(Session *s, const Arguments *a, AppNeeds needs, App *ret, Error *e) {
        _cleanup_app_ App app = APP_INIT;
        int r;

        *ret = APP_INIT;
        s->tolerant = needs & APP_TOLERANT;
        r = session_config(s, a, &app.config, e);
        if (r < 0)
                return r;
        app.user = session_user();
        if (!app.user)
                return -ENOMEM;
        r = progress_new(&app.progress);
        if (r < 0)
                return r;
        progress_listen(app.progress, screen_event, s->screen);
        progress_listen(app.progress, progress_to_journal, app.config->app);
        r = open_store(s, &app, e);
        if (r >= 0 && needs & (APP_NETWORK | APP_PROBES))
                r = http_new(s->event, &app.deploy.http);
        if (r >= 0 && needs & APP_NETWORK)
                r = open_source(&app, e);
        if (r >= 0 && needs & APP_SERVICE)
                r = open_service(s, &app, needs & APP_TOLERANT, e);
        if (r >= 0 && needs & APP_DATABASE)
                r = open_database(s, &app, needs, e);
        if (r < 0)
                return r;
        app.deploy.app = app.config->app;
        app.deploy.channel = app.config->channel;
        app.deploy.keep = app.config->keep;
        app.deploy.contract = app.config->db_contract == CONTRACT_ACTIVATION;
        app.deploy.shared = app.config->shared;
        app.deploy.by = app.user;
        app.deploy.progress = app.progress;
        *ret = TAKE(app);
        /* the options point into the App itself: they moved with it */
        if (ret->database.options.sql.database)
                ret->deploy.migrator = &ret->database.options;
        app = APP_INIT;
        return 0;
}

void app_close(App *app) {
        bus_free(app->deploy.bus);
        source_free(app->deploy.source);
        http_free(app->deploy.http);
        store_free(app->deploy.store);
        progress_free(app->progress);
        fd_close(app->deploy.state_fd);
        fd_close(app->deploy.trust_fd);
        fd_close(app->deploy.run_fd);
        database_clear(&app->database);
        free(app->probes);
        strv_free(app->texts);
        free(app->root_file);
        free(app->user);
        *app = APP_INIT;
}

int app_read_current(const App *app, char **ret, Error *e) {
        _cleanup_error_ Error why = ERROR_INIT;
        int r = store_find_current(app->deploy.store, ret, &why);

        if (r == -EUCLEAN || r == -EEXIST)
                progress_warn_error(app->progress, &why, r);
        else if (r < 0) {
                error_move(e, &why);
                return r;
        }
        return 0;
}

int app_read_ledger(const App *app, Ledger **ret, Error *e) {
        _cleanup_error_ Error why = ERROR_INIT;
        int r = ledger_load(app->deploy.state_fd, ret, &why);

        if (r == -EUCLEAN) {
                progress_warn_error(app->progress, &why, r);
                return ledger_new(app->deploy.state_fd, ret);
        }
        error_move(e, &why);
        return r;
}

int app_read_history(const App *app, size_t max, json_t **ret, Error *e) {
        _cleanup_free_ char *path = fs_full_path(app->deploy.state_fd, HISTORY_FILE);
        HistoryDamage damage;
        int r;

        r = path ? history_tail(app->deploy.state_fd, max, ret, &damage, e) : -ENOMEM;
        if (r >= 0 && damage.lines > 0)
                progress_warn(app->progress,
                                "%s: %zu line%s damaged and passed over, the last at offset %llu", path,
                                damage.lines, damage.lines == 1 ? " is" : "s are",
                                (unsigned long long) damage.offset);
        return r;
}
