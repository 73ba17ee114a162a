#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "host/properties.h"
#include "host/socket.h"

/* What of a unit tells of its sockets; under the properties' own names. */
typedef struct Taker {
        UnitState state;
        char triggered_by[4096]; /* names with spaces between */
        char wants[4096];
        char requires[4096];
} Taker;

static const Property taker_properties[] = {
                PROPERTY("TriggeredBy", PROPERTY_WORDS, Taker, triggered_by),
                PROPERTY("Wants", PROPERTY_WORDS, Taker, wants),
                PROPERTY("Requires", PROPERTY_WORDS, Taker, requires),
};

/* Its sockets by name, as a list of text.h; owned by the caller. */
static int taker_read(Bus *b, const char *unit, Taker *t, char ***ret, Error *e) {
        _cleanup_strv_ char **triggers = NULL, **sockets = NULL;
        int r;

        *t = (Taker){0};
        r = unit_read_also(b, unit, &t->state, taker_properties, ELEMENTS_OF(taker_properties), t, e);
        if (r >= 0)
                r = strv_split(t->triggered_by, " ", &triggers);
        for (char **i = triggers; r >= 0 && i && *i; i++)
                if (endswith(*i, ".socket"))
                        r = strv_add(&sockets, *i);
        if (r >= 0)
                *ret = TAKE(sockets);
        return MIN_OF(r, 0);
}

/* Sockets= is also a Wants=. A socket that merely has the unit's name may be closed on purpose. */
static bool taker_asks_for(const Taker *t, const char *socket) {
        return words_have(t->wants, socket) || words_have(t->requires, socket);
}

static const char *describe_closed(const UnitState *socket) {
        static const struct {
                const char *result, *sentence;
        } results[] = {
                        {"success", "it was stopped"},
                        {"resources", "its address cannot be had"},
                        {"start-limit-hit", "it was started too often in a short time"},
                        {"service-start-limit-hit",
                                        "what it starts was started too often (StartLimitBurst=)"},
                        {"trigger-limit-hit", "it was touched too often while nobody took from it "
                                              "(TriggerLimitBurst=)"},
        };

        if (streq(socket->load_state, "not-found"))
                return "there is no such unit";
        if (!streq(socket->load_state, "loaded"))
                return "its unit is masked, or broken";
        for (size_t i = 0; i < ELEMENTS_OF(results); i++)
                if (streq(socket->result, results[i].result))
                        return results[i].sentence;
        return socket->result;
}

static int set_closed(const UnitState *socket, Error *e) {
        return error_set(e, ERROR_REFUSED, -EADDRNOTAVAIL, "%s is closed: %s", socket->id,
                        describe_closed(socket));
}

static int socket_open(Bus *b, const char *socket, uint64_t deadline_usec, Error *e) {
        _cleanup_error_ Error error = ERROR_INIT;
        UnitState s;
        int r;

        r = unit_read(b, socket, &s, e);
        if (r < 0 || unit_is_active(&s))
                return r;
        r = unit_reset_failed(b, socket, e);
        if (r < 0)
                return r;
        r = unit_start(b, socket, deadline_usec, NULL, &error);
        if (r >= 0 || r == -ENOMEM || r == -ECANCELED || r == -ENOTCONN) {
                error_move(e, &error);
                return r;
        }
        r = unit_read(b, socket, &s, e);
        if (r < 0 || unit_is_active(&s)) /* somebody else's job opened it */
                return r;
        r = set_closed(&s, e);
        if (streq(s.result, "resources"))
                r = -EADDRINUSE;
        return error_hint(e, r,
                        "`journalctl -u %s` says more; what was given it before must stop first, if it holds "
                        "its address "
                        "still",
                        socket);
}

int sockets_open(Bus *b, const char *unit, uint64_t deadline_usec, UnitState *ret, Error *e) {
        _cleanup_strv_ char **sockets = NULL;
        Taker t;
        int r;

        r = taker_read(b, unit, &t, &sockets, e);
        *ret = t.state;
        for (char **i = sockets; r >= 0 && i && *i; i++)
                if (taker_asks_for(&t, *i))
                        r = socket_open(b, *i, deadline_usec, e);
        return r;
}

int sockets_forget(Bus *b, const char *unit, Error *e) {
        _cleanup_strv_ char **sockets = NULL;
        Taker t;
        int r;

        r = taker_read(b, unit, &t, &sockets, e);
        for (char **i = sockets; r >= 0 && i && *i; i++)
                if (taker_asks_for(&t, *i))
                        r = unit_reset_failed(b, *i, e);
        return r;
}

static int socket_check(Bus *b, const Taker *t, const char *socket, Error *e) {
        bool runs = t->state.main_pid > 0;
        UnitState s;
        int r;

        r = unit_read(b, socket, &s, e);
        if (r < 0)
                return r;
        if (streq(s.active_state, "failed") || (runs && !unit_is_active(&s) && taker_asks_for(t, socket))) {
                r = set_closed(&s, e);
                return error_hint(e, r,
                                "`systemctl stop %s` and `systemctl start %s %s` open it again; `journalctl "
                                "-u %s` says more",
                                t->state.id, socket, t->state.id, socket);
        }
        if (!runs || s.active_enter_usec <= t->state.exec_main_start_usec)
                return 0;
        r = error_set(e, ERROR_REFUSED, -EADDRNOTAVAIL,
                        "%s was opened after the process of %s was started, which does not have it", s.id,
                        t->state.id);
        return error_hint(e, r, "`systemctl restart %s` gives it to it", t->state.id);
}

int sockets_check(Bus *b, const char *unit, Error *e) {
        _cleanup_strv_ char **sockets = NULL;
        Taker t;
        int r;

        r = taker_read(b, unit, &t, &sockets, e);
        for (char **i = sockets; r >= 0 && i && *i; i++)
                r = socket_check(b, &t, *i, e);
        return r;
}
