#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "host/call.h"
#include "host/instance.h"

/* For a killed process to be gone. */
#define KILL_USEC (10 * USEC_PER_SEC)

bool unit_is_template(const char *unit) {
        const char *at = strchr(unit, '@');

        return at && at > unit && at[1] == '.';
}

/* systemd.unit(5), "String Escaping for Inclusion in Unit Names". A version never begins with a dot. */
static int escape(const char *s, Text *t) {
        int r = 0;

        for (; *s && r >= 0; s++)
                if (isalnum((unsigned char) *s) || *s == '_' || *s == '.' || *s == ':')
                        r = text_add(t, s, 1);
                else
                        r = text_addf(t, "\\x%02x", (unsigned char) *s);
        return r;
}

int instance_name(const char *template, const char *version, char ret[static UNIT_NAME_MAX]) {
        _cleanup_text_ Text instance = TEXT_INIT;
        const char *suffix;
        int r;

        if (!unit_is_template(template) || isempty(version))
                return -EINVAL;
        suffix = strchr(template, '@') + 1;
        r = escape(version, &instance);
        if (r < 0)
                return r;
        r = snprintf(ret, UNIT_NAME_MAX, "%.*s%s%s", (int) (suffix - template), template, instance.data,
                        suffix);
        return r >= UNIT_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* The names in an answer of ListUnitsByPatterns. */
static int read_names(sd_bus_message *m, char ***ret) {
        _cleanup_strv_ char **l = NULL;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "ssssssouso")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = strv_add(&l, name);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "sssssouso");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        strv_sort(l);
        *ret = TAKE(l);
        return 0;
}

int instances_running(Bus *b, const char *template, char ***ret, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *pattern = NULL;
        const char *suffix = strchr(template, '@');
        int r;

        if (!unit_is_template(template))
                return error_set(e, ERROR_USAGE, -EINVAL, "%s is no template", template);
        pattern = text_format("%.*s@*%s", (int) (suffix - template), template, suffix + 1);
        if (!pattern)
                return -ENOMEM;
        r = manager_call(b, "ListUnitsByPatterns", 0, &reply, e, "asas", 4, "active", "reloading",
                        "activating", "deactivating", 1, pattern);
        if (r < 0)
                return error_prefix(e, r, "Cannot list the instances of %s: ", template);
        r = read_names(reply, ret);
        return r < 0 ? error_errno(e, r, "Cannot understand systemd's answer about %s", template) : 0;
}

int instance_start(Bus *b, const char *unit, const UnitState *before, uint64_t deadline_usec,
                UnitOutcome *outcome, Error *e) {
        int r;

        r = unit_require_loaded(before, unit, e);
        if (r < 0)
                return r;
        r = unit_reset_failed(b, unit, e);
        if (r >= 0)
                r = unit_start_known(b, before, deadline_usec, outcome, e);
        if (r < 0)
                (void) instance_drain(b, unit, KILL_USEC, NULL); /* before it hits a start limit */
        return r;
}

int instance_drain(Bus *b, const char *unit, uint64_t drain_usec, Error *e) {
        uint64_t kill_usec = clock_monotonic() + drain_usec;
        _cleanup_error_ Error error = ERROR_INIT;
        UnitOutcome outcome;
        int r;

        r = unit_stop_or_kill(b, unit, kill_usec, kill_usec + KILL_USEC, &outcome, &error);
        if (r == -ENOENT) /* its template is gone, and so is it */
                return 0;
        error_move(e, &error);
        return r < 0 ? r : outcome.killed;
}
