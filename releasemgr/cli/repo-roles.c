/* repo key, rotate, delegate, sign: who may sign. */

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/repo.h"
#include "cli/verbs.h"
#include "publish/roles.h"

/* All values of a repeated option. */
static int read_list(const Arguments *a, const char *name, char ***ret) {
        const char *value;
        int r;

        for (size_t i = 0; (value = arguments_option_at(a, name, i)); i++) {
                r = strv_add(ret, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_threshold(const Arguments *a, unsigned *ret, Error *e) {
        const char *text = arguments_option(a, "threshold");
        uint64_t n = 0;

        if (text && (parse_u64(text, 100, &n) < 0 || n == 0))
                return error_set(e, ERROR_USAGE, -EINVAL, "--threshold=%s: expected a number of signatures",
                                text);
        *ret = (unsigned) n;
        return 0;
}

int verb_repo_key(Session *s, const Arguments *a, Error *e) {
        _cleanup_free_ char *public = NULL, *text = NULL;
        _cleanup_repo_ Repo r = {0};
        int k;

        k = repo_read_options(a, &r, e);
        if (k >= 0)
                k = repository_make_key(&r.options, a->positional[0], &public, e);
        if (k < 0)
                return k;
        text = text_format("%s\ngive its public half to who manages the repository: %s",
                        k > 0 ? "the key was there already" : "a key was made", public);
        r.result.changed = k == 0;
        return text ? repo_report(s, &r, "key", json_pack("{ss}", "public", public), text) : -ENOMEM;
}

int verb_repo_rotate(Session *s, const Arguments *a, Error *e) {
        _cleanup_strv_ char **add = NULL, **remove = NULL;
        RoleChange c = {.role = a->positional[0]};
        _cleanup_free_ char *text = NULL;
        _cleanup_repo_ Repo r = {0};
        int k;

        if ((k = read_list(a, "add", &add)) < 0 || (k = read_list(a, "remove", &remove)) < 0 ||
                        (k = read_threshold(a, &c.threshold, e)) < 0 || (k = repo_open(a, &r, e)) < 0)
                return k;
        c.add = add;
        c.remove = remove;
        k = repository_rotate(r.repository, &c, &r.result, e);
        if (k < 0)
                return k;
        text = text_format(r.result.pending ? "the change of %s's keys is not in force yet"
                                            : "%s has its new keys",
                        c.role);
        return text ? repo_report(s, &r, "rotated", json_pack("{ss}", "role", c.role), text) : -ENOMEM;
}

int verb_repo_delegate(Session *s, const Arguments *a, Error *e) {
        const char *app = a->positional[0];
        _cleanup_strv_ char **keys = NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_repo_ Repo r = {0};
        unsigned threshold = 0;
        int k;

        if ((k = read_list(a, "key", &keys)) < 0 || (k = read_threshold(a, &threshold, e)) < 0 ||
                        (k = repo_open(a, &r, e)) < 0 ||
                        (k = repository_delegate(r.repository, app, keys, threshold, &r.result, e)) < 0)
                return k;
        text = text_format(r.result.pending ? "%s will have its own role once its team has signed"
                                            : "%s has a role of its own",
                        app);
        return text ? repo_report(s, &r, "delegated", json_pack("{ss}", "app", app), text) : -ENOMEM;
}

int verb_repo_sign(Session *s, const Arguments *a, Error *e) {
        _cleanup_strv_ char **sentences = NULL, **roles = NULL;
        _cleanup_text_ Text text = TEXT_INIT;
        _cleanup_repo_ Repo r = {0};
        int k;

        if ((k = repo_open(a, &r, e)) < 0 || (k = repository_review(r.repository, &sentences, e)) < 0)
                return k;
        for (char **i = sentences; i && *i && !screen_is_json(s->screen); i++)
                puts(*i);
        if (arguments_flag(a, "review"))
                return 0;
        k = repository_sign(r.repository, &roles, &r.result, e);
        if (k < 0)
                return k;
        if (text_adds(&text, roles ? "signed:" : "nothing waits for a signature") < 0)
                return -ENOMEM;
        for (char **i = roles; i && *i; i++)
                if (text_addf(&text, " %s", *i) < 0)
                        return -ENOMEM;
        return repo_report(s, &r, "signed", NULL, text.data);
}
