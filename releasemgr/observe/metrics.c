#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/fs.h"
#include "observe/metrics.h"

/* What the history calls a verdict; of these series exactly one is 1, so that an alert can name it. */
static const char *const verdicts[] = {"succeeded", "taken-back", "failed", "broken", "stuck", "unfinished"};

static int add_head(Text *t, const char *name, const char *help) {
        return text_addf(t, "# HELP releasemgr_%s %s\n# TYPE releasemgr_%s gauge\n", name, help, name);
}

/* Labels need no escaping: names, versions and verdicts have letters, digits and . - + _ alone. */
static int add_seconds(Text *t, const char *name, const char *help, const char *app, uint64_t usec) {
        int r = add_head(t, name, help);

        return r < 0 ? r
                     : text_addf(t, "releasemgr_%s{app=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", name, app,
                                       usec / USEC_PER_SEC, usec % USEC_PER_SEC);
}

static int add_verdict(Text *t, const char *app, const char *verb, const char *version, const char *verdict) {
        int r = add_head(t, "deployment_verdict", "How the last deployment ended: 1 for the verdict it had.");

        for (size_t i = 0; r >= 0 && i < ELEMENTS_OF(verdicts); i++)
                r = text_addf(t,
                                "releasemgr_deployment_verdict{app=\"%s\",verb=\"%s\",version=\"%s\","
                                "verdict=\"%s\"} %d\n",
                                app, verb, version, verdicts[i], streq(verdict, verdicts[i]));
        return r;
}

/* The release that the host is on now: the new one, or the one before it. */
static int add_release(Text *t, const char *app, const json_t *report, const char *verdict) {
        bool there = streq(verdict, "succeeded") || streq(verdict, "unfinished");
        const char *version = json_get_string(report, there ? "version" : "from");
        int r = add_head(t, "release_info", "The release that the last deployment left active.");

        return r < 0 || !version ? r
                                 : text_addf(t, "releasemgr_release_info{app=\"%s\",version=\"%s\"} 1\n", app,
                                                   version);
}

int metrics_format(const char *app, const json_t *report, Text *t) {
        const char *verb = json_get_string(report, "verb"), *version = json_get_string(report, "version"),
                   *verdict = json_get_string(report, "verdict"), *ended = json_get_string(report, "ended");
        uint64_t at;
        int r;

        if (!verb || !version || !verdict || !ended || clock_from_text(ended, &at) < 0)
                return -EINVAL;
        r = add_release(t, app, report, verdict);
        if (r >= 0)
                r = add_verdict(t, app, verb, version, verdict);
        if (r >= 0)
                r = add_seconds(t, "deployment_end_timestamp_seconds", "When the last deployment ended.", app,
                                at);
        if (r >= 0)
                r = add_seconds(t, "deployment_duration_seconds", "How long the last deployment took.", app,
                                json_get_integer(report, "took", 0));
        if (r >= 0 && json_object_get(report, "outage"))
                r = add_seconds(t, "deployment_outage_seconds",
                                "How long the service was away in the last deployment.", app,
                                json_get_integer(report, "outage", 0));
        return r;
}

int metrics_write(const char *path, const char *app, const json_t *report, Error *e) {
        _cleanup_text_ Text t = TEXT_INIT;
        int r;

        r = metrics_format(app, report, &t);
        if (r >= 0)
                r = fs_write_file_atomic(AT_FDCWD, path, t.data, t.size, 0644);
        return r < 0 ? error_errno(e, r, "cannot write the metrics to %s", path) : 0;
}
