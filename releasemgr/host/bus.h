#pragma once

/*
 * The connection to systemd, on the one loop
 *
 * As root this is PID 1's own socket, as systemctl does it: it works before dbus-daemon runs (early recovery)
 * and asks no polkit. Others go over the system bus. The connection is made anew by itself when systemd is
 * re-executed under us; whoever waits for a signal then looks at the facts again.
 */

#include <systemd/sd-event.h>

#include "base/error.h"

typedef struct Bus Bus;

/* Connects. -ENOTCONN with a sentence where PID 1 is not systemd. @event is referenced. */
int bus_new(sd_event *event, Bus **ret, Error *e);

/* Nobody may wait on it. Returns NULL. */
Bus *bus_free(Bus *b);

DEFINE_CLEANUP(Bus, bus_free);
