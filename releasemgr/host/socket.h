#pragma once

/*
 * The listening sockets that systemd holds for a service (Sockets=)
 *
 * A service that is started while one of them is closed is not given it: it runs, may well answer on an address of its
 * own, and nobody reaches it. systemd closes a socket that is touched too often while nobody takes from it and one whose
 * service is started too often, and cannot open it again while a process that was given it before holds the address.
 * None of that is a release's fault.
 */

#include "host/unit.h"

/* Opens those that @unit asks for and that are closed, whatever closed them. -EADDRNOTAVAIL, of class ERROR_REFUSED, where
 * one cannot be opened; -EADDRINUSE where what was given it before may hold its address still. @ret gets the state of
 * @unit, also then. Suspends. */
int sockets_open(Bus *b, const char *unit, uint64_t deadline_usec, UnitState *ret, Error *e);

/* Forgets why those that @unit asks for were closed, so that systemd may open them again when it starts the unit. Suspends. */
int sockets_forget(Bus *b, const char *unit, Error *e);

/* Whether one is closed for a failure, or @unit runs and was not given it: -EADDRNOTAVAIL, of class ERROR_REFUSED.
 * Suspends. */
int sockets_check(Bus *b, const char *unit, Error *e);
