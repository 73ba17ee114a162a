#pragma once

/* The proof that a running process was started from a release's own directory (promise 6). */

#include <sys/types.h>

#include "base/error.h"
#include "host/bus.h"

typedef enum ProveProcess {
        PROVE_AUTO, /* the executable or the working directory */
        PROVE_EXE,
        PROVE_CWD,
        PROVE_OFF,
} ProveProcess;

/* "auto", "exe", "cwd", or "off" and why, which is borrowed in @ret_why (may be NULL; NULL where it is not off). -EINVAL. */
int prove_process_from_string(const char *s, ProveProcess *ret, const char **ret_why);

typedef struct ProcessProof {
        bool proven;
        const char *by; /* "exe" or "cwd" where proven; static */
        pid_t pid;
        char *exe; /* what /proc/PID/exe and cwd name; owned; NULL where unreadable */
        char *cwd;
} ProcessProof;

void process_proof_clear(ProcessProof *p);

/* Looks once. 0 with the verdict in @ret; -ESRCH where there is no such process. */
int process_prove(pid_t pid, const char *release_directory, ProveProcess how, ProcessProof *ret);

/* Whether the caller may not see where @pid was started from: another user's process, for one that is not root. */
bool process_is_hidden(pid_t pid);

/* Proves that the main process of @unit runs from @release_directory (absolute; links are followed). Looks again until
 * @deadline_usec (clock_monotonic()) while the process is still systemd's own child before its exec. -ESTALE with a
 * sentence and a hint where it does not hold, -ENODATA where that cannot be told; 0 at once with PROVE_OFF. @ret may be
 * NULL. Suspends. */
int unit_prove_process(Bus *b, const char *unit, const char *release_directory, ProveProcess how,
                uint64_t deadline_usec, ProcessProof *ret, Error *e);
