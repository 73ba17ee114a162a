#include <errno.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/fiber.h"
#include "host/call.h"

#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"

/* systemd closes its own socket when it is re-executed, and is back within a second or two. A connection that was lost
 * for longer than LOST_USEC is given up: from then on nobody waits for it, but it is still tried. */
#define RECONNECT_USEC (50 * USEC_PER_MSEC)
#define LOST_USEC      (30 * USEC_PER_SEC)

#define EVERY_SIGNAL "type='signal',sender='" SYSTEMD_NAME "',path_namespace='" SYSTEMD_PATH "'"

struct Bus {
        sd_event *event;
        sd_bus *bus; /* NULL while the connection is lost */
        sd_event_source *reconnect;
        uint64_t lost_usec; /* since when there is no connection; 0: there is one */
        int refused;        /* why none can be made, where waiting for systemd is no help; 0: none of that */
        BusListener *listeners;
};

struct BusListener {
        Bus *bus;
        BusListener *next;
        char *path;
        BusHandler handler;
        void *userdata;
};

static void bus_tell(Bus *b, sd_bus_message *signal) {
        const char *path = signal ? sd_bus_message_get_path(signal) : NULL;

        for (BusListener *l = b->listeners; l; l = l->next)
                if (!signal || streq_ptr(path, l->path)) {
                        if (signal)
                                (void) sd_bus_message_rewind(
                                                signal, true); /* each reads it from the beginning */
                        l->handler(signal, l->userdata);
                }
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_) {
        Bus *b = userdata;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Local", "Disconnected")) {
                b->lost_usec = b->lost_usec ?: clock_monotonic();
                (void) sd_event_source_set_enabled(b->reconnect, SD_EVENT_ONESHOT);
        } else if (sd_bus_message_is_signal(m, NULL, NULL))
                bus_tell(b, m);
        return 0;
}

/* Over the socket of PID 1 where we may, else over the system bus. */
static int bus_dial(sd_bus **ret, bool *ret_direct) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        if (geteuid() == 0) {
                r = sd_bus_new(&bus);
                if (r < 0)
                        return r;
                r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
                if (r < 0)
                        return r;
                r = sd_bus_start(bus);
                if (r >= 0) {
                        *ret_direct = true;
                        *ret = TAKE(bus);
                        return 0;
                }
                bus = sd_bus_unref(bus);
        }
        r = sd_bus_open_system(&bus);
        if (r < 0)
                return r;
        *ret_direct = false;
        *ret = TAKE(bus);
        return 0;
}

/* What is sent here stands before everything that follows on the same connection, so nobody waits for it. */
static int bus_connect(Bus *b) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        bool direct;
        int r;

        r = bus_dial(&bus, &direct);
        if (r < 0)
                return r;
        (void) sd_bus_set_exit_on_disconnect(bus, false);
        r = sd_bus_add_filter(bus, NULL, on_message, b);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus, b->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        if (!direct) {
                r = sd_bus_call_method_async(bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "AddMatch", NULL, NULL, "s", EVERY_SIGNAL);
                if (r < 0)
                        return r;
        }
        r = sd_bus_call_method_async(
                        bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe", NULL, NULL, "");
        if (r < 0)
                return r;
        b->bus = TAKE(bus);
        b->lost_usec = 0;
        b->refused = 0;
        return 0;
}

/* What a connection fails with while systemd is re-executed. Anything else is a trouble of our own. */
static bool is_absence(int r) {
        return r == -ECONNREFUSED || r == -ENOENT || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN;
}

static bool is_given_up(const Bus *b) {
        return b->refused < 0 || clock_monotonic() - b->lost_usec >= LOST_USEC;
}

/* Whoever waits for a signal looks at the facts again when the connection is there, and when it is given up. */
static int on_reconnect(sd_event_source *s, uint64_t usec _unused_, void *userdata) {
        Bus *b = userdata;
        bool was_given_up = is_given_up(b);
        int r;

        b->bus = sd_bus_close_unref(b->bus);
        r = bus_connect(b);
        if (r < 0)
                b->refused = is_absence(r) ? 0 : r;
        if (r >= 0 || (is_given_up(b) && !was_given_up))
                bus_tell(b, NULL);
        if (r >= 0)
                return 0;
        r = sd_event_source_set_time_relative(s, RECONNECT_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return r;
}

int bus_new(sd_event *event, Bus **ret, Error *e) {
        _cleanup_(bus_free_p) Bus *b = NULL;
        int r;

        if (sd_booted() <= 0) {
                r = error_set(e, ERROR_FAILED, -ENOTCONN, "This host was not booted with systemd");
                return error_hint(e, r,
                                "releasemgr needs systemd as PID 1: run it on the host, not in a plain "
                                "container");
        }
        b = calloc(1, sizeof(*b));
        if (!b)
                return -ENOMEM;
        b->event = sd_event_ref(event);
        r = sd_event_add_time_relative(event, &b->reconnect, CLOCK_MONOTONIC, 0, 0, on_reconnect, b);
        if (r < 0)
                return error_errno(e, r, "Cannot prepare the connection to systemd");
        r = sd_event_source_set_enabled(b->reconnect, SD_EVENT_OFF);
        if (r >= 0)
                r = bus_connect(b);
        if (r < 0) {
                r = error_errno(e, r, "Cannot connect to systemd");
                return error_hint(e, r,
                                "Is dbus running? Try `systemctl is-system-running`, or run this as root");
        }
        *ret = TAKE(b);
        return 0;
}

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        sd_event_source_disable_unref(b->reconnect);
        sd_bus_close_unref(b->bus);
        sd_event_unref(b->event);
        free(b);
        return NULL;
}

