/* start: the release that `current` names. With a handover the app's plain unit does this at boot, and when a client comes
 * before any instance runs. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "base/text.h"
#include "cli/app.h"
#include "cli/verbs.h"

/* A client that waits has us started again as soon as what we started has ended, if it could start at all; and systemd
 * closes the socket, and refuses whoever waits, after 20 starts in 2 s (TriggerLimitBurst= in systemd.socket(5)). */
#define PACE_USEC USEC_PER_SEC

/* Waits until the app's plain unit has not run for long enough. */
static int keep_pace(const App *app) {
        const char *template = app->deploy.unit;
        _cleanup_free_ char *name = text_format("%.*s.service", (int) strcspn(template, "@"), template);
        uint64_t now = clock_monotonic();
        UnitState s;

        if (!name)
                return -ENOMEM;
        if (app->deploy.strategy != STRATEGY_HANDOVER || unit_read(app->deploy.bus, name, &s, NULL) < 0 ||
                        s.inactive_enter_usec == 0 || now > s.inactive_enter_usec + PACE_USEC)
                return 0;
        return fiber_sleep(s.inactive_enter_usec + PACE_USEC - now);
}

int verb_start(Session *s, const Arguments *a, Error *e) {
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE | APP_SERVICE | APP_TOLERANT, &app, e);
        if (r < 0) {
                (void) fiber_sleep(PACE_USEC);
                return r;
        }
        r = keep_pace(&app);
        if (r >= 0)
                r = deploy_start(&app.deploy, e);
        if (r == 0)
                printf("No release is active yet: there is nothing to start.\n");
        return r < 0 ? r : 0;
}
