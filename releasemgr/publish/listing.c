#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "publish/listing.h"

int listing_put(json_t *targets, const char *name, uint64_t length, const Digest *digest,
                const json_t *facts) {
        char hex[DIGEST_TEXT_MAX];
        json_t *entry = json_pack("{s:I, s:{s:s}}", "length", (json_int_t) length, "hashes", "sha256",
                        digest_to_text(digest, hex));

        if (entry && facts &&
                        json_object_set_new(entry, "custom",
                                        json_pack("{s:O}", "releasemgr", (json_t *) facts)) < 0) {
                json_decref(entry);
                return -ENOMEM;
        }
        return json_object_set_new(targets, name, entry) < 0 ? -ENOMEM : 0;
}

json_t *listing_facts(const json_t *targets, const char *name) {
        return json_object_get(json_object_get(json_object_get(targets, name), "custom"), "releasemgr");
}

int listing_file(const json_t *targets, const char *name, uint64_t *ret_length, Digest *ret) {
        const json_t *entry = json_object_get(targets, name);
        Hashes hashes;
        int r;

        if (!entry)
                return -ENOENT;
        r = hashes_from_json(json_object_get(entry, "hashes"), &hashes, NULL);
        if (r < 0)
                return r;
        *ret_length = (uint64_t) json_get_integer(entry, "length", 0);
        return hashes_get_sha256(&hashes, ret) ? 0 : -EINVAL;
}

/* The versions of @app, for the message that one is not there: "1.0.0, 1.1.0". */
static int list_versions(const json_t *targets, const char *app, Text *t) {
        const char *name;
        json_t *entry;

        json_object_foreach((json_t *) targets, name, entry) {
                _cleanup_free_ char *version = NULL;
                int r = target_bundle_version(name, app, &version);

                if (r == -ENOENT)
                        continue;
                if (r < 0 || text_addf(t, "%s%s", t->size > 0 ? ", " : "", version) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int listing_release(const json_t *targets, const char *app, const char *version, BundleInfo **ret, Error *e) {
        _cleanup_free_ char *name = target_bundle(app, version);
        _cleanup_text_ Text versions = TEXT_INIT;
        json_t *facts;

        if (!name)
                return -ENOMEM;
        facts = listing_facts(targets, name);
        if (facts)
                return bundle_info_from_json(facts, ret, e);
        if (list_versions(targets, app, &versions) < 0)
                return -ENOMEM;
        (void) error_set(e, ERROR_USAGE, -ENOENT, "%s has no release %s in this repository", app, version);
        if (versions.size == 0)
                return error_hint(e, -ENOENT, "publish one with releasemgr repo publish");
        return error_hint(e, -ENOENT, "it has %s", versions.data);
}

static int compare_recent(const void *a, const void *b, void *userdata) {
        const BundleInfo *x = *(BundleInfo *const *) a, *y = *(BundleInfo *const *) b;
        bool x_first = streq_ptr(x->version, userdata), y_first = streq_ptr(y->version, userdata);

        if (x_first != y_first)
                return x_first ? -1 : 1;
        if (x->published_usec != y->published_usec)
                return x->published_usec > y->published_usec ? -1 : 1;
        return version_compare(y->version, x->version);
}

int listing_recent(const json_t *targets, const char *app, const char *version, const char *first, size_t max,
                BundleInfo ***ret, size_t *ret_n, Error *e) {
        BundleInfo **l = calloc(json_object_size(targets) + 1, sizeof(*l));
        const char *name;
        json_t *entry;
        size_t n = 0;
        int r = l ? 0 : -ENOMEM;

        json_object_foreach((json_t *) targets, name, entry) {
                _cleanup_free_ char *other = NULL;

                if (r >= 0)
                        r = target_bundle_version(name, app, &other);
                if (r >= 0 && !streq(other, version)) {
                        r = bundle_info_from_json(listing_facts(targets, name), &l[n], e);
                        n += r >= 0;
                }
                r = r == -ENOENT ? 0 : r;
        }
        if (n > 0)
                qsort_r(l, n, sizeof(*l), compare_recent, (void *) first);
        while (l && n > (r < 0 ? 0 : max))
                bundle_info_free(l[--n]);
        if (r < 0) {
                free(l);
                return r;
        }
        *ret = l;
        *ret_n = n;
        return 0;
}

int listing_channel(const json_t *targets, const char *app, const char *channel, char **ret) {
        _cleanup_(channel_info_free_p) ChannelInfo *info = NULL;
        _cleanup_free_ char *name = target_channel(app, channel);
        json_t *facts;
        int r;

        if (!name)
                return -ENOMEM;
        facts = listing_facts(targets, name);
        if (!facts)
                return -ENOENT;
        r = channel_info_from_json(facts, &info, NULL);
        if (r < 0)
                return r;
        *ret = TAKE(info->version);
        return 0;
}

/* What follows "APP/" in a target's name, or NULL. */
static const char *behind_app(const char *name, const char *app) {
        const char *rest = startswith(name, app);

        return rest && *rest == '/' ? rest + 1 : NULL;
}

int listing_channels_at(const json_t *targets, const char *app, const char *version, char ***ret) {
        _cleanup_strv_ char **channels = NULL;
        const char *name;
        json_t *entry;

        json_object_foreach((json_t *) targets, name, entry) {
                _cleanup_(channel_info_free_p) ChannelInfo *info = NULL;
                const json_t *facts = listing_facts(targets, name);

                if (!behind_app(name, app) || !streq_ptr(target_kind(facts), "channel"))
                        continue;
                if (channel_info_from_json(facts, &info, NULL) < 0 || !streq(info->version, version))
                        continue;
                if (strv_add(&channels, info->channel) < 0)
                        return -ENOMEM;
        }
        strv_sort(channels);
        *ret = TAKE(channels);
        return 0;
}

int listing_apps(const json_t *targets, char ***ret) {
        _cleanup_strv_ char **apps = NULL;
        const char *name;
        json_t *entry;

        json_object_foreach((json_t *) targets, name, entry) {
                const char *slash = strchr(name, '/');
                _cleanup_free_ char *app = slash ? strndup(name, (size_t) (slash - name)) : NULL;

                if (!slash)
                        continue;
                if (!app || (!strv_contains(apps, app) && strv_add(&apps, app) < 0))
                        return -ENOMEM;
        }
        strv_sort(apps);
        *ret = TAKE(apps);
        return 0;
}

int listing_move(json_t *from, json_t *to, const char *app) {
        const char *name;
        json_t *entry;
        void *next;
        int n = 0;

        json_object_foreach_safe(from, next, name, entry) {
                if (!behind_app(name, app))
                        continue;
                if (json_object_set(to, name, entry) < 0)
                        return -ENOMEM;
                (void) json_object_del(from, name);
                n++;
        }
        return n;
}

char *listing_path(const char *name, const Digest *digest) {
        const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
        char hex[DIGEST_TEXT_MAX];

        return text_format("%.*s%s.%s", (int) (last - name), name, digest_to_text(digest, hex), last);
}
