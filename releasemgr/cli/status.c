/* status: what runs, what is under way, what stands in the way. Asks neither the network nor the database. */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/app.h"
#include "cli/submit.h"
#include "cli/verbs.h"
#include "deploy/lock.h"
#include "deploy/offer.h"
#include "host/process.h"
#include "host/socket.h"

/* Everything that status says, as the object that --json prints. */

/* What keeps clients from the unit @name though it may run. */
static int gather_sockets(const App *app, const char *name, json_t *j, Error *e) {
        _cleanup_error_ Error why = ERROR_INIT;
        int r = sockets_check(app->deploy.bus, name, &why);

        if (r != -EADDRNOTAVAIL) {
                error_move(e, &why);
                return r;
        }
        return json_object_set_new(j, "socket",
                               json_pack("{ss ss}", "text", error_message(&why, r), "hint",
                                               error_advice(&why, r))) < 0
                               ? -ENOMEM
                               : 0;
}

static int gather_service(const App *app, const char *current, json_t *j, Error *e) {
        const DeployOptions *o = &app->deploy;
        char name[UNIT_NAME_MAX];
        UnitState unit;
        json_t *serves;
        int r;

        if (!current && o->strategy == STRATEGY_HANDOVER) /* no release, no instance */
                return 0;
        r = deploy_unit(o, current, name, e);
        if (r >= 0)
                r = unit_read(o->bus, name, &unit, e);
        if (r < 0)
                return r;
        r = deploy_is_serving(o, current, e);
        if (r < 0)
                return r;
        serves = r == 0 && process_is_hidden(unit.main_pid) ? json_null() : json_boolean(r);
        if (json_object_update_new(j,
                            json_pack("{s{ss ss ss ss si so}}", "unit", "name", name, "load", unit.load_state,
                                            "active", unit.active_state, "sub", unit.sub_state, "main_pid",
                                            (int) unit.main_pid, "serves_current", serves)) < 0)
                return -ENOMEM;
        return gather_sockets(app, name, j, e);
}

static void count_one(const char *digest _unused_, const char *version _unused_, const char *reason _unused_,
                const char *since _unused_, void *userdata) {
        ++*(int *) userdata;
}

static int gather_ledger(const App *app, json_t *j, Error *e) {
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        const char *reason, *by, *since;
        int n = 0, r;

        r = app_read_ledger(app, &l, e);
        if (r < 0)
                return r;
        ledger_each_quarantined(l, count_one, &n);
        reason = ledger_hold_reason(l, &by, &since);
        if (reason)
                (void) json_object_set_new(j, "hold",
                                json_pack("{ss ss ss}", "reason", reason, "by", by, "since", since));
        return json_object_set_new(j, "quarantined", json_integer(n)) < 0 ? -ENOMEM : 0;
}

/* When the metadata that was verified last expires. A host that never fetched any has none. */
static int gather_expiry(const App *app, json_t *j) {
        _cleanup_(offer_free_p) Offer *c = NULL;
        _cleanup_free_ char *warning = NULL;
        char text[CLOCK_TEXT_MAX];
        const char *role = NULL;
        uint64_t expires;
        int r;

        r = offer_open(&app->deploy, true, &c, NULL);
        if (r < 0)
                return r == -ENOMEM || r == -ECANCELED ? r : 0;
        expires = offer_expires(c, &role);
        r = offer_warning(c, clock_now(), &warning);
        if (r < 0 || !role)
                return r;
        return json_object_set_new(j, "expires", json_string(clock_to_text(expires, text))) < 0 ||
                                               (warning && json_object_set_new(j, "expires_warning",
                                                                           json_string(warning)) < 0)
                               ? -ENOMEM
                               : 0;
}

