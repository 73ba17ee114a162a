#pragma once

/*
 * Instances: two releases of one app side by side
 *
 * With Strategy=handover the app's unit is a template, "app@.service", and each release runs as the instance of its
 * own name, in its own directory. All instances are given the same listening socket (Sockets=app.socket), so that the
 * new one takes connections before the old one stops. Nothing but `current` says which instance is the right one: at boot
 * and when the socket is touched, the app's plain unit, "app.service", starts the one that it names.
 *
 * What systemd does with the socket meanwhile (read in socket.c of v252): when an instance ends it listens itself again,
 * and starts nothing as long as another instance is active. It *closes* the socket when an instance hits its start
 * limit: so a new instance that fails is stopped at its first failure, and its template should have no start limit.
 */

#include "host/unit.h"

/* "app@.service". */
bool unit_is_template(const char *unit);

/* The instance of @template for @version, escaped as systemd-escape does it: the unit's %I is the version again.
 * -EINVAL where @template is none, -ENAMETOOLONG. */
int instance_name(const char *template, const char *version, char ret[static UNIT_NAME_MAX]);

/* The instances that are not inactive, by unit name, sorted: *@ret is a list as in text.h, owned by the caller, NULL
 * where there is none. Suspends. */
int instances_running(Bus *b, const char *template, char ***ret, Error *e);

/* Starts the instance @unit, whose state @before was just read, beside the others. It is stopped again where it does not
 * come up. Suspends. */
int instance_start(Bus *b, const char *unit, const UnitState *before, uint64_t deadline_usec,
                UnitOutcome *outcome, Error *e);

/* Asks an instance to stop and waits until it has finished what it was doing, @drain_usec at most; what is still there
 * is then killed. 0, or 1 where it had to be killed. One that does not run is stopped. Suspends. */
int instance_drain(Bus *b, const char *unit, uint64_t drain_usec, Error *e);
