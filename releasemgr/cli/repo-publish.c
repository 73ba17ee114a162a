/* repo publish, promote, yank, prune: releases and the channels that point at them. */

#include <errno.h>
#include <fcntl.h>

#include "base/text.h"
#include "cli/repo.h"
#include "cli/verbs.h"
#include "db/migration.h"
#include "publish/patches.h"
#include "publish/release.h"

/* A malformed migration fails here and not on a host. What takes something away before the switch is said. */
static int review(Session *s, const MigrationList *migrations, Error *e) {
        _cleanup_strv_ char **lines = NULL;
        int r;

        r = migration_list_review(migrations, &lines, e);
        if (r < 0)
                return error_prefix(e, r, "migrations/");
        for (char **i = lines; i && *i; i++) {
                _cleanup_free_ char *text = text_format("migrations/%s: a release that is in use does not "
                                                        "survive it, so hosts will refuse it",
                                *i);
                _cleanup_json_ json_t *event = NULL;

                if (!text)
                        return -ENOMEM;
                event = json_pack("{ss ss ss}", "event", "warning", "text", text, "hint",
                                "move it to migrations/contract, or mark it: -- releasemgr: destructive");
                if (event)
                        screen_event(event, s->screen);
        }
        return 0;
}

/* What the release says about the database, read off its migrations: the newest expand migration that it needs, the
 * newest contract migration that it knows. NULL where it has none. */
static int read_schema(Session *s, const char *directory, json_t **ret, Error *e) {
        _cleanup_(migration_list_free_p) MigrationList *migrations = NULL;
        _cleanup_free_ char *folder = text_format("%s/migrations", directory);
        json_t *schema;
        int r;

        if (!folder)
                return -ENOMEM;
        r = migration_list_read(AT_FDCWD, folder, &migrations, e);
        if (r >= 0)
                r = review(s, migrations, e);
        if (r < 0)
                return r;
        *ret = NULL;
        if (migrations->n == 0)
                return 0;
        schema = json_pack("{ss* ss*}", "needs", migration_list_newest(migrations, MIGRATION_EXPAND), "knows",
                        migration_list_newest(migrations, MIGRATION_CONTRACT));
        if (!schema)
                return -ENOMEM;
        *ret = schema;
        return 0;
}

/* --NAME=N, from 0 to PATCHES_MAX. */
static int read_patches(const Arguments *a, const char *name, unsigned *ret, Error *e) {
        const char *text = arguments_option(a, name);
        uint64_t n = PATCHES_DEFAULT;

        if (text && parse_u64(text, PATCHES_MAX, &n) < 0)
                return error_set(e, ERROR_USAGE, -EINVAL, "--%s=%s: expected a number from 0 to %d", name,
                                text, PATCHES_MAX);
        *ret = n;
        return 0;
}

/* "; patch from 1.0.0: 12 KiB; no patch from 0.9.0: it would save too little" */
static int describe_patches(const json_t *patches, Text *t) {
        const json_t *patch;
        char size[SIZE_TEXT_MAX];
        size_t i;
        int k = text_adds(t, "");

        json_array_foreach(patches, i, patch) {
                const char *from = json_get_string(patch, "from"), *why = json_get_string(patch, "why");

                if (k < 0)
                        return k;
                k = why ? text_addf(t, "; no patch from %s: %s", from, why)
                        : text_addf(t, "; patch from %s: %s", from,
                                          size_to_text((uint64_t) json_get_integer(patch, "size", 0), size));
        }
        return k;
}

static char *describe_published(const PublishOptions *o, const PublishedRelease *p) {
        _cleanup_free_ char *channel = NULL;
        _cleanup_text_ Text patches = TEXT_INIT;
        char size[SIZE_TEXT_MAX];

        if (describe_patches(p->patches, &patches) < 0)
                return NULL;
        if (p->channel_moved)
                channel = text_format("; channel %s points at it%s%s", o->channel,
                                p->channel_from ? ", and no longer at " : "", p->channel_from ?: "");
        if (p->already)
                return text_format("%s %s was published already, and has not changed%s", o->app, o->version,
                                channel ?: "");
        return text_format("published %s %s, %s%s%s", o->app, o->version, size_to_text(p->size, size),
                        patches.data, channel ?: "");
}

static json_t *published_to_json(const PublishOptions *o, const PublishedRelease *p) {
        char hex[DIGEST_TEXT_MAX];

        return json_pack("{ss ss ss* sb ss* sI ss sO*}", "app", o->app, "version", o->version, "channel",
                        o->channel, "already", p->already, "channel_from", p->channel_from, "size",
                        (json_int_t) p->size, "tree", digest_to_text(&p->info->tar_digest, hex), "patches",
                        p->patches);
}