static int gather(const App *app, json_t **ret, Error *e) {
        _cleanup_json_ json_t *j = json_pack("{ss}", "app", app->config->app), *holder = NULL, *last = NULL;
        _cleanup_free_ char *current = NULL;
        int r;

        if (!j)
                return -ENOMEM;
        r = app_read_current(app, &current, e);
        if (r < 0)
                return r;
        if (current)
                (void) json_object_set_new(j, "current", json_string(current));
        r = gather_service(app, current, j, e);
        if (r >= 0)
                r = gather_ledger(app, j, e);
        if (r >= 0)
                r = gather_expiry(app, j);
        if (r >= 0)
                r = lock_holder(app->deploy.run_fd, &holder, e);
        if (r >= 0)
                r = app_read_history(app, 1, &last, e);
        if (r < 0)
                return r;
        if (holder)
                (void) json_object_set(j, "under_way", holder);
        if (json_array_size(last) > 0)
                (void) json_object_set(j, "last", json_array_get(last, 0));
        *ret = TAKE(j);
        return 0;
}

static void print_notes(const json_t *j) {
        const json_t *hold = json_object_get(j, "hold"), *socket = json_object_get(j, "socket");
        const char *warning = json_get_string(j, "expires_warning");

        if (socket)
                printf("%12s: %s; %s\n", "socket", json_get_string(socket, "text"),
                                json_get_string(socket, "hint"));
        if (hold)
                printf("%12s: %s, by %s, since %s; releasemgr unhold lets the timer go on\n", "held",
                                json_get_string(hold, "reason"), json_get_string(hold, "by"),
                                json_get_string(hold, "since"));
        if (json_get_integer(j, "quarantined", 0) > 0)
                printf("%12s: %d; releasemgr quarantine list names them\n", "quarantined",
                                (int) json_get_integer(j, "quarantined", 0));
        if (warning)
                printf("%12s: %s, as seen here last; releasemgr check asks anew\n", "warning", warning);
}

static void print_status(const Session *s, const json_t *j) {
        const json_t *unit = json_object_get(j, "unit"), *last = json_object_get(j, "last");
        const json_t *under_way = json_object_get(j, "under_way");
        bool serves = json_get_boolean(unit, "serves_current", false), colour = screen_has_colour(s->screen);

        bool known = !json_is_null(json_object_get(unit, "serves_current"));

        printf("%s●%s %s: %s\n",
                        !colour || !known ? ""
                        : serves          ? "\x1b[32m"
                                          : "\x1b[31m",
                        colour ? "\x1b[0m" : "", json_get_string(j, "app"),
                        json_get_string(j, "current") ?: "no release is active");
        printf("%12s: %s, %s (%s)%s\n", "service", json_get_string(unit, "name"),
                        json_get_string(unit, "active"), json_get_string(unit, "sub"),
                        serves || !json_get_string(j, "current") ? ""
                        : known                                  ? ", not running from the current release"
                                : ", and only root can see from which release");
        if (under_way)
                printf("%12s: %s%s%s, by %s, since %s, at stage %s\n", "under way",
                                json_get_string(under_way, "verb") ?: "?",
                                json_get_string(under_way, "version") ? " " : "",
                                json_get_string(under_way, "version") ?: "",
                                json_get_string(under_way, "by") ?: "?",
                                json_get_string(under_way, "since") ?: "?",
                                json_get_string(under_way, "stage") ?: "plan");
        if (last)
                printf("%12s: %s %s, %s: %s\n", "last", json_get_string(last, "verb"),
                                json_get_string(last, "version"), json_get_string(last, "ended"),
                                json_get_string(last, "text"));
        print_notes(j);
}

int verb_status(Session *s, const Arguments *a, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE | APP_SERVICE | APP_TOLERANT, &app, e);
        if (r >= 0)
                r = gather(&app, &j, e);
        if (r < 0)
                return r;
        if (screen_is_json(s->screen))
                screen_json(s->screen, j);
        else
                print_status(s, j);
        if (json_object_get(j, "under_way") &&
                        (arguments_flag(a, "follow") ||
                                        (isatty(STDOUT_FILENO) && !screen_is_json(s->screen))))
                return submit_attach(s, &app, e);
        return 0;
}
