#pragma once

/* Commands as transient service units: they outlive us and our terminal, have a deadline that systemd itself keeps,
 * leave no process behind, and write to the journal. */

#include "host/unit.h"

/* All pointers are borrowed for the time of the call. Zero is a good value for all but the first three. */
typedef struct TransientSpec {
        const char *unit;             /* "NAME.service", not used by another one */
        const char *description;      /* for systemctl and the journal */
        char *const *argv;            /* argv[0] is an absolute path */
        char *const *after;           /* run after its end, however it ended; may be NULL */
        char *const *environment;     /* "NAME=value" */
        const char *environment_file; /* absolute; read when it starts, and may be gone at its end; may be NULL */
        const char *working_directory;
        const char *user;           /* NULL: root */
        const char *identifier;     /* SYSLOG_IDENTIFIER; NULL: the program's name */
        uint64_t timeout_usec;      /* transient_run(): from the start to the end; 0: none */
        uint64_t stop_timeout_usec; /* between SIGTERM and SIGKILL; 0: systemd's default (90 s) */
        uint64_t memory_max;        /* bytes for all its processes; 0: no limit */

        /* A command of somebody else: sees the file system read-only but for @writable and a /tmp of its own, gets no
         * new privileges, no devices and no way into the kernel. It may talk over sockets. */
        bool sandbox;
        char *const *writable; /* absolute paths */
} TransientSpec;

/* Starts it, and returns when its program was executed (Type=exec): from then on it needs nobody. The unit is gone by
 * itself after its end, however it ended. -EEXIST where a unit has this name. Suspends. */
int transient_start(
                Bus *b, const TransientSpec *spec, uint64_t deadline_usec, UnitOutcome *outcome, Error *e);

/* Kills @unit where it is at work, and leaves nothing of it behind. One that does not exist is no error. Suspends. */
int transient_end(Bus *b, const char *unit, Error *e);

typedef struct TransientResult {
        UnitState state; /* at its end */
        char **output;   /* its last lines in the journal, as in base/journal-tail.h; owned */
        uint64_t took_usec;
} TransientResult;

void transient_result_clear(TransientResult *r);

/* Runs it to its end. 0 where it ended with status 0; 1 where it did not, or was killed at its deadline, with a sentence
 * in @e; negative where it could not be run at all. @ret is set for 0 and 1. Cancelling kills it. @output_lines: of the
 * journal, 0 for none. Suspends. */
int transient_run(Bus *b, const TransientSpec *spec, size_t output_lines, TransientResult *ret, Error *e);
