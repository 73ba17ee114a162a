#include <errno.h>
#include <pwd.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/prefix.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/session.h"

int session_list_apps(const char *root, char ***ret, Error *e) {
        _cleanup_free_ char *directory = prefix_path(root, PREFIX_CONFIG, NULL);
        _cleanup_strv_ char **names = NULL, **apps = NULL;
        int r;

        if (!directory)
                return -ENOMEM;
        r = fs_list_directory(AT_FDCWD, directory, &names);
        if (r < 0 && r != -ENOENT)
                return error_errno(e, r, "cannot look for configured apps in %s", directory);
        for (char **i = names; i && *i; i++) {
                if (!endswith(*i, ".conf"))
                        continue;
                (*i)[strlen(*i) - strlen(".conf")] = 0;
                if (strv_add(&apps, *i) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE(apps);
        return 0;
}

static int choose_app(Session *s, char **ret, Error *e) {
        _cleanup_strv_ char **apps = NULL;
        int r;

        r = session_list_apps(s->root, &apps, e);
        if (r < 0)
                return r;
        if (strv_length(apps) == 1) {
                *ret = strdup(apps[0]);
                return *ret ? 0 : -ENOMEM;
        }
        if (!apps) {
                error_set(e, ERROR_USAGE, -ENOENT, "no app is configured on this host");
                return error_hint(e, -ENOENT, "releasemgr init APP --url URL sets one up");
        }
        error_set(e, ERROR_USAGE, -ENOTUNIQ, "more than one app is configured on this host");
        return error_hint(e, -ENOTUNIQ, "say which with --app=%s or another", apps[0]);
}

int session_use_app(Session *s, const char *app) {
        s->config = config_free(s->config);
        free(s->app);
        s->app = strdup(app);
        return s->app ? 0 : -ENOMEM;
}

int session_app(Session *s, const Arguments *a, const char **ret, Error *e) {
        const char *given = arguments_option(a, "app");
        int r;

        if (!s->app && given) {
                if (!version_is_valid(
                                    given)) /* the same letters: it becomes a file name and part of a unit's */
                        return error_set(e, ERROR_USAGE, -EINVAL, "--app=%s: expected letters, digits, . - _",
                                        given);
                s->app = strdup(given);
                if (!s->app)
                        return -ENOMEM;
        } else if (!s->app) {
                r = choose_app(s, &s->app, e);
                if (r < 0)
                        return r;
        }
        *ret = s->app;
        return 0;
}

/* Something in the configuration is wrong, and must not stop a rollback. */
static void warn_of_config(const Error *e, int r, void *userdata) {
        _cleanup_json_ json_t *event = json_pack(
                        "{ss ss ss*}", "event", "warning", "text", error_message(e, r), "hint", e->hint);

        if (event)
                screen_event(event, userdata);
}

int session_config(Session *s, const Arguments *a, const Config **ret, Error *e) {
        const char *app;
        int r;

        if (!s->config) {
                r = session_app(s, a, &app, e);
                if (r >= 0 && s->tolerant)
                        r = config_load_tolerant(s->root, app, warn_of_config, s->screen, &s->config, e);
                else if (r >= 0)
                        r = config_load(s->root, app, &s->config, e);
                if (r < 0)
                        return r;
        }
        *ret = s->config;
        return 0;
}

char *session_user(void) {
        const char *name = getenv("SUDO_USER"), *uid = getenv("SUDO_UID");
        struct passwd *pw;

        if (name && uid)
                return text_format("%s (uid %s)", name, uid);
        pw = getpwuid(getuid());
        return pw ? strdup(pw->pw_name) : text_format("uid %u", (unsigned) getuid());
}

void session_clear(Session *s) {
        s->config = config_free(s->config);
        s->screen = screen_free(s->screen);
        free(s->app);
        sd_event_unref(s->event);
}
