#include "cli/unit-text.h"
#include "base/text.h"

#define WRITTEN "# Written by releasemgr init; yours from now on.\n"

static int add_user(Text *t, const char *user) {
        return user ? text_addf(t, "User=%s\n", user) : 0;
}

/* systemd closes a socket whose service hits its start limit, and then clients are refused. */
static const char *start_limit(const UnitOptions *o) {
        return o->listen ? "# systemd closes the socket of a service that hits its start limit\n"
                           "StartLimitIntervalSec=0\n"
                         : "";
}

static int add_sockets(Text *t, const UnitOptions *o) {
        return o->listen ? text_addf(t, "Sockets=%s.socket\n", o->app) : 0;
}

static char *take_or_null(Text *t, int r) {
        return r < 0 ? NULL : text_take(t);
}

char *unit_text_service(const UnitOptions *o) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = text_addf(&t,
                        WRITTEN "[Unit]\n"
                                "Description=%s\n"
                                "After=network-online.target releasemgr-recover.service\n"
                                "Wants=network-online.target\n"
                                "%s"
                                "\n"
                                "[Service]\n"
                                "Type=%s\n"
                                "WorkingDirectory=%s/%s/current\n"
                                "ExecStart=%s\n"
                                "Restart=on-failure\n"
                                "RestartSec=1\n",
                        o->app, start_limit(o), o->type ?: "exec", o->apps, o->app, o->exec);
        if (r >= 0)
                r = add_sockets(&t, o);
        if (r >= 0)
                r = add_user(&t, o->user);
        if (r >= 0)
                r = text_adds(&t, "\n[Install]\nWantedBy=multi-user.target\n");
        return take_or_null(&t, r);
}

char *unit_text_template(const UnitOptions *o) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = text_addf(&t,
                        WRITTEN
                        "# One instance for each release, named after it. Two run at once while one takes\n"
                        "# over from the other; releasemgr starts and stops them.\n"
                        "[Unit]\n"
                        "Description=%s, release %%I\n"
                        "After=network-online.target\n"
                        "Wants=network-online.target\n"
                        "%s"
                        "\n"
                        "[Service]\n"
                        "Type=%s\n"
                        "WorkingDirectory=%s/%s/releases/%%I\n"
                        "ExecStart=%s\n"
                        "Restart=on-failure\n"
                        "RestartSec=1\n"
                        "# where an instance can be asked for its own health; the directory is shared by "
                        "all\n"
                        "Environment=HEALTH_SOCKET=/run/%s/%%I.sock\n"
                        "RuntimeDirectory=%s\n"
                        "RuntimeDirectoryPreserve=yes\n"
                        "# or systemd makes the shared socket blocking for whoever polls it already\n"
                        "NonBlocking=yes\n",
                        o->app, start_limit(o), o->type ?: "notify", o->apps, o->app, o->exec, o->app,
                        o->app);
        if (r >= 0)
                r = add_sockets(&t, o);
        if (r >= 0)
                r = add_user(&t, o->user);
        return take_or_null(&t, r);
}

char *unit_text_socket(const UnitOptions *o) {
        return text_format(WRITTEN "# Held by systemd, and given to the service: no connection is refused; "
                                   "while no release\n"
                                   "# runs, they wait.\n"
                                   "[Unit]\n"
                                   "Description=Socket of %s\n"
                                   "\n"
                                   "[Socket]\n"
                                   "ListenStream=%s\n"
                                   "Service=%s\n"
                                   "\n"
                                   "[Install]\n"
                                   "WantedBy=sockets.target\n",
                        o->app, o->listen, o->service);
}

char *unit_text_entry(const UnitOptions *o) {
        _cleanup_free_ char *socket = o->listen ? text_format("Requires=%s.socket\n", o->app) : strdup("");
        _cleanup_free_ char *after = o->listen ? text_format(" %s.socket", o->app) : strdup("");

        if (!socket || !after)
                return NULL;
        return text_format(WRITTEN
                        "# Starts the instance of the release that %s/%s/current names: at boot, and when a\n"
                        "# client comes while none runs.\n"
                        "[Unit]\n"
                        "Description=Start the current release of %s\n"
                        "%s%s"
                        "After=releasemgr-recover.service%s\n"
                        "\n"
                        "[Service]\n"
                        "Type=oneshot\n"
                        "ExecStart=%s --app=%s start\n"
                        "\n"
                        "[Install]\n"
                        "WantedBy=multi-user.target\n",
                        o->apps, o->app, o->app, socket, start_limit(o), after, o->program, o->app);
}
