#include <errno.h>
#include <stdio.h>

#include "base/journal-tail.h"
#include "host/call.h"
#include "host/properties.h"
#include "host/unit-setup.h"
#include "host/unit.h"

#define UNIT_PATH "/org/freedesktop/systemd1/unit"

/* Reading every file of a large host again takes longer than an ordinary call. */
#define RELOAD_USEC (120 * USEC_PER_SEC)

static const Property unit_properties[] = {
                PROPERTY("Id", PROPERTY_TEXT, UnitState, id),
                PROPERTY("LoadState", PROPERTY_TEXT, UnitState, load_state),
                PROPERTY("ActiveState", PROPERTY_TEXT, UnitState, active_state),
                PROPERTY("SubState", PROPERTY_TEXT, UnitState, sub_state),
                PROPERTY("UnitFileState", PROPERTY_TEXT, UnitState, unit_file_state),
                PROPERTY("Type", PROPERTY_TEXT, UnitState, type),
                PROPERTY("Result", PROPERTY_TEXT, UnitState, result),
                PROPERTY("InvocationID", PROPERTY_ID128, UnitState, invocation_id),
                PROPERTY("MainPID", PROPERTY_U32, UnitState, main_pid),
                PROPERTY("NRestarts", PROPERTY_U32, UnitState, n_restarts),
                PROPERTY("ExecMainCode", PROPERTY_I32, UnitState, exec_main_code),
                PROPERTY("ExecMainStatus", PROPERTY_I32, UnitState, exec_main_status),
                PROPERTY("ActiveEnterTimestampMonotonic", PROPERTY_U64, UnitState, active_enter_usec),
                PROPERTY("ActiveExitTimestampMonotonic", PROPERTY_U64, UnitState, active_exit_usec),
                PROPERTY("InactiveExitTimestampMonotonic", PROPERTY_U64, UnitState, inactive_exit_usec),
                PROPERTY("InactiveEnterTimestampMonotonic", PROPERTY_U64, UnitState, inactive_enter_usec),
                PROPERTY("ExecMainStartTimestampMonotonic", PROPERTY_U64, UnitState, exec_main_start_usec),
                PROPERTY("TimeoutStopUSec", PROPERTY_U64, UnitState, timeout_stop_usec),
                PROPERTY("MemoryCurrent", PROPERTY_U64, UnitState, memory_current),
                PROPERTY("NeedDaemonReload", PROPERTY_BOOLEAN, UnitState, need_daemon_reload),
                PROPERTY("ControlGroup", PROPERTY_TEXT, UnitState, control_group),
};

static const Property setup_properties[] = {
                PROPERTY("Id", PROPERTY_TEXT, UnitSetup, id),
                PROPERTY("Type", PROPERTY_TEXT, UnitSetup, type),
                PROPERTY("KillMode", PROPERTY_TEXT, UnitSetup, kill_mode),
                PROPERTY("User", PROPERTY_TEXT, UnitSetup, user),
                PROPERTY("WorkingDirectory", PROPERTY_TEXT, UnitSetup, working_directory),
                PROPERTY("StartLimitAction", PROPERTY_TEXT, UnitSetup, start_limit_action),
                PROPERTY("FailureAction", PROPERTY_TEXT, UnitSetup, failure_action),
                PROPERTY("ExecStart", PROPERTY_COMMAND, UnitSetup, exec_start),
                PROPERTY("CanReload", PROPERTY_BOOLEAN, UnitSetup, can_reload),
                PROPERTY("RemainAfterExit", PROPERTY_BOOLEAN, UnitSetup, remain_after_exit),
                PROPERTY("Conditions", PROPERTY_CONDITION, UnitSetup, condition),
                PROPERTY("NonBlocking", PROPERTY_BOOLEAN, UnitSetup, non_blocking),
                PROPERTY("TriggeredBy", PROPERTY_WORDS, UnitSetup, triggered_by),
                PROPERTY("StartLimitIntervalUSec", PROPERTY_U64, UnitSetup, start_limit_usec),
};

/* All properties of the object at @path: those of Unit and those of its kind in one answer. */
static int unit_get_all(Bus *b, const char *path, sd_bus_message **ret, Error *e) {
        unsigned tries = 0;
        int r;

        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;

                r = bus_call_new(b, path, "org.freedesktop.DBus.Properties", "GetAll", &call, e);
                if (r < 0)
                        return r;
                r = sd_bus_message_append(call, "s", "");
                if (r < 0)
                        return error_errno(e, r, "Cannot write a message to systemd");
                r = bus_call(b, call, 0, ret, e);
        } while (bus_ask_again(b, r, &tries, e));
        return r;
}

static int unit_get(Bus *b, const char *unit, sd_bus_message **ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNIT_PATH, unit, &path);
        if (r < 0)
                return r;
        r = unit_get_all(b, path, ret, e);
        return r < 0 ? error_prefix(e, r, "Cannot read the state of %s: ", unit) : 0;
}

static int answer_error(const char *unit, int r, Error *e) {
        return error_errno(e, r, "Cannot understand systemd's answer about %s", unit);
}

