/* repo init, repo refresh: making a repository, and keeping it fresh. */

#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/repo.h"
#include "cli/verbs.h"

int verb_repo_init(Session *s, const Arguments *a, Error *e) {
        _cleanup_free_ char *text = NULL, *root = NULL;
        _cleanup_repo_ Repo r = {0};
        int k;

        k = repo_read_options(a, &r, e);
        if (k >= 0)
                k = repository_init(&r.options, &r.repository, &r.result, e);
        if (k < 0)
                return k;
        root = text_format("%s/metadata/1.root.json", repository_path(r.repository));
        text = text_format("the repository %s is ready\nits hosts' first root, to be brought to them by a "
                           "way you trust: %s\n"
                           "its keys, not to be published, and worth a backup off this machine: %s",
                        repository_path(r.repository), root ?: "", repository_keys(r.repository));
        if (!root || !text)
                return -ENOMEM;
        return repo_report(s, &r, "initialized",
                        json_pack("{ss ss}", "repository", repository_path(r.repository), "root", root),
                        text);
}

int verb_repo_refresh(Session *s, const Arguments *a, Error *e) {
        const char *role = arguments_option(a, "role");
        _cleanup_free_ char *text = NULL;
        char expires[CLOCK_TEXT_MAX];
        _cleanup_repo_ Repo r = {0};
        int k;

        k = repo_open(a, &r, e);
        if (k >= 0)
                k = repository_refresh(r.repository, role, &r.result, e);
        if (k < 0)
                return k;
        text = text_format("signed anew; the first of it expires %s",
                        clock_to_text(r.result.expires_usec, expires));
        return text ? repo_report(s, &r, "refreshed", NULL, text) : -ENOMEM;
}
