/* repo check: the audit of a repository. */

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/repo.h"
#include "cli/verbs.h"
#include "publish/audit.h"

#define SOON (3 * 24 * 3600 * USEC_PER_SEC)

static const char *severity(const Finding *f) {
        return f->class != ERROR_NONE ? "error" : f->warning ? "warning" : "note";
}

static int report_json(Session *s, const AuditReport *report) {
        char expires[CLOCK_TEXT_MAX];
        _cleanup_json_ json_t *j = json_pack("{ss s[] sI sI sI sI ss}", "event", "checked", "findings",
                        "metadata", (json_int_t) report->metadata_files, "signatures",
                        (json_int_t) report->signatures, "targets", (json_int_t) report->targets, "bytes",
                        (json_int_t) report->bytes, "expires", clock_to_text(report->expires_usec, expires));

        for (size_t i = 0; j && i < report->n; i++) {
                const Finding *f = &report->findings[i];

                if (json_array_append_new(json_object_get(j, "findings"),
                                    json_pack("{ss ss ss}", "severity", severity(f), "file", f->file, "text",
                                                    f->text)) < 0)
                        return -ENOMEM;
        }
        if (!j)
                return -ENOMEM;
        screen_json(s->screen, j);
        return 0;
}

static void print(const AuditReport *report) {
        char size[SIZE_TEXT_MAX], expires[CLOCK_TEXT_MAX];

        for (size_t i = 0; i < report->n; i++)
                printf("%s: %s: %s\n", severity(&report->findings[i]), report->findings[i].file,
                                report->findings[i].text);
        printf("%u metadata files with %u signatures, %u targets of %s in all; the first expires %s\n",
                        report->metadata_files, report->signatures, report->targets,
                        size_to_text(report->bytes, size), clock_to_text(report->expires_usec, expires));
}

int verb_repo_check(Session *s, const Arguments *a, Error *e) {
        const char *within = arguments_option(a, "within");
        _cleanup_(audit_report_free_p) AuditReport *report = NULL;
        _cleanup_repo_ Repo r = {0};
        uint64_t soon = SOON;
        int k, worst = ERROR_NONE;

        if (within && span_from_text(within, &soon) < 0)
                return error_set(e, ERROR_USAGE, -EINVAL, "--within=%s: expected a span of time such as 14d",
                                within);
        if ((k = repo_open(a, &r, e)) < 0 || (k = repository_audit(r.repository, soon, &report, e)) < 0)
                return k;
        if (screen_is_json(s->screen)) {
                k = report_json(s, report);
                if (k < 0)
                        return k;
        } else
                print(report);
        for (size_t i = 0; i < report->n; i++)
                worst = MAX_OF(worst, (int) report->findings[i].class);
        return worst;
}
