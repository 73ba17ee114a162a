#pragma once

/* The last lines that a unit wrote to the system's journal since one start of it. */

#include "base/util.h"

/* Whose lines. All pointers are borrowed. */
typedef struct JournalSource {
        const char *invocation_id; /* 32 hex digits of the start; "": no line; NULL: the unit's name alone decides */
        const char *unit;          /* its canonical name; NULL: the invocation alone decides */
        uint64_t since_usec; /* CLOCK_MONOTONIC of the start, for the lines of @unit */
} JournalSource;

/* At most @lines lines, oldest first, as "NAME[PID]: TEXT": what the start's processes wrote, and what systemd said
 * about it. A process that dies as it speaks is sometimes recorded without its invocation: such lines are known
 * by their unit and time. Lines are cut at 500 bytes and freed of control characters. *@ret is a list as in
 * text.h, owned by the caller, NULL where there is no line. Asks journald first to take in what still stands
 * in its sockets. 0 or -errno. Suspends, for a second at the most. */
int journal_tail(const JournalSource *source, size_t lines, char ***ret);
