#pragma once

/* How a unit is set up, and what of that stands in the way of changing its release. */

#include "host/unit.h"

#define UNIT_USER_MAX 256

/* Properties under their own names (org.freedesktop.systemd1(5)). Holds no memory. */
typedef struct UnitSetup {
        char id[UNIT_NAME_MAX];
        char type[16];
        char kill_mode[16];
        char user[UNIT_USER_MAX];     /* "": root */
        char working_directory[4096]; /* "" where none is set; "!" before it: it may be missing */
        char exec_start[4096];        /* the words of the first command; "": unknown */
        char start_limit_action[24];  /* none, reboot, poweroff, exit, ... */
        char failure_action[24];
        char triggered_by[1024];   /* sockets, timers, ...: names with spaces between */
        uint64_t start_limit_usec; /* StartLimitIntervalUSec=; 0: there is no limit */
        char condition[64];        /* the first ConditionXXX= it has; "" where it has none */
        bool can_reload;
        bool non_blocking;
        bool remain_after_exit;
} UnitSetup;

/* What is going to be done with the unit. Borrows its texts. */
typedef struct UnitUse {
        bool reload;          /* it is reloaded, not restarted */
        bool beside;          /* another instance of its template runs at the same time */
        const char *current;  /* the link that names the release which runs */
        const char *releases; /* the directory of all releases */
        const char *socket;   /* a socket that is there for the app; NULL: there is none */
        bool prove;           /* the process is to be proved to run the release */
        bool asked;           /* its health is asked, and not only its state */
} UnitUse;

/* Suspends. */
int unit_read_setup(Bus *b, const char *unit, UnitSetup *ret, Error *e);

/* One sentence for each thing that stands in the way, each says what to do; NULL where there is nothing. Owned by the
 * caller. No I/O. */
int unit_obstacles(const UnitSetup *s, const UnitUse *use, char ***ret);

/* The same of the plain unit beside a template, which starts an instance whenever a client comes and none runs. */
int unit_entry_obstacles(const UnitSetup *s, char ***ret);

/* What could be better, as one sentence; NULL where there is nothing. Static. No I/O. */
const char *unit_advice(const UnitSetup *s, const UnitUse *use);
