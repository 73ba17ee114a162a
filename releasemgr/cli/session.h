#pragma once

/* What one run of the program has: its loop, its screen, its options; and, once asked for, the configuration. */

#include <systemd/sd-event.h>

#include "cli/config.h"
#include "cli/screen.h"
#include "cli/verb.h"

struct Session {
        sd_event *event;
        int signal; /* the last one that asked us to end; 0: none */
        Screen *screen;
        const char *root; /* "" for the host itself; borrowed from argv */
        char *app;        /* once session_app() chose it */
        Config *config;   /* once session_config() read it */
        bool tolerant;    /* what is wrong in the configuration is a warning: for what must always work */
};

/* The apps that are configured below @root, sorted; owned by the caller, NULL where there is none. */
int session_list_apps(const char *root, char ***ret, Error *e);

/* From here on the session is about @app. */
int session_use_app(Session *s, const char *app);

/* The app that the command is about: --app, or the only one configured. Borrowed from the session. ERROR_USAGE. */
int session_app(Session *s, const Arguments *a, const char **ret, Error *e);

/* The configuration of that app. Borrowed from the session. */
int session_config(Session *s, const Arguments *a, const Config **ret, Error *e);

/* Who typed the command, for the history: "alice (uid 1000)" through sudo, or "root". Owned by the caller. */
char *session_user(void);

void session_clear(Session *s);
