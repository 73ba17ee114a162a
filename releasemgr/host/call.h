#pragma once

/* Talking over a Bus, for the files of host/ alone (law 2: nobody else sees sd-bus). */

#include <systemd/sd-bus.h>

#include "host/bus.h"

#define SYSTEMD_NAME    "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

/* Begins a call of @member of systemd's @interface at @path. Suspends while the connection is being made anew. */
int bus_call_new(Bus *b, const char *path, const char *interface, const char *member, sd_bus_message **ret,
                Error *e);

/* Sends @call and waits for the answer, @timeout_usec at most (0: sd-bus's own 25 s). A refusal is the errno that
 * belongs to the D-Bus error, with its message in @e; a connection that was lost meanwhile is -ENOTCONN, and a
 * question can then be put again (bus_ask_again()), from bus_call_new() on. When cancelled, nobody knows whether it was carried out.
 * @ret_reply may be NULL. Suspends. */
int bus_call(Bus *b, sd_bus_message *call, uint64_t timeout_usec, sd_bus_message **ret_reply, Error *e);

/* Whether a question that came to @r is to be put again since the connection was lost and systemd may be back; forgets the
 * error then. @tries counts, from 0 on. */
bool bus_ask_again(const Bus *b, int r, unsigned *tries, Error *e);

/* Calls a method of the manager with arguments as sd_bus_message_append() takes them. Suspends. */
int manager_call(Bus *b, const char *member, uint64_t timeout_usec, sd_bus_message **ret_reply, Error *e,
                const char *types, ...);

/* Hears systemd's signals from the object @path. @signal is NULL when the connection was made anew, and signals
 * may have been missed. The handler runs on the loop's stack and must not free listeners. */
typedef struct BusListener BusListener;
typedef void (*BusHandler)(sd_bus_message *signal, void *userdata);
int bus_listen(Bus *b, const char *path, BusHandler handler, void *userdata, BusListener **ret);
BusListener *bus_unlisten(BusListener *l);

DEFINE_CLEANUP(BusListener, bus_unlisten);

/* The errno that a D-Bus error stands for. No I/O. */
int bus_error_to_errno(const char *name, int otherwise);
