/* repo push: a repository goes up to a bucket. */

#include <errno.h>

#include "base/text.h"
#include "cli/repo.h"
#include "cli/verbs.h"
#include "publish/push.h"

int verb_repo_push(Session *s, const Arguments *a, Error *e) {
        SourceOptions options = {
                        .url = a->positional[0],
                        .s3_region = arguments_option(a, "s3-region"),
                        .s3_endpoint = arguments_option(a, "s3-endpoint"),
                        .s3_path_style = arguments_flag(a, "s3-path-style"),
        };
        _cleanup_(http_free_p) Http *http = NULL;
        _cleanup_(source_free_p) Source *to = NULL;
        _cleanup_free_ char *text = NULL;
        PushReport report = {0};
        _cleanup_repo_ Repo r = {0};
        char size[SIZE_TEXT_MAX];
        int k;

        if (!startswith(options.url, "s3://")) {
                (void) error_set(e, ERROR_USAGE, -EINVAL, "%s is no bucket", options.url);
                return error_hint(e, -EINVAL, "releasemgr repo push s3://BUCKET/PREFIX");
        }
        if ((k = repo_open(a, &r, e)) < 0 || (k = http_new(s->event, &http)) < 0 ||
                        (k = source_new(http, &options, &to, e)) < 0 ||
                        (k = repository_push(r.repository, to, &report, e)) < 0)
                return k;
        text = text_format("%u files sent to %s, %s; %u were there", report.sent, options.url,
                        size_to_text(report.bytes, size), report.there);
        if (!text)
                return -ENOMEM;
        return repo_report(s, &r, "pushed",
                        json_pack("{ss si sI si}", "to", options.url, "sent", (int) report.sent, "bytes",
                                        (json_int_t) report.bytes, "there", (int) report.there),
                        text);
}