int bus_listen(Bus *b, const char *path, BusHandler handler, void *userdata, BusListener **ret) {
        BusListener *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->path = strdup(path);
        if (!l->path) {
                free(l);
                return -ENOMEM;
        }
        l->bus = b;
        l->handler = handler;
        l->userdata = userdata;
        l->next = b->listeners;
        b->listeners = l;
        *ret = l;
        return 0;
}

BusListener *bus_unlisten(BusListener *l) {
        if (!l)
                return NULL;
        for (BusListener **at = &l->bus->listeners; *at; at = &(*at)->next)
                if (*at == l) {
                        *at = l->next;
                        break;
                }
        free(l->path);
        free(l);
        return NULL;
}

int bus_call_new(Bus *b, const char *path, const char *interface, const char *member, sd_bus_message **ret,
                Error *e) {
        int r;

        while (!b->bus || sd_bus_is_open(b->bus) <= 0) {
                if (b->refused < 0)
                        return error_errno(e, b->refused, "Cannot connect to systemd again");
                if (b->lost_usec > 0 && is_given_up(b))
                        return error_set(e, ERROR_FAILED, -ENOTCONN,
                                        "systemd closed the connection and did not take a new one");
                r = fiber_sleep(RECONNECT_USEC);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_new_method_call(b->bus, ret, SYSTEMD_NAME, path, interface, member);
        return r < 0 ? error_errno(e, r, "Cannot write a message to systemd") : 0;
}

int bus_error_to_errno(const char *name, int otherwise) {
        static const struct {
                const char *name;
                int r;
        } known[] = {
                        {"org.freedesktop.systemd1.NoSuchUnit", -ENOENT},
                        {"org.freedesktop.systemd1.NoSuchJob", -ESRCH},
                        {"org.freedesktop.systemd1.UnitMasked", -ERFKILL},
                        {"org.freedesktop.systemd1.BadUnitSetting", -ENOEXEC},
                        {"org.freedesktop.systemd1.LoadFailed", -ENOEXEC},
                        {"org.freedesktop.systemd1.UnitExists", -EEXIST},
                        {"org.freedesktop.systemd1.JobTypeNotApplicable", -EOPNOTSUPP},
                        {"org.freedesktop.DBus.Error.AccessDenied", -EACCES},
                        {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", -EACCES},
                        {"org.freedesktop.DBus.Error.ServiceUnknown", -ENOTCONN},
                        {"org.freedesktop.DBus.Error.NameHasNoOwner", -ENOTCONN},
                        {"org.freedesktop.DBus.Error.Disconnected", -ENOTCONN},
                        {"org.freedesktop.DBus.Error.NoReply", -ETIMEDOUT},
        };

        for (size_t i = 0; i < ELEMENTS_OF(known); i++)
                if (streq_ptr(name, known[i].name))
                        return known[i].r;
        return otherwise < 0 ? otherwise : -EIO;
}

/* @bus: that the call was sent over; the connection may have been made anew meanwhile. */
static int bus_refusal(sd_bus *bus, const sd_bus_error *refusal, Error *e) {
        int r = bus_error_to_errno(refusal->name, -sd_bus_error_get_errno(refusal));

        if (r == -ETIMEDOUT && sd_bus_is_open(bus) <= 0)
                r = -ENOTCONN;
        error_set(e, ERROR_FAILED, r, "%s", isempty(refusal->message) ? refusal->name : refusal->message);
        if (r == -EACCES)
                error_hint(e, r, "Run this as root");
        return r;
}

typedef struct Answer {
        Fiber *fiber;
        sd_bus_message *message;
} Answer;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_) {
        Answer *a = userdata;

        a->message = sd_bus_message_ref(m);
        fiber_resume(a->fiber, 0);
        return 0;
}

int bus_call(Bus *b, sd_bus_message *call, uint64_t timeout_usec, sd_bus_message **ret_reply, Error *e) {
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        Answer answer = {.fiber = fiber_current()};
        const sd_bus_error *refusal;
        int r;

        r = sd_bus_call_async(b->bus, &slot, call, on_answer, &answer, timeout_usec);
        if (r < 0)
                return error_errno(e, r, "Cannot send a message to systemd");
        r = fiber_suspend();
        message = answer.message; /* may be there also where the cancel was quicker */
        if (r < 0)
                return r;
        refusal = sd_bus_message_get_error(message);
        if (refusal)
                return bus_refusal(sd_bus_message_get_bus(call), refusal, e);
        if (ret_reply)
                *ret_reply = TAKE(message);
        return 0;
}

/* A connection that was taken while systemd was on its way out is lost once more. */
#define ASK_TRIES 5

bool bus_ask_again(const Bus *b, int r, unsigned *tries, Error *e) {
        if (r != -ENOTCONN || ++*tries == ASK_TRIES || b->refused < 0 || (b->lost_usec > 0 && is_given_up(b)))
                return false;
        if (e)
                error_clear(e);
        return true;
}

int manager_call(Bus *b, const char *member, uint64_t timeout_usec, sd_bus_message **ret_reply, Error *e,
                const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        va_list arguments;
        int r;

        r = bus_call_new(b, SYSTEMD_PATH, SYSTEMD_MANAGER, member, &call, e);
        if (r < 0)
                return r;
        va_start(arguments, types);
        r = sd_bus_message_appendv(call, types, arguments);
        va_end(arguments);
        if (r < 0)
                return error_errno(e, r, "Cannot write a message to systemd");
        return bus_call(b, call, timeout_usec, ret_reply, e);
}
