/* The verbs that run a deployment: activate, rollback, pull, recover. */

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/prefix.h"
#include "base/text.h"
#include "cli/announce.h"
#include "cli/app.h"
#include "cli/submit.h"
#include "cli/verbs.h"

#define NEEDS_ALL (APP_STORE | APP_SERVICE | APP_PROBES | APP_NETWORK | APP_DATABASE)

/* A rollback needs no network and no faultless configuration; a database is asked where one answers. */
static AppNeeds needs_of(PlanGoal goal) {
        return goal == GOAL_ROLLBACK ? APP_STORE | APP_SERVICE | APP_PROBES | APP_DATABASE | APP_TOLERANT
                                     : NEEDS_ALL;
}

/* How long --wait waits for another deployment. */
static int parse_wait(const Arguments *a, App *app, Error *e) {
        const char *wait = arguments_option(a, "wait");

        if (!wait)
                return 0;
        if (span_from_text(wait, &app->deploy.wait_usec) < 0)
                return error_set(e, ERROR_USAGE, -EINVAL, "--wait=%s: expected a time span such as 5min",
                                wait);
        return 0;
}

static int run_here(App *app, const DeployRequest *request, Error *e) {
        DeployReport report = {0};
        int r;

        /* The database's name is looked up by the C library, which waits: in an emergency not for long. */
        if (request->goal == GOAL_ROLLBACK && setenv("RES_OPTIONS", "timeout:1 attempts:1", false) < 0)
                return -errno;
        r = deploy_run(&app->deploy, request, &report, e);
        if (r >= 0) {
                announce(app, &report);
                r = report.class;
        }
        deploy_report_clear(&report);
        return r;
}

/* The work is the host's: it runs in a unit of its own, unless we are in one already, or below another root. */
static int run(Session *s, const Arguments *a, const DeployRequest *request, Error *e) {
        bool here = arguments_flag(a, "foreground") || *s->root;
        /* who only submits it opens nothing that the one who does it opens again */
        AppNeeds needs = here ? needs_of(request->goal)
                              : APP_STORE | APP_SERVICE | (needs_of(request->goal) & APP_TOLERANT);
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, needs, &app, e);
        if (r >= 0)
                r = parse_wait(a, &app, e);
        if (r < 0)
                return r;
        return here ? run_here(&app, request, e) : submit_run(s, a, &app, request, e);
}

int verb_activate(Session *s, const Arguments *a, Error *e) {
        const char *version = a->positional[0];

        return run(s, a,
                        &(DeployRequest){.goal = GOAL_ACTIVATE,
                                        .version = streq(version, "latest") ? NULL : version},
                        e);
}

int verb_pull(Session *s, const Arguments *a, Error *e) {
        return run(s, a, &(DeployRequest){.goal = GOAL_PULL}, e);
}

int verb_rollback(Session *s, const Arguments *a, Error *e) {
        return run(s, a,
                        &(DeployRequest){.goal = GOAL_ROLLBACK,
                                        .version = a->positional[0],
                                        .verify = arguments_flag(a, "verify")},
                        e);
}

/* Opens the file that whoever submitted @id follows: before anything else, so that they hear of everything. */
static int open_progress(Session *s, const Arguments *a, const char *id, Error *e) {
        _cleanup_free_ char *file = progress_file(id), *path = NULL;
        const char *app;
        int fd, r;

        r = session_app(s, a, &app, e);
        if (r < 0)
                return r;
        path = file ? prefix_path(s->root, PREFIX_RUN, app, file, NULL) : NULL;
        if (!path)
                return -ENOMEM;
        fd = fd_openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        return fd < 0 ? error_errno(e, -errno, "cannot open %s", path) : fd;
}

static int run_submitted(
                Session *s, const Arguments *a, const DeployRequest *request, int *progress, Error *e) {
        const char *by = arguments_option(a, "by");
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, needs_of(request->goal), &app, e);
        if (r < 0)
                return r;
        progress_listen(app.progress, progress_to_file, progress);
        app.deploy.by = by ?: app.user;
        r = parse_wait(a, &app, e);
        return r < 0 ? r : run_here(&app, request, e);
}

/* The process that submit_run() starts: its screen is a file. */
int verb_run(Session *s, const Arguments *a, Error *e) {
        DeployRequest request = {.version = a->positional[1],
                        .id = arguments_option(a, "id"),
                        .verify = arguments_flag(a, "verify")};
        _cleanup_close_ int fd = -1;
        int r;

        if (!request.id || !id_is_valid(request.id) ||
                        plan_goal_from_name(a->positional[0], &request.goal) < 0)
                return error_set(e, ERROR_USAGE, -EINVAL, "run is for releasemgr itself");
        fd = open_progress(s, a, request.id, e);
        if (fd < 0)
                return fd;
        r = run_submitted(s, a, &request, &fd, e);
        if (r < 0) {
                _cleanup_json_ json_t *event = error_event(e, r);

                if (event)
                        progress_to_file(event, &fd);
        }
        return r;
}

/* One app. At boot systemd has not started the service, and nothing but files is touched. */
static int recover_app(Session *s, const Arguments *a, bool boot, Error *e) {
        DeployReport report = {0};
        _cleanup_app_ App app;
        int r;

        r = app_open(s, a, APP_STORE | APP_TOLERANT | (boot ? 0 : APP_SERVICE | APP_PROBES), &app, e);
        if (r >= 0)
                r = parse_wait(a, &app, e);
        if (r >= 0)
                r = deploy_recover(&app.deploy, boot, &report, e);
        if (r >= 0) {
                announce(&app, &report);
                r = report.class == ERROR_UNHEALTHY ? ERROR_UNHEALTHY : 0;
        }
        deploy_report_clear(&report);
        return r;
}

/* Every app, unless one is named. What is wrong with one does not keep the others from recovering. */
int verb_recover(Session *s, const Arguments *a, Error *e) {
        bool boot = arguments_flag(a, "boot");
        _cleanup_strv_ char **apps = NULL;
        int r, worst = 0;

        if (arguments_option(a, "app"))
                return recover_app(s, a, boot, e);
        r = session_list_apps(s->root, &apps, e);
        if (r < 0)
                return r;
        for (char **i = apps; i && *i; i++) {
                _cleanup_error_ Error error = ERROR_INIT;

                r = session_use_app(s, *i);
                if (r >= 0)
                        r = recover_app(s, a, boot, &error);
                if (r < 0) {
                        error_prefix(&error, r, "%s: ", *i);
                        screen_error(s->screen, &error, r);
                        r = error.class ?: ERROR_FAILED;
                }
                worst = MAX_OF(worst, r);
        }
        return worst;
}
