#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "deploy/hook.h"
#include "deploy/service.h"
#include "host/transient.h"
#include "host/unit-setup.h"
#include "observe/mask.h"

#define OUTPUT_LINES 20
#define LINE_SHOWN   200

static char *unit_name(const Deploy *d, Hook hook, const char *whose) {
        return text_format("releasemgr-hook-%s-%s-%s.service", d->id, hook_name(hook), whose);
}

int hooks_wanted(Deploy *d, unsigned *ret, Error *e) {
        _cleanup_close_ int release = -1;
        unsigned found = 0;
        int r = 0;

        if (store_has(d->o->store, d->target)) {
                r = release = store_open_release(d->o->store, d->target, e);
                if (r >= 0)
                        r = hooks_find(release, &found, e);
                if (r == -EINVAL) { /* a file of that name from before the publisher could be told */
                        error_clear(e);
                        r = 0;
                }
        } else if (d->bundle)
                found = d->bundle->info->hooks;
        for (Hook h = 0; h < _HOOK_MAX; h++)
                if (d->o->hooks.argv[h])
                        found |= HOOK_BIT(h);
        *ret = found;
        return MIN_OF(r, 0);
}

/* What it wrote, without what systemd says of its start and end. */
static json_t *describe_output(char *const *lines) {
        json_t *l = json_array();

        for (char *const *i = lines; l && i && *i; i++) {
                const char *text = strstr(*i, "]: ");
                _cleanup_free_ char *shown = NULL;

                if (startswith(*i, "systemd[1]: "))
                        continue;
                text = text ? text + 3 : *i;
                shown = text_excerpt(text, strlen(text), LINE_SHOWN);
                if (shown)
                        (void) json_array_append_new(l, json_string(shown));
        }
        return l;
}

static int remember(Deploy *d, Hook hook, const char *program, int ran, const TransientResult *result,
                const Error *e) {
        json_t *o = json_pack("{ss ss sb sI ss* so*}", "hook", hook_name(hook), "program", program, "ok",
                        ran == 0, "took", (json_int_t) result->took_usec, "sentence",
                        ran == 0 ? NULL : error_message(e, -EIO), "output", describe_output(result->output));

        if (!d->hooks)
                d->hooks = json_array();
        return d->hooks && json_array_append_new(d->hooks, o) == 0 ? 0 : -ENOMEM;
}

static int describe_environment(const Deploy *d, Hook hook, char ***ret) {
        int r;

        r = strv_addf(ret, "RELEASEMGR_APP=%s", d->o->app);
        if (r >= 0)
                r = strv_addf(ret, "RELEASEMGR_DEPLOYMENT=%s", d->id);
        if (r >= 0)
                r = strv_addf(ret, "RELEASEMGR_HOOK=%s", hook_name(hook));
        if (r >= 0)
                r = strv_addf(ret, "RELEASEMGR_VERSION=%s", d->target);
        if (r >= 0)
                r = strv_addf(ret, "RELEASEMGR_FROM=%s", d->from ?: "");
        return r < 0 ? r : strv_addf(ret, "RELEASEMGR_REASON=%s", d->reason ?: "");
}

/* Who runs it: whom the configuration names, or the user of the service. */
static int find_user(Deploy *d, char ret[static UNIT_USER_MAX], Error *e) {
        if (!d->o->hooks.user)
                return service_user(d->o, d->target, ret, e);
        (void) snprintf(ret, UNIT_USER_MAX, "%s", d->o->hooks.user);
        return 0;
}

/* "-/opt/APP/shared": what a hook may write to, where there is such a directory. */
static char *shared_path(const Store *s) {
        _cleanup_free_ char *release = store_release_path(s, "0");

        if (!release)
                return NULL;
        *strrchr(release, '/') = '\0'; /* /opt/APP/releases */
        *strrchr(release, '/') = '\0';
        return text_format("-%s/shared", release);
}

/* @directory: of the release, where it is the release's own; NULL: the operator's. */
static int run_program(Deploy *d, Hook hook, char *const *argv, const char *directory, Error *e) {
        _cleanup_free_ char *unit = unit_name(d, hook, directory ? "release" : "host");
        _cleanup_free_ char *shared = shared_path(d->o->store);
        _cleanup_free_ char *description = text_format("%s: %s of %s", d->o->app, hook_name(hook), d->target);
        _cleanup_(transient_result_clear) TransientResult result = {0};
        _cleanup_strv_ char **environment = NULL;
        _cleanup_error_ Error error = ERROR_INIT;
        char user[UNIT_USER_MAX];
        int r, run;

        if (!unit || !description || !shared || describe_environment(d, hook, &environment) < 0)
                return -ENOMEM;
        r = d->recovering ? transient_end(d->o->bus, unit, e) : 0;
        if (r >= 0)
                r = find_user(d, user, e);
        if (r < 0)
                return r;
        const TransientSpec spec = {.unit = unit,
                        .description = description,
                        .argv = argv,
                        .environment = environment,
                        .working_directory = directory,
                        .user = isempty(user) ? NULL : user,
                        .timeout_usec = d->o->hooks.timeout_usec,
                        .sandbox = true,
                        .writable = (char *const[]){shared, NULL}};
        run = transient_run(d->o->bus, &spec, OUTPUT_LINES, &result, &error);
        if (run >= 0)
                r = remember(d, hook, argv[0], run, &result, &error);
        error_move(e, &error);
        return r < 0 ? r : run;
}

static int run_of_release(Deploy *d, Hook hook, Error *e) {
        _cleanup_free_ char *directory = store_release_path(d->o->store, d->target), *path = NULL;

        path = directory ? text_format("%s/%s", directory, hook_path(hook)) : NULL;
        if (!path)
                return -ENOMEM;
        if (access(path, X_OK) < 0)
                return 0;
        return run_program(d, hook, (char *const[]){path, NULL}, directory, e);
}

int hook_run(Deploy *d, Hook hook, Error *e) {
        int r = 0;

        if (d->o->hooks.argv[hook])
                r = run_program(d, hook, d->o->hooks.argv[hook], NULL, e);
        return r != 0 ? r : run_of_release(d, hook, e);
}

int hook_end(Deploy *d, Hook hook, Error *e) {
        static const char *const whose[] = {"host", "release"};
        int r = 0;

        for (size_t i = 0; i < ELEMENTS_OF(whose) && r >= 0; i++) {
                _cleanup_free_ char *unit = unit_name(d, hook, whose[i]);

                r = unit ? transient_end(d->o->bus, unit, e) : -ENOMEM;
        }
        return r;
}
