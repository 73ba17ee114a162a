/* start: the release that `current` names. With a handover the app's plain unit does this at boot, and when a client comes
 * before any instance runs. */

#include <stdio.h>

#include "cli/app.h"
#include "cli/verbs.h"

int verb_start(Session *s, const Arguments *a, Error *e) {
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE | APP_SERVICE, &app, e);
        if (r >= 0)
                r = deploy_start(&app.deploy, e);
        if (r == 0)
                printf("No release is active yet: there is nothing to start.\n");
        return r < 0 ? r : 0;
}
