#pragma once

/* Units of systemd: their state, and the four things that we ask systemd to do with them.
 * All deadlines are absolute, on clock_monotonic(); USEC_INFINITY is none. */

#include <sys/types.h>

#include "base/error.h"
#include "base/wakeup.h"
#include "host/bus.h"

#define UNIT_NAME_MAX 256

/* Properties of the interfaces Unit and Service, under their own names (org.freedesktop.systemd1(5)). Holds no
 * memory: copy it as you like. */
typedef struct UnitState {
        char id[UNIT_NAME_MAX]; /* the unit's canonical name, which may differ from the name asked for (alias) */
        char load_state[16];    /* loaded, not-found, masked, bad-setting, error */
        char active_state[16];    /* active, reloading, inactive, failed, activating, deactivating */
        char sub_state[24];       /* running, dead, auto-restart, start-pre, ... */
        char unit_file_state[24]; /* enabled, disabled, static, ... "" for transient units */
        char type[16];            /* simple, exec, notify, ...; "" where it is not a service */
        char result[24]; /* success, exit-code, signal, timeout, oom-kill, watchdog, start-limit-hit, ... */
        char invocation_id[33];     /* 32 hex digits of the last start, "" if never started */
        pid_t main_pid;             /* 0: none */
        unsigned n_restarts;        /* by Restart=, since the last start by hand */
        int exec_main_code;         /* CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0 while it runs */
        int exec_main_status;       /* exit status or signal */
        uint64_t active_enter_usec; /* CLOCK_MONOTONIC, 0: never */
        uint64_t active_exit_usec;
        uint64_t inactive_exit_usec; /* when the last start began */
        uint64_t inactive_enter_usec;
        uint64_t exec_main_start_usec;
        uint64_t timeout_stop_usec; /* TimeoutStopUSec= */
        uint64_t memory_current;    /* bytes; UINT64_MAX: unknown */
        bool need_daemon_reload;    /* its file changed on disk since it was loaded */
        char control_group[512];    /* below /sys/fs/cgroup; "" where it has none */
} UnitState;

/* Reads the state of @unit. A unit that does not exist has load_state "not-found" and is no error. Suspends. */
int unit_read(Bus *b, const char *unit, UnitState *ret, Error *e);

/* As above, but a unit that cannot be started (not found, masked, broken file) is an error of class
 * ERROR_FAILED with a hint: -ENOENT, -ERFKILL, -ENOEXEC. Suspends. */
int unit_require(Bus *b, const char *unit, UnitState *ret, Error *e);

/* The same of what was read already, under the name @unit. No I/O. */
int unit_require_loaded(const UnitState *s, const char *unit, Error *e);

/* The unit's last lines in the journal since its last start, as base/journal-tail.h says. Suspends. */
int unit_tail(const UnitState *s, size_t lines, char ***ret);

/* As above, of a unit that was started once, and may be forgotten by now: systemd need not know it any more. */
int unit_tail_by_name(const char *unit, size_t lines, char ***ret);

bool unit_is_active(const UnitState *s);

/* What a job came to, for reports. Filled whenever the verb below got as far as a job, also where it failed. */
typedef struct UnitOutcome {
        char job_result[16]; /* done, canceled, timeout, failed, dependency, skipped, ...; "" where it was not awaited */
        UnitState state; /* at the end, or at the failure that ended the wait */
        uint64_t took_usec;
        bool killed; /* it did not stop in time */
} UnitOutcome;

/* Ask systemd and wait for the very job that it made. Success is the job's "done". What a process takes to stop before the
 * next one is started, up to the unit's TimeoutStopSec=, comes on top of the deadline. The wait ends at once when the
 * unit fails, even where Restart= would try again: -EIO. -ETIMEDOUT at the deadline; the job is then left
 * alone. -EBUSY where somebody else's job took the place of ours. @outcome may be NULL. All suspend. */
int unit_start(Bus *b, const char *unit, uint64_t deadline_usec, UnitOutcome *outcome, Error *e);
int unit_start_known(Bus *b, const UnitState *before, uint64_t deadline_usec, UnitOutcome *outcome,
                Error *e); /* loaded, as just read */
int unit_stop(Bus *b, const char *unit, uint64_t deadline_usec, UnitOutcome *outcome, Error *e);
int unit_reload(Bus *b, const char *unit, uint64_t deadline_usec, UnitOutcome *outcome, Error *e);

/* The same, and what has not stopped by @kill_usec is killed; USEC_INFINITY: it is not. */
int unit_stop_or_kill(Bus *b, const char *unit, uint64_t kill_usec, uint64_t deadline_usec,
                UnitOutcome *outcome, Error *e);
int unit_restart(Bus *b, const char *unit, uint64_t kill_usec, uint64_t deadline_usec, UnitOutcome *outcome,
                Error *e);

/* Forgets failures and the start limit's count: to be called before going back, or the old release is refused for
 * the starts of the new one. A unit that is not loaded has nothing to forget: 0. Suspends. */
int unit_reset_failed(Bus *b, const char *unit, Error *e);

/* Sends @signal to all processes of the unit ("all") or to its main one ("main"). Suspends. */
int unit_kill(Bus *b, const char *unit, const char *whom, int signal, Error *e);

/* Makes systemd read its files again. Suspends. */
int manager_reload(Bus *b, Error *e);

/* Enables @units (a list as in text.h), links replaced; to be followed by manager_reload(). Suspends. */
int manager_enable(Bus *b, char *const *units, Error *e);

/* Sets @wakeup whenever systemd announces a change of the unit @id, from now on, and whenever the connection was made
 * anew. @id is the unit's canonical name, as in its state: signals come under no alias. @b and @wakeup must outlive the
 * watch. */
typedef struct UnitWatch UnitWatch;
int unit_watch_new(Bus *b, const char *id, Wakeup *wakeup, UnitWatch **ret);
UnitWatch *unit_watch_free(UnitWatch *w);

DEFINE_CLEANUP(UnitWatch, unit_watch_free);
