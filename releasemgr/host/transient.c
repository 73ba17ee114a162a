#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "host/job.h"
#include "host/transient.h"
#include "host/unit-judge.h"

/* How long a command that is past its deadline may take to end after SIGTERM, before SIGKILL. */
#define GRACE_USEC (2 * USEC_PER_SEC)

/* What systemd may need beyond the command's own deadline to say that it has ended. */
#define MARGIN_USEC (10 * USEC_PER_SEC)

typedef struct Start {
        const TransientSpec *spec;
        bool to_its_end;
} Start;

static int add_text(sd_bus_message *m, const char *property, const char *value) {
        return isempty(value) ? 0 : sd_bus_message_append(m, "(sv)", property, "s", value);
}

static int add_list(sd_bus_message *m, const char *property, char *const *values) {
        int r;

        if (strv_length(values) == 0)
                return 0;
        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", property);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) values);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Arguments are for the program: of "$$" systemd makes "$", where it would expand $NAME. */
static int escape_arguments(char *const *argv, char ***ret) {
        int r = 0;

        for (char *const *i = argv; *i && r >= 0; i++) {
                _cleanup_text_ Text t = TEXT_INIT;

                for (const char *c = *i; *c && r >= 0; c++)
                        r = text_add(&t, *c == '$' ? "$$" : c, *c == '$' ? 2 : 1);
                if (r >= 0)
                        r = strv_add(ret, t.data ?: "");
        }
        return r;
}

/* ExecStart or its like, "a(sasb)": path, argv, whether a failure is ignored. Not its newer form with flags: v252 writes
 * that down under a name that it cannot read again, and at a daemon-reload the unit loses its commands. (What holds a "$" it cannot read again
 * either; a command that runs by then has no need of it.) */
static int add_command(sd_bus_message *m, const char *property, char *const *argv) {
        _cleanup_strv_ char **escaped = NULL;
        int r;

        if (!argv)
                return 0;
        r = escape_arguments(argv, &escaped);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", property);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sasb)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sasb");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", argv[0]);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, escaped);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", false);
        for (int i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int add_sandbox(sd_bus_message *m, char *const *writable) {
        static const char *const switches[] = {"NoNewPrivileges", "PrivateDevices", "PrivateTmp",
                        "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
                        "ProtectControlGroups", "ProtectClock", "ProtectHostname", "RestrictSUIDSGID",
                        "RestrictRealtime", "LockPersonality"};
        int r;

        for (size_t i = 0; i < ELEMENTS_OF(switches); i++) {
                r = sd_bus_message_append(m, "(sv)", switches[i], "b", true);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "ProtectSystem", "s", "strict", "ProtectHome", "s",
                        "read-only", "RestrictNamespaces", "t", UINT64_C(0), "RestrictAddressFamilies",
                        "(bas)", true, 3, "AF_UNIX", "AF_INET", "AF_INET6");
        return r < 0 ? r : add_list(m, "ReadWritePaths", writable);
}

static int add_limits(sd_bus_message *m, const Start *start) {
        const TransientSpec *s = start->spec;
        uint64_t grace = s->stop_timeout_usec ? s->stop_timeout_usec : start->to_its_end ? GRACE_USEC : 0;
        int r = 0;

        if (start->to_its_end)
                r = sd_bus_message_append(m, "(sv)", "TimeoutStartUSec", "t",
                                s->timeout_usec ? s->timeout_usec : USEC_INFINITY);
        if (r >= 0 && grace > 0)
                r = sd_bus_message_append(m, "(sv)", "TimeoutStopUSec", "t", grace);
        if (r >= 0 && s->memory_max > 0)
                r = sd_bus_message_append(m, "(sv)(sv)", "MemoryMax", "t", s->memory_max, "MemorySwapMax",
                                "t", UINT64_C(0));
        return r;
}

/* A command to its end is a oneshot that stays loaded, so that its result can be read; another one is collected, so that
 * nothing has to be tidied up. */
static int add_properties(sd_bus_message *m, const Start *start) {
        const TransientSpec *s = start->spec;
        int r;

        if (start->to_its_end)
                r = sd_bus_message_append(
                                m, "(sv)(sv)", "Type", "s", "oneshot", "RemainAfterExit", "b", true);
        else
                r = sd_bus_message_append(
                                m, "(sv)(sv)", "Type", "s", "exec", "CollectMode", "s", "inactive-or-failed");
        if (r >= 0)
                r = add_text(m, "Description", s->description);
        if (r >= 0)
                r = add_text(m, "WorkingDirectory", s->working_directory);
        if (r >= 0)
                r = add_text(m, "User", s->user);
        if (r >= 0)
                r = add_text(m, "SyslogIdentifier", s->identifier);
        if (r >= 0)
                r = add_list(m, "Environment", s->environment);
        if (r >= 0 && s->environment_file)
                r = sd_bus_message_append(
                                m, "(sv)", "EnvironmentFiles", "a(sb)", 1, s->environment_file, true);
        if (r >= 0)
                r = add_limits(m, start);
        if (r >= 0 && s->sandbox)
                r = add_sandbox(m, s->writable);
        if (r >= 0)
                r = add_command(m, "ExecStart", s->argv);
        return r < 0 ? r : add_command(m, "ExecStopPost", s->after);
}

static int submit_transient(
                Bus *b, const char *unit, const void *userdata, sd_bus_message **ret_reply, Error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = bus_call_new(b, SYSTEMD_PATH, SYSTEMD_MANAGER, "StartTransientUnit", &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = add_properties(m, userdata);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0)
                return error_errno(e, r, "Cannot write a message to systemd");
        return bus_call(b, m, 0, ret_reply, e);
}

static int transient_submit(
                Bus *b, const Start *start, uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        static const JobKind kind = {"run", true, submit_transient};
        UnitState before = {0};

        (void) snprintf(before.id, sizeof(before.id), "%s", start->spec->unit);
        return job_run(b, &kind, &before, start, USEC_INFINITY, deadline_usec, outcome, e);
}

int transient_start(
                Bus *b, const TransientSpec *spec, uint64_t deadline_usec, UnitOutcome *outcome, Error *e) {
        const Start start = {.spec = spec};

        return transient_submit(b, &start, deadline_usec, outcome, e);
}

void transient_result_clear(TransientResult *r) {
        r->output = strv_free(r->output);
        *r = (TransientResult){0};
}

/* Leaves nothing of it behind, whatever became of it: a unit that is still at work is killed. */
static int transient_forget(Bus *b, const char *unit, bool at_work, Error *e) {
        int r;

        if (at_work) {
                r = unit_kill(b, unit, "all", 9, NULL);
                if (r == -ECANCELED)
                        return r;
        }
        r = unit_stop(b, unit, clock_monotonic() + MARGIN_USEC, NULL, at_work ? NULL : e);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return unit_reset_failed(b, unit, e);
}

int transient_end(Bus *b, const char *unit, Error *e) {
        UnitState state;
        int r = unit_read(b, unit, &state, e);

        if (r < 0 || streq(state.load_state, "not-found"))
                return r;
        return transient_forget(b, unit, true, e);
}

static int explain(const TransientSpec *spec, const UnitState *s, Error *e) {
        char sentence[UNIT_SENTENCE_MAX], span[CLOCK_TEXT_MAX];

        if (streq(s->result, "timeout"))
                (void) error_set(e, ERROR_FAILED, -ETIMEDOUT, "%s was killed after %s", spec->argv[0],
                                span_to_text(spec->timeout_usec, span));
        else
                (void) error_set(e, ERROR_FAILED, -EIO, "%s %s", spec->argv[0],
                                unit_describe_result(s, sentence));
        return 1;
}

int transient_run(Bus *b, const TransientSpec *spec, size_t output_lines, TransientResult *ret, Error *e) {
        _cleanup_(transient_result_clear) TransientResult result = {0};
        const Start start = {.spec = spec, .to_its_end = true};
        uint64_t deadline =
                        spec->timeout_usec ? clock_monotonic() + spec->timeout_usec + GRACE_USEC + MARGIN_USEC
                                           : USEC_INFINITY;
        _cleanup_error_ Error error = ERROR_INIT;
        UnitOutcome outcome;
        int r, q;

        r = transient_submit(b, &start, deadline, &outcome, &error);
        result.state = outcome.state;
        result.took_usec = outcome.took_usec;
        if (r < 0 && isempty(outcome.job_result) && !streq(outcome.state.active_state, "failed")) {
                if (r != -EEXIST) /* it is ours; perhaps it runs, cancelled or past every deadline */
                        (void) transient_forget(b, spec->unit, true, NULL);
                error_move(e, &error);
                return r;
        }
        q = output_lines > 0 ? unit_tail(&result.state, output_lines, &result.output) : 0;
        if (q == -ECANCELED || q == -ENOMEM) {
                (void) transient_forget(b, spec->unit, false, NULL);
                return q;
        }
        q = transient_forget(b, spec->unit, false, e);
        if (q < 0)
                return q;
        if (r < 0)
                r = explain(spec, &result.state, e);
        *ret = TAKE(result);
        return r;
}