int verb_repo_publish(Session *s, const Arguments *a, Error *e) {
        __attribute__((cleanup(published_release_clear))) PublishedRelease p = {0};
        _cleanup_free_ char *app = NULL, *text = NULL;
        _cleanup_json_ json_t *schema = NULL;
        _cleanup_repo_ Repo r = {0};
        PublishOptions o = {.directory = a->positional[0],
                        .version = arguments_option(a, "version"),
                        .channel = arguments_option(a, "channel") ?: "stable",
                        .commit = arguments_option(a, "commit")};
        int k;

        if (!o.version) {
                (void) error_set(e, ERROR_USAGE, -EINVAL, "--version=VERSION is missing");
                return error_hint(e, -EINVAL, "releasemgr repo publish DIR --version=1.0.0");
        }
        if (isempty(o.channel))
                o.channel = NULL;
        if ((k = read_patches(a, "patches", &o.patches, e)) < 0 || (k = repo_open(a, &r, e)) < 0 ||
                        (k = repo_app(a, &r, &app, e)) < 0 ||
                        (k = read_schema(s, o.directory, &schema, e)) < 0)
                return k;
        o.app = app;
        o.schema = schema;
        k = repository_publish(r.repository, &o, &p, &r.result, e);
        if (k < 0)
                return k;
        text = describe_published(&o, &p);
        return text ? repo_report(s, &r, "published", published_to_json(&o, &p), text) : -ENOMEM;
}

int verb_repo_promote(Session *s, const Arguments *a, Error *e) {
        const char *version = a->positional[0], *channel = arguments_option(a, "channel");
        _cleanup_free_ char *app = NULL, *from = NULL, *text = NULL;
        _cleanup_text_ Text described = TEXT_INIT;
        _cleanup_json_ json_t *patches = NULL;
        _cleanup_repo_ Repo r = {0};
        unsigned n = 0;
        int k;

        if (!channel)
                return error_set(e, ERROR_USAGE, -EINVAL, "--channel=NAME is missing");
        if ((k = read_patches(a, "patches", &n, e)) < 0 || (k = repo_open(a, &r, e)) < 0 ||
                        (k = repo_app(a, &r, &app, e)) < 0 ||
                        (k = repository_promote(r.repository, app, version, channel, n, &from, &patches,
                                         &r.result, e)) < 0 ||
                        (k = describe_patches(patches, &described)) < 0)
                return k;
        text = streq_ptr(from, version)
                               ? text_format("channel %s of %s points at %s already", channel, app, version)
                               : text_format("channel %s of %s points at %s%s%s%s", channel, app, version,
                                                 from ? ", and no longer at " : "", from ?: "",
                                                 described.data);
        if (!text)
                return -ENOMEM;
        return repo_report(s, &r, "promoted",
                        json_pack("{ss ss ss ss* sO*}", "app", app, "version", version, "channel", channel,
                                        "channel_from", from, "patches", patches),
                        text);
}

int verb_repo_yank(Session *s, const Arguments *a, Error *e) {
        const char *version = a->positional[0], *reason = arguments_option(a, "reason");
        _cleanup_free_ char *app = NULL, *text = NULL;
        _cleanup_repo_ Repo r = {0};
        int k;

        if (isempty(reason))
                return error_set(e, ERROR_USAGE, -EINVAL, "--reason=TEXT is missing");
        if ((k = repo_open(a, &r, e)) < 0 || (k = repo_app(a, &r, &app, e)) < 0 ||
                        (k = repository_yank(r.repository, app, version, reason, &r.result, e)) < 0)
                return k;
        text = text_format(r.result.changed ? "%s %s is withdrawn: no host installs it any more"
                                            : "%s %s is withdrawn already, for this reason",
                        app, version);
        if (!text)
                return -ENOMEM;
        return repo_report(s, &r, "yanked",
                        json_pack("{ss ss ss}", "app", app, "version", version, "reason", reason), text);
}

int verb_repo_prune(Session *s, const Arguments *a, Error *e) {
        _cleanup_free_ char *app = NULL, *text = NULL;
        _cleanup_repo_ Repo r = {0};
        unsigned keep = 0;
        int k;

        if ((k = read_patches(a, "keep", &keep, e)) < 0 || (k = repo_open(a, &r, e)) < 0 ||
                        (k = repo_app(a, &r, &app, e)) < 0 ||
                        (k = repository_prune_patches(r.repository, app, keep, &r.result, e)) < 0)
                return k;
        text = k > 0 ? text_format("removed %d files of old patches and channels of %s", k, app)
                     : text_format("no old patches or channels of %s to remove", app);
        if (!text)
                return -ENOMEM;
        return repo_report(s, &r, "pruned", json_pack("{ss si}", "app", app, "files", k), text);
}
