#pragma once

/* Follows a deployment that runs in a process of its own, by the file into which it writes its progress. */

#include "cli/screen.h"

/* What tells that something was appended to the file @fd; the descriptor is the caller's. */
int follow_watch(int fd);

/* Shows the events of the file @fd on the screen as they are appended (@watch is its follow_watch()), from its beginning on, until one ends the
 * deployment @id; returns that one's exit code. The recovery of another one, which may come first, is shown and ends
 * nothing. With @until_healthy the beginning of a soak is an end as well; an end that leaves something to recovery is none
 * before recovery, too, has ended. @alive is asked when nothing came for a while: once it says 0 and nothing more is there,
 * -EPIPE where there was no end; an error of it is passed on. Suspends. */
int follow_events(Screen *screen, const char *id, int fd, int watch, bool until_healthy,
                int (*alive)(void *userdata), void *userdata);
