#include <errno.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "host/transient.h"
#include "observe/mask.h"
#include "observe/probe-kind.h"

#define OUTPUT_LINES 8
#define OUTPUT_SHOWN 300
#define MEMORY_MAX   (256 * MIB)

/* What it wrote, in one line, without what systemd says of its start and end. */
static int describe_output(char *const *lines, ProbeResult *ret) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r = 0;

        for (char *const *l = lines; l && *l && r >= 0; l++) {
                const char *text = strstr(*l, "]: ");

                if (startswith(*l, "systemd[1]: "))
                        continue;
                r = text_addf(&t, "%s%s", t.size > 0 ? " | " : "", text ? text + 3 : *l);
        }
        if (r < 0)
                return r;
        ret->answered = text_excerpt(t.data ? t.data : "", t.size, OUTPUT_SHOWN);
        return ret->answered ? 0 : -ENOMEM;
}

static int judge_run(const ProbeSpec *s, int run, const Error *error, ProbeResult *ret) {
        char is[CLOCK_TEXT_MAX], allowed[CLOCK_TEXT_MAX];

        if (run > 0)
                return probe_verdict(ret, PROBE_BAD, strdup(error_message(error, -EIO)));
        if (ret->latency_usec > s->max_latency_usec)
                return probe_verdict(ret, PROBE_BAD,
                                text_format("it took %s, MaxLatency= is %s",
                                                span_to_text(ret->latency_usec, is),
                                                span_to_text(s->max_latency_usec, allowed)));
        ret->verdict = PROBE_GOOD;
        return 0;
}

int probe_command(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e) {
        _cleanup_(transient_result_clear) TransientResult result = {0};
        _cleanup_free_ char *unit = NULL, *variable = NULL;
        _cleanup_error_ Error error = ERROR_INIT;
        char id[ID_TEXT_MAX];
        int r, run;

        unit = text_format("releasemgr-probe-%s.service", id_new(clock_now(), id));
        variable = text_format("RELEASEMGR_VERSION=%s", c->version ? c->version : "");
        ret->asked = text_format("run %s", s->target);
        if (!unit || !variable || !ret->asked)
                return -ENOMEM;
        const TransientSpec spec = {.unit = unit,
                        .description = s->target,
                        .argv = s->argv,
                        .environment = (char *const[]){variable, NULL},
                        .user = c->user,
                        .timeout_usec = s->timeout_usec,
                        .memory_max = MEMORY_MAX,
                        .sandbox = true};
        run = transient_run(c->bus, &spec, OUTPUT_LINES, &result, &error);
        if (run < 0) {
                error_move(e, &error);
                return run;
        }
        ret->latency_usec = result.took_usec;
        r = describe_output(result.output, ret);
        return r < 0 ? r : judge_run(s, run, &error, ret);
}
