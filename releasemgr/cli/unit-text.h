#pragma once

/* The units that init writes: text, no I/O. All return what the caller owns, or NULL when memory ran out. */

#include "base/util.h"

/* Borrowed; NULL where nothing was said. */
typedef struct UnitOptions {
        const char *app;
        const char *apps; /* the directory of all apps, /opt */
        const char *exec; /* the command */
        const char *type; /* NULL: exec, or notify with a handover */
        const char *user;
        const char *listen;  /* what the socket listens on; NULL: there is no socket */
        const char *service; /* what the socket starts when a client comes and nothing runs */
        const char *program; /* releasemgr itself */
} UnitOptions;

/* APP.service for Strategy=restart and reload: runs from `current`. */
char *unit_text_service(const UnitOptions *o);

/* APP.socket, for all strategies. */
char *unit_text_socket(const UnitOptions *o);

/* The units of a handover: APP@.service, an instance for each release, on the socket if there is one; and APP.service,
 * which starts the instance that `current` names. */
char *unit_text_template(const UnitOptions *o);
char *unit_text_entry(const UnitOptions *o);
