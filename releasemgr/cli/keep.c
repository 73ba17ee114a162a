/* What a person tells the host to remember: hold, unhold, pin, unpin, quarantine; and prune. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/table.h"
#include "cli/app.h"
#include "cli/verbs.h"
#include "deploy/ledger.h"

/* Opens the app and its ledger, runs @change, and says @done on success. */
static int change_ledger(Session *s, const Arguments *a,
                int (*change)(App *app, Ledger *l, const Arguments *a, Error *e), const char *done,
                Error *e) {
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE, &app, e);
        if (r >= 0)
                r = ledger_load(app.deploy.state_fd, &l, e);
        if (r >= 0)
                r = change(&app, l, a, e);
        if (r < 0)
                return r;
        if (ledger_unsynced(l) < 0)
                progress_warn(app.progress, LEDGER_UNSYNCED, strerror(-ledger_unsynced(l)));
        if (!screen_is_json(s->screen))
                puts(done);
        return 0;
}

static int hold(App *app, Ledger *l, const Arguments *a, Error *e) {
        return ledger_hold(l, app->user, arguments_option(a, "reason") ?: "held by hand", clock_now(), e);
}

int verb_hold(Session *s, const Arguments *a, Error *e) {
        return change_ledger(s, a, hold, "pull leaves the app alone, until releasemgr unhold", e);
}

static int unhold(App *app _unused_, Ledger *l, const Arguments *a _unused_, Error *e) {
        return ledger_unhold(l, e);
}

int verb_unhold(Session *s, const Arguments *a, Error *e) {
        return change_ledger(s, a, unhold, "pull follows the channel again", e);
}

/* Only what is here can be pinned: anything else is a typing error. */
static int require_release(App *app, const char *version, Error *e) {
        if (store_has(app->deploy.store, version))
                return 0;
        error_set(e, ERROR_USAGE, -ENOENT, "release %s is not on this host", version);
        return error_hint(e, -ENOENT, "releasemgr list shows what is");
}

static int pin(App *app, Ledger *l, const Arguments *a, Error *e) {
        int r = require_release(app, a->positional[0], e);

        return r < 0 ? r : ledger_pin(l, a->positional[0], true, e);
}

int verb_pin(Session *s, const Arguments *a, Error *e) {
        return change_ledger(s, a, pin, "prune keeps the release, until releasemgr unpin", e);
}

static int unpin(App *app _unused_, Ledger *l, const Arguments *a, Error *e) {
        return ledger_pin(l, a->positional[0], false, e);
}

int verb_unpin(Session *s, const Arguments *a, Error *e) {
        return change_ledger(s, a, unpin, "prune may remove the release again", e);
}

static int lift(App *app _unused_, Ledger *l, const Arguments *a, Error *e) {
        int n = ledger_lift(l, a->positional[0], e);

        if (n != 0)
                return n;
        error_set(e, ERROR_USAGE, -ENOENT, "release %s is not in quarantine", a->positional[0]);
        return error_hint(e, -ENOENT, "releasemgr quarantine list names what is");
}

int verb_quarantine_lift(Session *s, const Arguments *a, Error *e) {
        return change_ledger(s, a, lift, "the release may be activated again", e);
}

typedef struct Quarantine {
        Session *session;
        Table *table;
} Quarantine;

static void show_quarantined(const char *digest, const char *version, const char *reason, const char *since,
                void *userdata) {
        Quarantine *q = userdata;

        if (q->table) {
                const char *cells[] = {version, since, reason};

                (void) table_add(q->table, cells);
        } else {
                json_t *j = json_pack("{ss ss ss ss}", "version", version, "digest", digest, "since", since,
                                "reason", reason);

                if (j)
                        screen_json(q->session->screen, j);
                json_decref(j);
        }
}

int verb_quarantine_list(Session *s, const Arguments *a, Error *e) {
        static const TableColumn columns[] = {{"VERSION", false}, {"SINCE", false}, {"REASON", false}};
        _cleanup_(ledger_free_p) Ledger *l = NULL;
        _cleanup_(table_free_p) Table *t = NULL;
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE, &app, e);
        if (r >= 0)
                r = app_read_ledger(&app, &l, e);
        if (r >= 0 && !screen_is_json(s->screen))
                r = table_new(columns, ELEMENTS_OF(columns), screen_has_colour(s->screen), &t);
        if (r < 0)
                return r;
        ledger_each_quarantined(l, show_quarantined, &(Quarantine){s, t});
        if (t && table_is_empty(t))
                puts("nothing is in quarantine");
        else if (t)
                r = table_print(t, stdout);
        return r < 0 ? r : 0;
}

/* Below another root nothing runs. */
int verb_prune(Session *s, const Arguments *a, Error *e) {
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, *s->root ? APP_STORE : APP_STORE | APP_SERVICE, &app, e);
        if (r >= 0)
                r = deploy_prune(&app.deploy, e);
        if (r == 0 && !screen_is_json(s->screen))
                puts("nothing to remove");
        return r < 0 ? r : 0;
}