int unit_read_also(Bus *b, const char *unit, UnitState *ret, const Property *table, size_t n, void *target,
                Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        UnitState state = {.memory_current = UINT64_MAX};
        int r;

        r = unit_get(b, unit, &reply, e);
        if (r < 0)
                return r;
        r = properties_read(reply, unit_properties, ELEMENTS_OF(unit_properties), &state);
        if (r >= 0 && n > 0) {
                r = sd_bus_message_rewind(reply, true);
                if (r >= 0)
                        r = properties_read(reply, table, n, target);
        }
        if (r < 0)
                return answer_error(unit, r, e);
        *ret = state;
        return 0;
}

int unit_read(Bus *b, const char *unit, UnitState *ret, Error *e) {
        return unit_read_also(b, unit, ret, NULL, 0, NULL, e);
}

int unit_read_setup(Bus *b, const char *unit, UnitSetup *ret, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        UnitSetup setup = {0};
        int r;

        r = unit_get(b, unit, &reply, e);
        if (r < 0)
                return r;
        r = properties_read(reply, setup_properties, ELEMENTS_OF(setup_properties), &setup);
        if (r < 0)
                return answer_error(unit, r, e);
        *ret = setup;
        return 0;
}

int unit_require(Bus *b, const char *unit, UnitState *ret, Error *e) {
        UnitState s;
        int r;

        r = unit_read(b, unit, &s, e);
        if (r >= 0)
                r = unit_require_loaded(&s, unit, e);
        if (r >= 0)
                *ret = s;
        return r;
}

int unit_require_loaded(const UnitState *s, const char *unit, Error *e) {
        int r;

        if (streq(s->load_state, "loaded"))
                return 0;
        if (streq(s->load_state, "not-found")) {
                r = error_set(e, ERROR_FAILED, -ENOENT, "There is no unit %s on this host", unit);
                return error_hint(e, r,
                                "Write it to /etc/systemd/system/%s, then `systemctl daemon-reload`, or "
                                "correct Unit=",
                                unit);
        }
        if (streq(s->load_state, "masked")) {
                r = error_set(e, ERROR_FAILED, -ERFKILL, "The unit %s is masked", unit);
                return error_hint(e, r, "`systemctl unmask %s`", unit);
        }
        r = error_set(e, ERROR_FAILED, -ENOEXEC, "systemd cannot load the unit %s (%s)", unit, s->load_state);
        return error_hint(e, r, "`systemd-analyze verify %s` says what is wrong with its file", unit);
}

bool unit_is_active(const UnitState *s) {
        return streq(s->active_state, "active") || streq(s->active_state, "reloading");
}

int unit_tail(const UnitState *s, size_t lines, char ***ret) {
        const JournalSource source = {.invocation_id = s->invocation_id,
                        .unit = s->id,
                        .since_usec = s->inactive_exit_usec};

        return journal_tail(&source, lines, ret);
}

int unit_tail_by_name(const char *unit, size_t lines, char ***ret) {
        return journal_tail(&(JournalSource){.unit = unit}, lines, ret);
}

int unit_reset_failed(Bus *b, const char *unit, Error *e) {
        int r = manager_call(b, "ResetFailedUnit", 0, NULL, e, "s", unit);

        if (r == -ENOENT) { /* not loaded */
                if (e)
                        error_clear(e);
                return 0;
        }
        return r < 0 ? error_prefix(e, r, "Cannot reset the failures of %s: ", unit) : 0;
}

int unit_kill(Bus *b, const char *unit, const char *whom, int signal, Error *e) {
        int r = manager_call(b, "KillUnit", 0, NULL, e, "ssi", unit, whom, signal);

        return r < 0 ? error_prefix(e, r, "Cannot send signal %d to %s: ", signal, unit) : 0;
}

int manager_reload(Bus *b, Error *e) {
        int r = manager_call(b, "Reload", RELOAD_USEC, NULL, e, "");

        return r < 0 ? error_prefix(e, r, "systemd cannot read its unit files again: ") : 0;
}

int manager_enable(Bus *b, char *const *units, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = bus_call_new(b, SYSTEMD_PATH, SYSTEMD_MANAGER, "EnableUnitFiles", &call, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append_strv(call, (char **) units);
        if (r >= 0)
                r = sd_bus_message_append(call, "bb", false, true); /* for good; other links are replaced */
        if (r < 0)
                return error_errno(e, r, "Cannot write a message to systemd");
        r = bus_call(b, call, RELOAD_USEC, NULL, e);
        return r < 0 ? error_prefix(e, r, "Cannot enable %s: ", units[0]) : 0;
}

struct UnitWatch {
        BusListener *listener;
        Wakeup *wakeup;
};

static void on_unit_signal(sd_bus_message *signal _unused_, void *userdata) {
        UnitWatch *w = userdata;

        wakeup_set(w->wakeup);
}

int unit_watch_new(Bus *b, const char *id, Wakeup *wakeup, UnitWatch **ret) {
        _cleanup_(unit_watch_free_p) UnitWatch *w = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(UNIT_PATH, id, &path);
        if (r < 0)
                return r;
        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->wakeup = wakeup;
        r = bus_listen(b, path, on_unit_signal, w, &w->listener);
        if (r < 0)
                return r;
        *ret = TAKE(w);
        return 0;
}

UnitWatch *unit_watch_free(UnitWatch *w) {
        if (!w)
                return NULL;
        bus_unlisten(w->listener);
        free(w);
        return NULL;
}
