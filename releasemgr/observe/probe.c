#include <errno.h>

#include "base/clock.h"
#include "host/unit.h"
#include "observe/endpoint.h"
#include "observe/probe-kind.h"

void probe_result_clear(ProbeResult *r) {
        free(r->asked);
        free(r->answered);
        free(r->sentence);
        *r = (ProbeResult){0};
}

static int check_http(const ProbeSpec *s, Error *e) {
        int r;

        if (!startswith(s->target, "http://") && !startswith(s->target, "https://")) {
                r = error_set(e, ERROR_USAGE, -EINVAL, "'%s' is no address of a health page", s->target);
                return error_hint(e, r, "Write http://HOST[:PORT]/PATH, or https://");
        }
        if (s->unix_socket && *s->unix_socket != '/')
                return error_set(e, ERROR_USAGE, -EINVAL, "'%s' is no absolute path of a socket",
                                s->unix_socket);
        for (char *const *m = s->expect_json; m && *m; m++)
                if (**m == '=' || !strchr(*m, '=')) {
                        r = error_set(e, ERROR_USAGE, -EINVAL, "'%s' does not say what to expect where", *m);
                        return error_hint(e, r,
                                        "Write ExpectJson=status=healthy: a path of members, and a value");
                }
        return 0;
}

static int check_tcp(const ProbeSpec *s, Error *e) {
        Endpoint endpoint;
        int r = endpoint_from_string(s->target, &endpoint);

        if (r == -EINVAL) {
                error_set(e, ERROR_USAGE, r, "'%s' is no address to connect to", s->target);
                error_hint(e, r, "Write 127.0.0.1:PORT, [::1]:PORT, localhost:PORT or unix:/PATH");
        }
        return r;
}

static int check_command(const ProbeSpec *s, Error *e) {
        int r;

        if (s->argv && s->argv[0] && *s->argv[0] == '/')
                return 0;
        r = error_set(e, ERROR_USAGE, -EINVAL, "'%s' is no program with an absolute path", s->target);
        return error_hint(e, r, "Write /PATH/PROGRAM ARGUMENT...");
}

static int check_unit(const ProbeSpec *s, Error *e) {
        int r;

        if (strchr(s->target, '.') && !strchr(s->target, '/') && strlen(s->target) < UNIT_NAME_MAX)
                return 0;
        r = error_set(e, ERROR_USAGE, -EINVAL, "'%s' is no name of a unit", s->target);
        return error_hint(e, r, "Write it in full, such as shop-worker.service");
}

int probe_check(const ProbeSpec *s, Error *e) {
        if (s->timeout_usec == 0 || s->interval_usec == 0 || s->successes == 0)
                return error_set(e, ERROR_USAGE, -EINVAL,
                                "%s: a timeout, an interval or a number of successes is zero", s->target);
        switch (s->kind) {
        case PROBE_HTTP:
                return check_http(s, e);
        case PROBE_TCP:
                return check_tcp(s, e);
        case PROBE_COMMAND:
                return check_command(s, e);
        case PROBE_UNIT:
                return check_unit(s, e);
        }
        return error_set(e, ERROR_USAGE, -EINVAL, "%s: no such kind of probe", s->target);
}

int probe_run(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e) {
        static int (*const kinds[])(const ProbeContext *, const ProbeSpec *, ProbeResult *, Error *) = {
                        [PROBE_HTTP] = probe_http,
                        [PROBE_TCP] = probe_tcp,
                        [PROBE_COMMAND] = probe_command,
                        [PROBE_UNIT] = probe_unit,
        };
        _cleanup_(probe_result_clear) ProbeResult result = {.at_usec = clock_now()};
        int r;

        r = kinds[s->kind](c, s, &result, e);
        if (r < 0)
                return r;
        *ret = TAKE(result);
        return 0;
}
